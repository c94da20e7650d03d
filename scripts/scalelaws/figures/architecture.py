"""Figures of what a model is made of: its shape, its embeddings, its family."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.marks import canvas, legend_above, points, size_bar
from scalelaws.figures.registry import NotDrawableError, figure, unrecorded
from scalelaws.figures.select import law_of, of_one_kind, ood_corpora, readable_name
from scalelaws.figures.style import SizeColours, category_marks
from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations
from scalelaws.units import readable

ALIKE = 0.25
"""Models whose ln N differ by less than this count as one size in different shapes."""
FEWEST_SHAPES = 3

unrecorded(
    "loss_by_position",
    "Loss by position in the window",
    "Loss against the position of the token in its window, for Transformers and LSTMs of every size.",
    "the table records one mean loss over all positions of a window, none by position",
    __name__,
)


@figure(
    "Loss against shape",
    "By how much each model's loss differs from what its size N and data D let expect, against how wide it is for "
    "its depth, and against the width of its attention heads. Flat rows of points mean that only N counts.",
)
def shape(observations: Observations, laws: Laws) -> Figure:
    """Loss against aspect ratio and head size at given N (Kaplan et al. 2020, figure 5, middle and right)."""
    rows = _shaped(of_one_kind(observations.results(observations.train_corpus)))
    law = law_of(laws, "chinchilla", observations.train_corpus) or law_of(laws, "kaplan", observations.train_corpus)
    if law is None:
        raise NotDrawableError("no law of N and D could be fitted, which shapes are compared against")
    expected = law.predict(parameters=rows["parameters"], dataset_tokens=rows["dataset_tokens"])
    rows = rows.assign(excess=100 * (rows["loss"] / expected - 1), aspect=rows["d_model"] / rows["n_layer"])
    ratios = {"aspect": "Aspect ratio, width over layers"}
    if (rows["n_head"] > 0).all() and len(rows["n_head"].unique()) > 1:
        rows = rows.assign(head=rows["d_model"] / rows["n_head"])
        if len(rows["head"].unique()) > 1:
            ratios["head"] = "Head size, width over heads"
    sheet, axes = canvas(rows=len(ratios), height=0.4 + 2.1 * len(ratios))
    colours = SizeColours(rows["parameters"].unique(), "N")
    for ax, (column, label) in zip(axes, ratios.items(), strict=True):
        for size, part in rows.groupby("parameters"):
            points(ax, part[column], part["excess"], f"N = {readable(size)}", colours(size), colours.marker(size))
        ax.axhline(0, color="0.3", linewidth=0.8, zorder=1)
        log_axis(ax, "x", label)
        ax.set_ylabel("Loss over $L(N,D)$ − 1 (%)")
    size_bar(sheet, axes, colours, "$N$")
    return sheet


@figure(
    "With and without embeddings",
    "Loss of the runs on the most data against the parameters with embeddings (above) and without (below), by depth. "
    "Counted without, models of every depth fall on one line.",
)
def embeddings(observations: Observations, laws: Laws) -> Figure:
    """Loss against total and against non-embedding parameters (Kaplan et al. 2020, figure 6)."""
    rows = observations.results(observations.train_corpus)
    rows = of_one_kind(rows[rows["dataset_tokens"] == rows["dataset_tokens"].max()])
    if not (rows["embedding_parameters"] > 0).all():
        raise NotDrawableError("the embedding parameters were not recorded")
    sheet, axes = canvas(rows=2, height=4.2)
    marks = category_marks([f"{depth}" for depth in sorted(rows["n_layer"].unique())])
    counted = (
        (rows["parameters"] + rows["embedding_parameters"], "Parameters with embeddings"),
        (rows["parameters"], LABELS["parameters"]),
    )
    for ax, (x, label) in zip(axes, counted, strict=True):
        for depth, part in rows.assign(x=x).groupby("n_layer"):
            colour, marker = marks[f"{depth}"]
            name = f"{depth} layer{'s' if depth > 1 else ''}"
            points(ax, part["x"], part["loss"], name, colour, marker, label=name)
        log_axis(ax, "x", label)
        log_axis(ax, "y", LABELS["loss"])
    legend_above(sheet, columns=4)
    return sheet


@figure(
    "Families of models",
    "Held-out loss of the runs on the most data against size N (above) and compute C (below), by family: "
    "Transformers, LSTMs, recurrent (Universal) Transformers that use their parameters several times.",
)
def families(observations: Observations, laws: Laws) -> Figure:
    """Loss by family against N and C (Kaplan et al. 2020, figure 7, left, and figure 17)."""
    rows = observations.results(observations.train_corpus)
    rows = rows[rows["dataset_tokens"] == rows["dataset_tokens"].max()]
    if rows["family"].nunique() < 2:
        raise NotDrawableError("all runs on the most data are of one family of models")
    sheet, axes = canvas(rows=2, height=4.2)
    marks = category_marks(sorted(rows["family"].unique()))
    for ax, column in zip(axes, ("parameters", "flops"), strict=True):
        for family, part in rows.groupby("family"):
            colour, marker = marks[str(family)]
            middle = part.groupby(column)["loss"].min()
            points(ax, part[column], part["loss"], str(family), colour, marker, label=readable_name(str(family)))
            ax.plot(middle.index, middle, color=colour, linewidth=0.6)
        log_axis(ax, "x", LABELS[column])
        log_axis(ax, "y", LABELS["loss"])
    legend_above(sheet, columns=3)
    return sheet


@figure(
    "Depth and other text",
    "Loss on each corpus against the number of layers, for models of nearly one size N. If depth mattered for what "
    "carries over to other text, the lines through the best runs would not be parallel.",
)
def depth_and_transfer(observations: Observations, laws: Laws) -> Figure:
    """OOD loss against depth at about one N (Kaplan et al. 2020, figure 24)."""
    corpora = ood_corpora(observations)
    held_out = observations.results(observations.train_corpus)
    largest = of_one_kind(held_out[held_out["dataset_tokens"] == held_out["dataset_tokens"].max()])
    runs = _most_depths(largest)
    sheet, (ax,) = canvas()
    marks = {observations.train_corpus: ("#1a1a1a", "o"), **category_marks(corpora)}
    for corpus, (colour, marker) in marks.items():
        rows = observations.results(corpus)
        rows = rows[rows["run"].isin(runs["run"])]
        name = "held out" if corpus == observations.train_corpus else readable_name(corpus)
        middle = rows.groupby("n_layer")["loss"].min()
        points(ax, rows["n_layer"], rows["loss"], name, colour, marker, label=name)
        ax.plot(middle.index, middle, color=colour, linewidth=0.6)
    log_axis(ax, "x", "Layers")
    log_axis(ax, "y", "Loss (nats/token)")
    low, high = (readable(end) for end in (runs["parameters"].min(), runs["parameters"].max()))
    ax.set_title(f"$N$ = {low}" if low == high else f"$N$ from {low} to {high}", loc="left")
    legend_above(sheet, columns=2)
    return sheet


def _shaped(rows: pd.DataFrame) -> pd.DataFrame:
    """Runs at the largest D whose size N was built in several shapes."""
    rows = rows[(rows["n_layer"] > 0) & (rows["d_model"] > 0)]
    shapes = rows[["n_layer", "d_model"]].drop_duplicates()
    if len(shapes) <= max(shapes["n_layer"].nunique(), shapes["d_model"].nunique(), FEWEST_SHAPES - 1):
        raise NotDrawableError("width and depth were not varied apart from each other")
    return rows


def _most_depths(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the runs whose sizes are alike, those of the window of sizes that holds most depths."""
    logs = np.log(rows["parameters"])
    windows = [rows[(logs >= low) & (logs <= low + ALIKE)] for low in sorted(logs.unique())]
    best = max(windows, key=lambda window: window["n_layer"].nunique())
    if best["n_layer"].nunique() < 2:
        raise NotDrawableError("no size N was trained at two depths")
    return best
