"""What the page's interactive figure shows: runs, curves, splits of compute and other text, with the laws over them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from scalelaws.figures.select import law_of, readable_name
from scalelaws.figures.style import SIZE_MAPS, SizeColours, category_marks
from scalelaws.figures.words import number
from scalelaws.laws.fitted import DETERMINED, FittedLaw, Laws
from scalelaws.observations.table import Observations
from scalelaws.units import readable

LABELS = {
    "parameters": "Parameters N (non-embedding)",
    "dataset_tokens": "Dataset size D (tokens)",
    "tokens": "Tokens processed",
    "flops": "Compute C (FLOPs)",
}
LOSS = "Held-out loss (nats/token)"
GRID = 48
MOST_GROUPS = 9
NameGroups = Callable[[pd.Series], list[str]]
BEYOND = 4.0
DARK_MAP_FROM = 0.3
"""Where the maps of sizes begin on a dark page: their dark end would vanish there."""


def explorer_data(observations: Observations, laws: Laws) -> list[dict[str, Any]]:
    """Views of the study, each a list of charts that differ in what stands along x.

    A chart has labels, `groups` (name, colour, colour on dark) that can be switched off, `points` and `lines` with the
    group of each, the words to show over a point, and `laws` to choose from, each a list of curves with 95% bands.
    """
    observations = observations.of_variants()
    views = [
        {"title": "Runs and their laws", "charts": list(_runs(observations, laws))},
        {"title": "Learning curves", "charts": list(_curves(observations))},
        {"title": "The best split of compute", "charts": list(_splits(laws))},
        {"title": "Loss on other text", "charts": list(_other_text(observations, laws))},
    ]
    return [view for view in views if view["charts"]]


def _runs(observations: Observations, laws: Laws) -> Iterable[dict[str, Any]]:
    corpus = observations.train_corpus
    rows = observations.results(corpus)
    for column, other, dial in (
        ("parameters", "dataset_tokens", "D"),
        ("dataset_tokens", "parameters", "N"),
        ("flops", "parameters", "N"),
    ):
        groups, names = _size_groups(rows[other], dial)
        shown = [_curves_of(law, column, groups) for law in _laws_against(laws, corpus, column)]
        yield {
            "axis": LABELS[column],
            "y": LOSS,
            "groups": groups,
            "points": _points(rows, column, "loss", names(rows[other]), _run_words(rows)),
            "lines": [],
            "laws": shown,
        }


def _curves(observations: Observations) -> Iterable[dict[str, Any]]:
    rows = observations.curves(observations.train_corpus)
    if rows.empty or rows.groupby("run")["step"].nunique().max() < 2:
        return
    groups, names = _size_groups(rows["parameters"], "N")
    words = [
        f"{row.run}, step {row.step:,}: {number(row.loss, 4)} nats/token after {readable(row.tokens)} tokens"
        for row in rows.itertuples()
    ]
    for column in ("tokens", "flops"):
        lines = [
            {"group": names(part["parameters"])[0], "x": _numbers(part[column]), "y": _numbers(part["loss"])}
            for _, part in rows.groupby("run")
        ]
        yield {
            "axis": LABELS[column],
            "y": LOSS,
            "groups": groups,
            "points": _points(rows, column, "loss", names(rows["parameters"]), words),
            "lines": lines,
            "laws": [],
        }


def _splits(laws: Laws) -> Iterable[dict[str, Any]]:
    found = [each for each in laws.allocations.values() if len(each.table)]
    names = {each.approach: _said(each.title, each.status) for each in found}
    groups = _groups(list(names.values()))
    for share, label in (("parameters", "Best size N (parameters)"), ("tokens", "Best data D (tokens)")):
        curves, optima = [], []
        for each in found:
            table = each.table.sort_values("flops")
            line = {"group": names[each.approach], "x": _numbers(table["flops"]), "y": _numbers(table[share])}
            if each.status == DETERMINED:
                line |= {"low": _numbers(table[f"{share}_low"]), "high": _numbers(table[f"{share}_high"])}
            curves.append(line)
            optima.append(each.points[each.points["used"]].assign(group=names[each.approach]))
        if not curves:
            return
        rows = pd.concat(optima)
        words = [
            f"{row.group}: N = {readable(row.parameters)}, D = {readable(row.tokens)} at {number(row.flops, 2)} FLOPs"
            for row in rows.itertuples()
        ]
        yield {
            "axis": label,
            "x": LABELS["flops"],
            "y": label,
            "groups": groups,
            "points": _points(rows, "flops", share, list(rows["group"]), words),
            "lines": [],
            "laws": [{"title": "95% intervals", "curves": curves}],
        }


def _other_text(observations: Observations, laws: Laws) -> Iterable[dict[str, Any]]:
    held_out = observations.results(observations.train_corpus)[["run", "loss"]]
    parts, curves = [], []
    for corpus in sorted(set(observations.losses["corpus"]) - {observations.train_corpus}):
        rows = observations.results(corpus).merge(held_out, on="run", suffixes=("", "_held_out"))
        if rows.empty:
            continue
        name = readable_name(corpus)
        parts.append(rows.assign(group=name))
        law = law_of(laws, "transfer_line", corpus)
        if law is not None and law.status == DETERMINED:
            x = np.linspace(*law.ranges["loss"], GRID)
            low, high = law.band(0.95, loss=x)
            y = law.predict(loss=x)
            curves.append(
                {"group": name, "x": _numbers(x), "y": _numbers(y), "low": _numbers(low), "high": _numbers(high)}
            )
    if not parts:
        return
    rows = pd.concat(parts)
    words = [
        f"{row.run} on {row.group}: {number(row.loss, 4)}, held out {number(row.loss_held_out, 4)}"
        for row in rows.itertuples()
    ]
    yield {
        "axis": LOSS,
        "y": "Loss on other text (nats/token)",
        "linear": True,
        "groups": _groups(list(dict.fromkeys(rows["group"]))),
        "points": _points(rows, "loss_held_out", "loss", list(rows["group"]), words),
        "lines": [],
        "laws": [{"title": "Lines with 95% bands", "curves": curves}],
    }


def _laws_against(laws: Laws, corpus: str, column: str) -> list[FittedLaw]:
    """Fitted laws of the held-out loss that are functions of this column alone, or of N and D where it is either."""
    wanted = [{column}] if column == "flops" else [{column}, {"parameters", "dataset_tokens"}]
    return [
        law
        for law in laws.laws.values()
        if law.corpus == corpus and law.parameters and set(law.variables) in wanted and law.form != "gap_power"
    ]


def _curves_of(law: FittedLaw, column: str, groups: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A law along `column`: one curve, or one for each value of the other variable."""
    low, high = law.ranges[column]
    x = np.geomspace(low / 1.3, high * BEYOND, GRID)
    others = [name for name in law.variables if name != column]
    curves = []
    for group in groups if others else [{"name": "", "value": 0.0}]:
        at = {column: x, **{name: np.full_like(x, group["value"]) for name in others}}
        curve = {"group": group["name"], "x": _numbers(x), "y": _numbers(law.predict(**at)), "solid": [low, high]}
        if law.status == DETERMINED:
            bottom, top = law.band(0.95, **at)
            curve |= {"low": _numbers(bottom), "high": _numbers(top)}
        curves.append(curve)
    return {"title": _said(law.title, law.status), "curves": curves}


