"""Figures of what a model is made of: its shape, its embeddings, its family."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.marks import canvas, curve, legend_above, points, size_bar
from scalelaws.figures.positions import FORM, binned, fitted_losses, losses_of_models
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.select import of_one_kind, on_shared_data, ood_corpora, readable_name
from scalelaws.figures.style import MARKERS, SizeColours, category_marks
from scalelaws.laws.fitted import Laws
from scalelaws.laws.joint import joint_laws
from scalelaws.observations.table import Observations
from scalelaws.units import readable

ALIKE = 0.25
"""Models whose ln N differ by less than this count as one size in different shapes."""
FEWEST_SHAPES = 3
RATIOS = {
    "feed_forward_ratio": "Feed-forward ratio, its width over the model's",
    "aspect": "Aspect ratio, width over layers",
    "head": "Head size, width over heads",
}
"""What a shape is told by, and the labels."""
Styles = dict[str, tuple[str, str]]
"""Marker and line of each family."""
STYLES = ("-", "--", ":", "-.")
"""Lines of the families, the first one's solid with filled points."""
FOLLOWED = 5
"""So many bins of positions, from the first to the last, are followed over sizes."""


@figure(
    "Loss against shape",
    "By how much each model's loss differs from what its size N and data D let expect, against the width of its "
    "feed-forward layers, its width over its depth, and the width of its heads, as far as the runs varied them. Flat "
    "rows of points mean that only N counts.",
    sweeps=("aspect_ratio", "head_size", "feed_forward_ratio"),
)
def shape(observations: Observations, laws: Laws) -> Figure:
    """Loss against feed-forward ratio, aspect ratio and head size at given N (Kaplan et al. 2020, figure 5)."""
    rows = of_one_kind(observations.results(observations.train_corpus))
    rows = _with_ratios(rows[(rows["n_layer"] > 0) & (rows["d_model"] > 0)])
    ratios = {name: label for name, label in RATIOS.items() if _in_several_shapes(rows, name)}
    if not ratios:
        raise NotDrawableError(f"no size N was trained in {FEWEST_SHAPES} shapes")
    rows = rows.assign(excess=100 * (rows["loss"] / _expected(rows, observations, laws) - 1))
    sheet, axes = canvas(rows=len(ratios), height=0.4 + 2.1 * len(ratios))
    colours = SizeColours(rows["parameters"].unique(), "N")
    for ax, (column, label) in zip(axes, ratios.items(), strict=True):
        for size, part in rows.groupby("parameters"):
            points(ax, part[column], part["excess"], f"N = {readable(size)}", colours(size), colours.marker(size))
        ax.axhline(0, color="0.3", linewidth=0.8, zorder=1)
        log_axis(ax, "x", label)
        ax.set_ylabel("Loss over expected − 1 (%)")
    size_bar(sheet, axes, colours, "$N$")
    return sheet


