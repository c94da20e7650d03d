"""The command `scalelaws`, for people who look at a study or bring a table of their own."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from scalelaws import __version__
from scalelaws.errors import InputError
from scalelaws.options import count, huber_delta, name_of, positive, results_to

if TYPE_CHECKING:
    from scalelaws.laws.fitted import Laws
    from scalelaws.observations.table import Observations

WORDS = {"tokens": "dataset_tokens", "total-tokens": "tokens"} | {
    word.replace("_", "-"): word
    for word in (
        *("parameters", "flops", "loss", "run", "corpus", "split", "step", "train_corpus", "batch_tokens"),
        *("total_parameters", "embedding_parameters"),
        *("noise_scale", "width", "depth", "encoder_parameters", "decoder_parameters"),
    )
}
"""Options of `fit` that name a column, and the word of each."""
MOST_PROCESSES = 8
"""That fit laws or draw figures side by side: a machine with more cores is often shared."""


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
    show.add_argument("study", help="the study's configuration (config.yaml), its results folder or laws.json")
    show.set_defaults(command=_show)

    plan = commands.add_parser("plan", help="every run of a study and what it would cost, before anything is made")
    plan.add_argument("study", help="the study's configuration (config.yaml)")
    plan.set_defaults(command=_plan)

    fit = commands.add_parser("fit", help="fit the laws that a table of runs can determine")
    _add_table(fit)
    fit.add_argument("--laws", nargs="+", metavar="LAW", help="which laws (default: all)")
    fit.add_argument("--resamples", type=count(100, 100_000), default=1000)
    fit.add_argument("--residual", choices=["log", "loss"], default="log")
    fit.add_argument("--huber-delta", type=huber_delta, default=1e-3, help="0 for squared loss")
    fit.add_argument(
        "--backtest", type=positive(0.5), default=0.2, help="share of runs with the most compute to predict"
    )
    fit.add_argument("--seed", type=count(0), default=0)
    fit.add_argument(
        "--out", type=Path, help="folder for laws.json, laws_draws.npz and figures (default: <table>-laws)"
    )
    fit.set_defaults(command=_fit)

    figures = commands.add_parser("figures", help="fit the laws of a table of runs and draw them, all figures or some")
    _add_table(figures)
    figures.add_argument(
        "--only", type=lambda text: text.split(","), default=[], metavar="A,B", help="only these figures"
    )
    figures.add_argument("--style", default="paper", help="paper, screen, or a matplotlib style file")
    figures.add_argument("--seed", type=count(0), default=0)
    figures.add_argument("--out", type=Path, help="folder for the figures (default: <table>-figures)")
    figures.set_defaults(command=_figures)

    predict = commands.add_parser("predict", help="the loss that fitted laws expect")
    predict.add_argument("laws", type=Path, help="laws.json, or its folder")
    for option in ("parameters", "tokens", "flops", "loss"):
        predict.add_argument(f"--{option}", type=positive())
    predict.add_argument("--law", help="only this law, by its name in laws.json")
    predict.set_defaults(command=_predict)

    design = commands.add_parser("design", help="which runs a budget should buy so that the laws come out sharpest")
    budget = design.add_mutually_exclusive_group(required=True)
    budget.add_argument("--flops", type=positive(), help="budget of all runs together, as 6·N·D")
    budget.add_argument("--hours", type=positive(), help="budget in hours of --hardware, output layer included")
    design.add_argument("--hardware", choices=["CPU core", "H100"], default="H100")
    design.add_argument("--laws", type=Path, help="laws.json of an earlier study to believe in; else Chinchilla's law")
    design.add_argument("--runs", type=count(5), default=25)
    design.add_argument("--sizes", type=positive(), nargs=2, metavar=("LEAST", "LARGEST"), help="N to consider")
    design.add_argument("--max-tokens", type=positive(), default=1e14, help="unique tokens that there are")
    design.add_argument("--noise", type=positive(), help="standard deviation of ln loss from run to run (else 0.005)")
    design.add_argument(
        "--predict", type=positive(), metavar="FLOPS", help="run that the law is to predict (10 × budget)"
    )
    design.set_defaults(command=_design)

    train = commands.add_parser("train", help="train one run of a study's plan by hand")
    train.add_argument("--plan", type=Path, required=True, help="results/<study>/plan.csv, with tokens/ beside it")
    train.add_argument("--run", required=True, help="its number in the plan, from 1, or its name")
    train.add_argument("--threads", type=int, default=1)
    train.add_argument("--out", type=Path, help="new folder for its files (default: results/<study>/runs/<run>)")
    train.set_defaults(command=_train)

    export = commands.add_parser("export", help="a trained run as a folder that transformers opens")
    export.add_argument("run", type=Path, help="results/<study>/runs/<run>")
    export.add_argument("folder", type=Path, help="the new folder")
    export.set_defaults(command=_export)

    keep = commands.add_parser(
        "keep", help="what is left of a finished study without its text and weights, small enough for git"
    )
    keep.add_argument("study", type=Path, help="the study's configuration (config.yaml)")
    keep.add_argument("folder", type=Path, help="where it is kept: results/reference/<study>")
    keep.set_defaults(command=_keep)

    push = commands.add_parser("push", help="upload a corpus's documents and card to the Hugging Face hub")
    push.add_argument("corpus", type=Path, help="the folder results/<study>/corpus/<corpus>")
    push.add_argument("name", help="of the data set on the hub, as user/name")
    push.add_argument("--public", action="store_true", help="everyone may read it (default: you alone)")
    push.set_defaults(command=_push)

    tensorboard = commands.add_parser("tensorboard", help="learning curves as TensorBoard's event files")
    tensorboard.add_argument("study", type=Path, help="results/<study>")
    tensorboard.set_defaults(command=_tensorboard)

    allocate = commands.add_parser("allocate", help="how to split a budget of compute between parameters and tokens")
    allocate.add_argument("laws", type=Path, help="laws.json, or its folder")
    allocate.add_argument("--flops", type=positive(), required=True)
    allocate.set_defaults(command=_allocate)

    compare = commands.add_parser("compare", help="whether the laws of two studies agree")
    compare.add_argument("first", type=Path)
    compare.add_argument("second", type=Path)
    compare.set_defaults(command=_compare)
    return parser


def _add_table(command: argparse.ArgumentParser) -> None:
    """The arguments that say which table to read, and how."""
    command.add_argument("table", help="CSV, TSV, JSON lines or parquet file, or its URL: one row per run")
    columns = command.add_argument_group(
        "columns", "which column holds what, where its name does not say so; a number holds for every row"
    )
    for option, word in WORDS.items():
        columns.add_argument(f"--{option}", metavar="COLUMN", dest=f"column_{word}")
    unit_help = "parameters=1e6: N in millions"
    command.add_argument("--unit", action="append", default=[], metavar="WORD=FACTOR", help=unit_help)
    command.add_argument("--where", metavar="CONDITION", help='only rows that meet it, such as "loss < 5"')


def _show(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.laws.summary import results_folder, summary

    console.print(summary(results_folder(options.study)))


def _plan(options: argparse.Namespace, console: Console) -> None:
    from rich.table import Table

    from scalelaws.config import SCHEMA, check_files, read_config
    from scalelaws.training.hardware import hardware_of
    from scalelaws.training.plan import NOMINAL_RATES, plan_summary, runs_of
    from scalelaws.units import readable

    if not SCHEMA.is_file():
        raise InputError("scalelaws plan", "the workflow is not beside the library", "Run it in a clone of scalelaws.")
    config = read_config(options.study)
    if "table" in config:
        remedy = f"Fit it: snakemake --configfile {options.study}."
        raise InputError(options.study, "a study of a table of finished runs trains nothing", remedy)
    check_files(config, options.study)
    hardware_of(config["hardware"])
    runs = list(runs_of(config).values())
    headings = ("", "run", "N", "D", "epochs", "steps", "FLOPs", *(f"{name} hours" for name in NOMINAL_RATES))
    rows = []
    for number, run in enumerate(runs, 1):
        size = (readable(run.parameters), readable(run.dataset_tokens), f"{run.tokens / run.dataset_tokens:,.3g}")
        hours = (f"{run.flops_total / rate / 3600:,.3g}" for rate in NOMINAL_RATES.values())
        rows.append((str(number), run.run, *size, f"{run.steps:,}", f"{run.flops_total:.3g}", *hours))
    table = Table(box=None)
    for heading, *cells in zip(headings, *rows, strict=True):
        # Numbers stay whole where the terminal is narrower than the table.
        table.add_column(heading, justify="left" if heading == "run" else "right", min_width=max(map(len, cells)))
    for row in rows:
        table.add_row(*row)
    console.print(table, soft_wrap=True)
    console.print(plan_summary(runs), soft_wrap=True)


def _fit(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.figures.draw import Look, draw_figures
    from scalelaws.laws.files import write_laws
    from scalelaws.laws.rows import LAWS, NEEDS
    from scalelaws.laws.study import fit_laws
    from scalelaws.laws.summary import summary

    folder = results_to(options.out, options.table, "laws")
    observations, stem = _observations(options, console)
    settings = {
        "resamples": options.resamples,
        "residual": options.residual,
        "huber_delta": options.huber_delta,
        "backtest": options.backtest,
        **({"fit": options.laws} if options.laws else {}),
    }
    unknown = sorted(set(options.laws or ()) - set(LAWS))
    if unknown:
        raise InputError(f"--laws {unknown[0]}", "there is no such law", f"Choose of: {', '.join(LAWS)}.")
    laws = fit_laws(observations, settings, options.seed, study=stem, processes=_processes())
    fitted = {name.partition(":")[0] for name in laws.laws}
    for name in (name for name in options.laws or () if name not in fitted):
        console.print(f"  [yellow]not fitted[/yellow] {name}: it needs {NEEDS[name]}", highlight=False)
    write_laws(laws, folder / "laws.json", folder / "laws_draws.npz", {"table": options.table, "seed": options.seed})
    draw_figures(observations, laws, folder / "figures", Look(), {"table": options.table}, processes=_processes())
    console.print(summary(folder))
    console.print(f"Laws: {folder / 'laws.json'}   figures: {folder / 'figures'}", highlight=False)


def _processes() -> int:
    return min(os.cpu_count() or 1, MOST_PROCESSES)


def _figures(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.figures.draw import Look, check_drawing, draw_figures
    from scalelaws.laws.study import fit_laws

    look, processes = Look(options.style), _processes()
    check_drawing(look, options.only)
    folder = results_to(options.out, options.table, "figures")
    observations, stem = _observations(options, console)
    laws = fit_laws(observations, {}, options.seed, study=stem, processes=processes)
    origin = {"table": options.table, "seed": options.seed}
    index = draw_figures(observations, laws, folder, look, origin, only=options.only, processes=processes)
    for entry in index:
        if "reason" in entry:
            reason = f"  not drawn: {entry['name']} ({entry['reason']})"
            console.print(reason, highlight=False, style="dim", soft_wrap=True)
    console.print(f"{sum('reason' not in entry for entry in index)} figures: {folder}", highlight=False)


def _observations(options: argparse.Namespace, console: Console) -> "tuple[Observations, str]":
    """The table that the options name, how it was read being said, and its name without an ending."""
    from scalelaws.observations.read import read_table

    named = {word: getattr(options, f"column_{word}") for word in WORDS.values()}
    columns = {word: column for word, column in named.items() if column}
    reading = read_table(options.table, columns, _units(options.unit), options.where)
    for line in reading.how:
        console.print(f"  read {line}", highlight=False)
    for line in reading.warnings:
        console.print(f"  [yellow]warning[/yellow] {line}", highlight=False)
    return reading.observations, name_of(options.table)


def _predict(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.laws.answers import predictions
    from scalelaws.laws.summary import answers_table

    asked = {name: getattr(options, name) for name in ("parameters", "tokens", "flops", "loss")}
    given = {name: value for name, value in asked.items() if value is not None}
    console.print(answers_table(predictions(_laws(options.laws), given, options.law)))


def _allocate(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.laws.answers import splits
    from scalelaws.laws.summary import answers_table

    console.print(answers_table(splits(_laws(options.laws), options.flops)))


def _design(options: argparse.Namespace, console: Console) -> None:
    from rich.table import Table

    from scalelaws.laws.budget import CHINCHILLA, best_design, config_fragment, expected_errors, plain_grid, prior_of
    from scalelaws.training.plan import NOMINAL_RATES
    from scalelaws.units import readable

    law, noise = prior_of(_laws(options.laws), str(options.laws)) if options.laws else (CHINCHILLA, 0.005)
    noise = options.noise or noise
    budget = options.flops or options.hours * 3600 * NOMINAL_RATES[options.hardware]
    target = options.predict or 10 * budget
    # The largest run at Chinchilla's 20 tokens per parameter takes a tenth of the budget; sizes span a factor 300.
    largest = (budget / 1200) ** 0.5
    sizes = tuple(options.sizes or (largest / 300, largest))
    # Hours are spent on attention and output layer too.
    total = options.hours is not None
    design = best_design(budget, options.runs, target, sizes, options.max_tokens, law, total=total)
    costs = design.flops_total if total else design.flops
    runs = Table(box=None)
    for heading in ("N", "D", "D / N", "FLOPs", "share"):
        runs.add_column(heading, justify="right")
    for n, d, flops in zip(design.parameters, design.tokens, costs, strict=True):
        runs.add_row(readable(n), readable(d), f"{d / n:.3g}", f"{flops:.3g}", f"{flops / budget:.1%}")
    console.print(runs)
    side, span = int(options.runs**0.5), 30
    grid = plain_grid(design.flops.sum(), (side, side), (span, span), law)
    console.print(f"95% intervals to expect, at a noise of {noise:.2g} in ln loss:", highlight=False)
    errors = Table(box=None)
    for heading in ("", "this design", f"{side} × {side} grid over {span}×"):
        errors.add_column(heading, justify="right" if heading else "left")
    ours, plain = (expected_errors(chosen, law, noise, target) for chosen in (design, grid))
    words = {"E": "floor E, nats", "a": "exponent of N_opt(C)", "loss": f"loss at {target:.2g} FLOPs"}
    for name, error in ours.items():
        unit = ".1%" if name == "loss" else ".3f"
        errors.add_row(words.get(name, name), f"± {error:{unit}}", f"± {plain[name]:{unit}}")
    console.print(errors)
    console.print(config_fragment(design), highlight=False, soft_wrap=True)


def _train(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.training.files import train_planned
    from scalelaws.training.plan import check_plan

    check_plan(options.plan)
    train_planned(options.plan, options.run, options.out, options.threads)


def _export(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.models.export import export_run

    export_run(options.run, options.folder)
    how = ", trust_remote_code=True" if (options.folder / "hub.py").exists() else ""
    call = f"transformers.AutoModelForCausalLM.from_pretrained({str(options.folder)!r}{how})"
    console.print(call, highlight=False, soft_wrap=True)


def _push(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.corpus.publish import push_corpus

    console.print(push_corpus(options.corpus, options.name, not options.public), highlight=False, soft_wrap=True)


def _keep(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.config import read_config
    from scalelaws.report.keep import keep_study

    config = read_config(options.study)
    keep_study(Path("results") / config["study"], options.study, config.get("corpora", {}), options.folder)
    again = f"snakemake --configfile {options.folder / 'config.yaml'} --config finished={options.folder}"
    console.print(f"Laws, figures and report of it: {again}", highlight=False, soft_wrap=True)


def _tensorboard(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.training.events import write_events

    write_events(options.study)
    console.print(f"Learning curves: tensorboard --logdir {options.study / 'tensorboard'}", highlight=False)


def _compare(options: argparse.Namespace, console: Console) -> None:
    from scalelaws.laws.answers import comparison
    from scalelaws.laws.summary import comparison_table

    first, second = _laws(options.first), _laws(options.second)
    console.print(comparison_table(comparison(first, second), first.study, second.study))


def _laws(named: Path) -> "Laws":
    """The laws in a laws.json, or in the folder that has one."""
    from scalelaws.laws.files import read_laws

    path = named / "laws.json" if named.is_dir() else named
    return read_laws(path, path.with_name("laws_draws.npz"))


def _units(given: Sequence[str]) -> dict[str, float]:
    units = {}
    for text in given:
        word, _, factor = text.partition("=")
        try:
            units[WORDS.get(word, word)] = positive()(factor)
        except (ValueError, argparse.ArgumentTypeError):
            raise InputError(f"--unit {text}", "not understood", "Write it like parameters=1e6.") from None
    return units


if __name__ == "__main__":
    sys.exit(main())