def _said(title: str, status: str) -> str:
    return title if status == DETERMINED else f"{title} (not determined)"


def _run_words(rows: pd.DataFrame) -> list[str]:
    return [
        f"{row.run}: N = {readable(row.parameters)}, D = {readable(row.dataset_tokens)}, "
        f"C = {number(row.flops, 2)} FLOPs, L = {number(row.loss, 4)} nats/token, {row.status.replace('_', ' ')}"
        for row in rows.itertuples()
    ]


def _points(rows: pd.DataFrame, x: str, y: str, groups: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    return {"x": _numbers(rows[x]), "y": _numbers(rows[y]), "group": list(groups), "words": list(words)}


def _size_groups(values: pd.Series, dial: str) -> tuple[list[dict[str, Any]], NameGroups]:
    """A group for each size, or for each range of sizes where there are many; and what names the groups of rows."""
    sizes = np.sort(values.unique().astype(float))
    many = len(sizes) > MOST_GROUPS
    edges = np.geomspace(sizes[0], sizes[-1] * (1 + 1e-9), MOST_GROUPS + 1) if many else sizes
    place = (np.searchsorted(edges, sizes, side="right") - 1).clip(0, len(edges) - 2 if many else None)
    middles = {int(i): float(np.exp(np.log(sizes[place == i]).mean())) for i in np.unique(place)}
    names = {
        i: f"{dial} = {readable(edges[i])} to {readable(edges[i + 1])}" if many else f"{dial} = {readable(middle)}"
        for i, middle in middles.items()
    }
    colours = SizeColours(list(middles.values()), dial)
    whole = mpl.colormaps[SIZE_MAPS[dial]]
    groups = [
        {
            "name": names[i],
            "value": middle,
            "colour": to_hex(colours(middle)),
            "dark": to_hex(whole(DARK_MAP_FROM + (1 - DARK_MAP_FROM) * float(colours.norm(middle)))),
        }
        for i, middle in middles.items()
    ]
    group_of = dict(zip(sizes, (names[int(i)] for i in place), strict=True))
    return groups, lambda rows: [group_of[float(value)] for value in rows]


def _groups(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"name": name, "colour": colour, "dark": colour} for name, (colour, _) in category_marks(names).items()]


def _numbers(values: Any) -> list[float]:
    """Five digits are more than a screen can show, and keep the page small."""
    return [float(f"{value:.5g}") for value in values]