@figure(
    "With and without embeddings",
    "Loss of the runs on the most data that most sizes had, against the parameters with embeddings (above) and without "
    "(below), by depth. Kaplan et al. found models of every depth on one line when counted without; where the "
    "embedding is as large as the layers, they may lie on one when counted with it.",
    sweeps=("aspect_ratio",),
)
def embeddings(observations: Observations, laws: Laws) -> Figure:
    """Loss against total and against non-embedding parameters (Kaplan et al. 2020, figure 6)."""
    rows = of_one_kind(on_shared_data(observations.results(observations.train_corpus)))
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
    "Held-out loss against size N (above) and compute C (below), by family, of the runs on the most data that all of "
    "them had: Transformers, LSTMs, recurrent (Universal) Transformers that use their parameters several times.",
    sweeps=("transformer", "lstm", "universal", "recurrence"),
)
def families(observations: Observations, laws: Laws) -> Figure:
    """Loss by family against N and C (Kaplan et al. 2020, figure 7, left, and figure 17)."""
    rows = observations.results(observations.train_corpus)
    together = rows.groupby("dataset_tokens")["family"].nunique()
    if together.max() < 2:
        raise NotDrawableError("no two families of models had the same data")
    rows = rows[rows["dataset_tokens"] == together.index[together == together.max()].max()]
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
    "Loss by position in the context",
    "Above: held-out loss of the runs on the most data that most sizes had, at each position of the context, by size. "
    "Points are means over positions within a factor of 2, lines a law of position fitted to every position. A model "
    "that makes use of distant words goes on falling to the right. Below: how the loss at some positions falls with "
    "size. All read the same windows, so that chance moves the points of one position together.",
    sweeps=("transformer", "lstm", "universal", "recurrence"),
)
def loss_by_position(observations: Observations, laws: Laws) -> Figure:
    """Loss per token by position, size and family (Kaplan et al. 2020, figure 7, right, and figures 20 and 21)."""
    losses = losses_of_models(observations)
    bins = binned(losses)
    numbers = np.sort(bins["bin"].unique())
    chosen = numbers[np.linspace(0, len(numbers) - 1, FOLLOWED).round().astype(int)]
    followed = bins[bins["bin"].isin(chosen)].assign(position=lambda rows: rows["position"].round())
    families = sorted(losses["family"].unique(), key=lambda family: (family != "transformer", family))
    styles = {family: (MARKERS[i], STYLES[i % len(STYLES)]) for i, family in enumerate(families)}
    sizes, places = SizeColours(losses["parameters"].unique(), "N"), SizeColours(followed["position"].unique(), "T")
    sheet, (above, below) = canvas(rows=2, height=4.6)
    _over_positions(above, losses, bins, sizes, styles)
    _over_sizes(below, followed, places, styles)
    size_bar(sheet, [above], sizes, "$N$")
    size_bar(sheet, [below], places, "$T$")
    legend_above(sheet, _family_keys(styles), columns=3)
    return sheet


@figure(
    "Loss against the length of the context",
    "Held-out loss of the runs on the most data that most sizes had against the tokens in a window, by size N. A "
    "longer context gives every prediction more to go by.",
    sweeps=("context", "rotary", "learned"),
)
def context(observations: Observations, laws: Laws) -> Figure:
    """Loss against context (Kaplan et al. 2020, appendix D.5)."""
    rows = observations.results(observations.train_corpus)
    rows = of_one_kind(on_shared_data(rows[rows["context"] > 0]))
    if rows["context"].nunique() < 2:
        raise NotDrawableError("all runs on the most data had one length of context")
    sheet, (ax,) = canvas()
    colours = SizeColours(rows["parameters"].unique(), "N")
    marks = category_marks(sorted(rows["positions"].unique()))
    for (size, positions), part in rows.groupby(["parameters", "positions"]):
        name = f"N = {readable(size)}, {positions} positions"
        middle = part.groupby("context")["loss"].mean()
        points(ax, part["context"], part["loss"], name, colours(size), marks[str(positions)][1])
        ax.plot(middle.index, middle, color=colours(size), linewidth=0.7)
    for positions, (_, marker) in marks.items():
        ax.plot([], [], marker, color="0.3", label=f"{positions} positions")
    log_axis(ax, "x", "Context (tokens)")
    log_axis(ax, "y", LABELS["loss"])
    size_bar(sheet, [ax], colours, "$N$")
    legend_above(sheet, columns=2)
    return sheet


@figure(
    "Depth and other text",
    "Loss on each corpus against the number of layers, for models of nearly one size N. If depth mattered for what "
    "carries over to other text, the lines through the best runs would not be parallel.",
    sweeps=("aspect_ratio",),
)
def depth_and_transfer(observations: Observations, laws: Laws) -> Figure:
    """OOD loss against depth at about one N (Kaplan et al. 2020, figure 24)."""
    corpora = ood_corpora(observations)
    held_out = observations.results(observations.train_corpus)
    runs = _most_depths(of_one_kind(on_shared_data(held_out)))
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


