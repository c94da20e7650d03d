"""The laws of a study as a table for a terminal, from the JSON alone, so that it is quick to show."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scalelaws.errors import InputError
from scalelaws.io import read_json
from scalelaws.laws.whole import whole
from scalelaws.units import readable

if TYPE_CHECKING:
    from scalelaws.laws.answers import Answer, Difference

DETERMINED = "determined"
COUNTED = {"parameters", "tokens"}
ALLOCATED = {"parameters": "a", "tokens": "b"}
"""The letters of an allocation's exponents, N ∝ C^a and D ∝ C^b."""


def results_folder(named: str | Path) -> Path:
    """The results folder that a configuration, itself or its laws.json names. Raises InputError if it has no laws."""
    path = Path(named)
    if path.suffix in (".yaml", ".yml"):
        from scalelaws.config import read_settings

        settings = read_settings(path)
        if "study" not in settings:
            raise InputError(f"{path}: top level", "the key 'study' is missing", "Add it.")
        path = Path("results") / str(settings["study"])
    elif path.name == "laws.json":
        path = path.parent
    if not (path / "laws.json").is_file():
        raise InputError(str(path), "holds no laws.json", "Run the study first: make run CONFIG=<its configuration>.")
    return path


def summary(folder: Path) -> RenderableType:
    """What a study found: its laws with intervals and backtests, the split of compute, and where a report is."""
    with whole(folder / "laws.json"):
        parts = _parts(read_json(folder / "laws.json"))
    if (report := folder / "report.html").is_file():
        parts.append(Text.assemble("Report: ", (str(report), "bold")))
    return Group(*parts)


def _parts(document: Mapping[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = [laws_table(document)]
    if document["allocations"]:
        parts.append(allocation_table(document))
    if document["ranking"]["law"]:
        parts.append(ranking_table(document))
    if document["derived"]:
        parts.append(derived_table(document))
    if any(DETERMINED in found["status"].values() for found in document.get("accounts", {}).values()):
        parts.append(accounts_table(document))
    notes = [f"{law['title']}: {why}" for law in document["laws"].values() for why in law["messages"]]
    notes += [f"{found['title']}: {why}" for found in document["allocations"].values() for why in found["messages"]]
    if notes:
        parts.append(Text("\n".join(["Notes", *(f"  · {note}" for note in dict.fromkeys(notes))]), style="dim"))
    return parts


def laws_table(document: Mapping[str, Any]) -> Table:
    """One row per law: parameters with 95% intervals, status, error of the backtest."""
    table = Table(title=f"Scaling laws of the study {document['study']}", title_justify="left", title_style="bold")
    for column in ("law", "parameters with 95% intervals", "status", "backtest"):
        table.add_column(column, overflow="fold")
    for law in document["laws"].values():
        values = "\n".join(f"{name} = {_estimate(e)}" for name, e in law["parameters"].items()) or "–"
        table.add_row(law["title"], values, _status(law["status"]), _backtest(law["backtest"]))
    return table


def allocation_table(document: Mapping[str, Any]) -> Table:
    """One row per approach: the exponents of N_opt and D_opt against compute."""
    table = Table(title="Compute-optimal N ∝ C^a, D ∝ C^b", title_justify="left", title_style="bold")
    for column in ("approach", *ALLOCATED.values(), "status"):
        table.add_column(column)
    for found in document["allocations"].values():
        exponents = [_estimate(found["exponents"][k]) if found["exponents"] else "–" for k in ALLOCATED]
        table.add_row(found["title"], *exponents, _status(found["status"]))
    return table


def ranking_table(document: Mapping[str, Any]) -> Table:
    """The laws by the error of what they predicted without having seen it, those of the same runs together."""
    table = Table(title="Fitted without the largest runs, they predict them", title_justify="left", title_style="bold")
    for column in ("law", "runs", "decades beyond", "mean error", "worst"):
        table.add_column(column, justify="left" if column == "law" else "right")
    ranks = document["ranking"]
    for law, runs, decades, mean, worst in zip(
        *(ranks[key] for key in ("law", "predicted", "decades", "mean_error", "worst_error")), strict=True
    ):
        table.add_row(law, str(runs), f"{decades:.1f}", f"{mean:.2%}", f"{worst:.2%}")
    return table


def derived_table(document: Mapping[str, Any]) -> Table:
    """What follows from the laws."""
    table = Table(title="What follows", title_justify="left", title_style="bold")
    for column in ("quantity", "value with 95% interval"):
        table.add_column(column, overflow="fold")
    for found in document["derived"].values():
        table.add_row(found["title"], f"{_estimate(found['estimate'])} {found['estimate']['unit']}".rstrip())
    return table


def accounts_table(document: Mapping[str, Any]) -> Table:
    """The exponents that one account or the other determines, under each; laws.json has those of neither too."""
    table = Table(title="Exponents by what is counted", title_justify="left", title_style="bold")
    accounts = list(dict.fromkeys(key for found in document["accounts"].values() for key in found["estimates"]))
    for column in ("law", "exponent", *(account.replace("_", " ") for account in accounts)):
        table.add_column(column, overflow="fold")
    for found in document["accounts"].values():
        if DETERMINED in found["status"].values():
            symbol = ALLOCATED.get(found["exponent"], found["exponent"])
            table.add_row(found["title"], symbol, *(_counted(found, account) for account in accounts))
    return table


def number(value: float, unit: str = "") -> str:
    """A value as a report prints it: three to four digits, counts with a letter."""
    if unit in COUNTED and 1 <= abs(value) < 1e15:
        return readable(value)
    return f"{value:.4g}"


def _estimate(estimate: Mapping[str, Any]) -> str:
    value, low, high = (number(estimate[key], estimate["unit"]) for key in ("value", "low", "high"))
    return f"{value} ({low} – {high})"


def _counted(found: Mapping[str, Any], account: str) -> Text:
    if account not in found["estimates"]:
        return Text("–")
    value, status = _estimate(found["estimates"][account]), found["status"][account]
    return Text(value) if status == DETERMINED else Text(f"{value} {status}", style="yellow")


def _status(status: str) -> Text:
    return Text(status, style="green" if status == DETERMINED else "yellow")


def _backtest(backtest: Mapping[str, Any] | None) -> str:
    if backtest is None:
        return "–"
    return f"{backtest['mean_error']:.1%} error, {backtest['decades']:.1f} decades beyond"


def answers_table(answers: "Sequence[Answer]") -> RenderableType:
    """One row per law that answers: each value with its 95% interval; warnings below."""
    table = Table()
    table.add_column("law", overflow="fold")
    names = list(answers[0].values)
    for name in names:
        table.add_column(name.replace("_", " "))
    for answer in answers:
        cells = (tuple(number(v, name if name in COUNTED else "") for v in answer.values[name]) for name in names)
        table.add_row(answer.law, *(f"{value} ({low} – {high})" for value, low, high in cells))
    notes = [f"  · {answer.law}: {warning}" for answer in answers for warning in answer.warnings]
    return Group(table, Text("\n".join(notes), style="yellow")) if notes else table


def comparison_table(differences: "Sequence[Difference]", first: str, second: str) -> Table:
    """One row per parameter of the laws that both studies fitted."""
    table = Table()
    for column in ("law", "parameter", first, second, "difference, 95% interval", "agree"):
        table.add_column(column, overflow="fold")
    for d in differences:
        words = Text("yes", style="green") if d.agree else Text("no", style="yellow")
        spread = f"{number(d.low)} – {number(d.high)}"
        table.add_row(d.law, d.parameter, number(d.first), number(d.second), spread, words)
    return table
