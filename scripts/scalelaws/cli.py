"""The command `scalelaws`, for people who look at a study or bring a table of their own."""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from scalelaws import __version__
from scalelaws.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; a user's mistake is one line on stderr and exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options, Console())
    except InputError as error:
        print(f"scalelaws: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scalelaws", description=__doc__)
    parser.add_argument("--version", action="version", version=f"scalelaws {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    show = commands.add_parser("show", help="the laws of a study, and where its report is")
    show.add_argument("study", help="the study's configuration (config.yaml) or its results folder")
    show.set_defaults(command=_show)
    plan = commands.add_parser("plan", help="every run of a study and what it would cost, before anything is made")
    plan.add_argument("study", help="the study's configuration (config.yaml)")
    plan.set_defaults(command=_plan)
    return parser


def _show(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.laws.summary import results_folder, summary

    console.print(summary(results_folder(options.study)))


def _plan(options: argparse.Namespace, console: Console) -> None:
    from rich.table import Table

    from scalelaws.config import read_config
    from scalelaws.training.plan import NOMINAL_RATES, plan_summary, runs_of
    from scalelaws.units import readable

    runs = list(runs_of(read_config(options.study)).values())
    headings = ("run", "N", "D", "epochs", "steps", "FLOPs", *(f"{name} hours" for name in NOMINAL_RATES))
    table = Table(box=None)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "run" else "right", no_wrap=heading == "run")
    for run in runs:
        size = (readable(run.parameters), readable(run.dataset_tokens), f"{run.tokens / run.dataset_tokens:,.3g}")
        hours = (f"{run.flops_total / rate / 3600:,.3g}" for rate in NOMINAL_RATES.values())
        table.add_row(run.run, *size, f"{run.steps:,}", f"{run.flops_total:.3g}", *hours)
    console.print(table)
    console.print(plan_summary(runs), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