def _over_positions(ax: Axes, losses: pd.DataFrame, bins: pd.DataFrame, colours: SizeColours, styles: Styles) -> None:
    """The binned losses of each family's sizes against position, with the law fitted to every position."""
    for (family, size), part in bins.groupby(["family", "parameters"]):
        marker, style = styles[family]
        name, colour = f"{family}, N = {readable(size)}", colours(size)
        points(ax, part["position"], part["loss"], name, colour, marker, hollow=style != "-", markersize=2.8)
        every = losses[(losses["family"] == family) & (losses["parameters"] == size)]
        x = np.geomspace(1, every["position"].max(), 60)
        law = fitted_losses(every, x)
        if law is not None:
            curve(ax, x, law, f"{name}, law", colour, linestyle=style, linewidth=0.8)
    log_axis(ax, "x", "Position $T$ in the context (tokens)")
    log_axis(ax, "y", LABELS["loss"])


def _over_sizes(ax: Axes, bins: pd.DataFrame, colours: SizeColours, styles: Styles) -> None:
    """The losses of some bins of positions against size, by family."""
    for (family, position), part in bins.groupby(["family", "position"]):
        marker, style = styles[family]
        name, colour = f"{family}, T = {position:g}", colours(position)
        points(ax, part["parameters"], part["loss"], name, colour, marker, hollow=style != "-", markersize=2.8)
        ax.plot(part["parameters"], part["loss"], color=colour, linestyle=style, linewidth=0.6)
    log_axis(ax, "x", LABELS["parameters"])
    log_axis(ax, "y", LABELS["loss"])


def _family_keys(styles: Styles) -> list[Line2D]:
    """The legend's words for the families, where there are several, and for the law."""
    keys = []
    for family, (marker, style) in styles.items():
        face = "0.3" if style == "-" else "none"
        look: dict[str, Any] = {"marker": marker, "markerfacecolor": face, "linestyle": style, "color": "0.3"}
        keys.append(Line2D([], [], label=readable_name(family), **look))
    law = Line2D([], [], color="0.3", linewidth=0.8, label=f"Above: ${FORM.formula}$")
    return [*keys, law] if len(keys) > 1 else [law]


def _with_ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with each ratio of their shapes as a column, NaN where it was not recorded."""
    recorded = rows.get("feed_forward_ratio", np.nan)
    heads = rows["n_head"].where(rows["n_head"] > 0)
    return rows.assign(
        feed_forward_ratio=recorded, aspect=rows["d_model"] / rows["n_layer"], head=rows["d_model"] / heads
    )


def _in_several_shapes(rows: pd.DataFrame, ratio: str) -> bool:
    return any(window[ratio].nunique() >= FEWEST_SHAPES for window in _windows(rows))


def _windows(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Groups of rows whose sizes are alike; a row can be in several."""
    logs = np.log(rows["parameters"])
    return [rows[(logs >= low) & (logs <= low + ALIKE)] for low in sorted(logs.unique())]


def _expected(rows: pd.DataFrame, observations: Observations, laws: Laws) -> pd.Series:
    """The loss by the law of N and D that fits best; without one, that of the best run of the same N and D."""
    law = next(iter(joint_laws(laws.laws, observations.train_corpus)), None)
    if law is None:
        near = (np.log(rows["parameters"]) / ALIKE).round()
        return rows["loss"].groupby([near, rows["dataset_tokens"]]).transform("min")
    predicted = law.predict(parameters=rows["parameters"], dataset_tokens=rows["dataset_tokens"])
    return pd.Series(predicted, rows.index)


def _most_depths(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the runs whose sizes are alike, those of the window of sizes that holds most depths."""
    best = max(_windows(rows), key=lambda window: window["n_layer"].nunique())
    if best["n_layer"].nunique() < 2:
        raise NotDrawableError("no size N was trained at two depths")
    return best
