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
    return parser


def _show(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.laws.summary import results_folder, summary

    console.print(summary(results_folder(options.study)))


if __name__ == "__main__":
    sys.exit(main())
