"""Figures of the parametric law L = E + A/N^α + B/D^β as a landscape over compute and size."""

import numpy as np
from matplotlib.figure import Figure

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.marks import canvas, curve, law_curve, legend_above, points, size_bar
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.select import needed_law, with_runs
from scalelaws.figures.style import LAW_COLOUR, UNDETERMINED_COLOUR, SizeColours
from scalelaws.laws.fitted import DETERMINED, FittedLaw, Laws
from scalelaws.observations.table import Observations
from scalelaws.units import training_flops

LEVELS, SLICES = 8, 6


@figure(
    "Contours of the parametric law",
    "Lines of equal loss over compute C and size N, and the runs, coloured by their loss. The black line is the "
    "frontier: the size at which each budget reaches its lowest loss.",
)
def parametric_contours(observations: Observations, laws: Laws) -> Figure:
    """Iso-loss contours with the efficient frontier (Hoffmann et al. 2022, figure 4, left)."""
    law = _parametric(observations, laws)
    rows = with_runs(observations, law)
    rows = rows.assign(flops=training_flops(1.0, 1.0) * rows["parameters"] * rows["dataset_tokens"])
    sheet, (ax,) = canvas(height=3.0)
    losses = np.geomspace(rows["observed"].min(), rows["observed"].max(), LEVELS)
    colours = SizeColours([*losses, *rows["observed"]], "L")
    size = np.geomspace(rows["parameters"].min() / 2, rows["parameters"].max() * 2, 300)
    p = law.best
    for loss in losses:
        room = loss - p["E"] - p["A"] * size ** -p["alpha"]
        inside = room > 0
        tokens = (p["B"] / room[inside]) ** (1 / p["beta"])
        flops = 6 * size[inside] * tokens
        shown = (flops > rows["flops"].min() / 4) & (flops < rows["flops"].max() * 10)
        name, line = f"L = {loss:.3g}", "-" if law.status == DETERMINED else ":"
        curve(ax, flops[shown], size[inside][shown], name, colours(loss), linewidth=0.8, linestyle=line)
    for row in rows.sort_values("observed", ascending=False).itertuples():
        points(ax, [row.flops], [row.parameters], f"{row.run}, L = {row.observed:.3g}", colours(row.observed))
    frontier = laws.allocations.get("parametric")
    if frontier is not None and len(frontier.line):
        x = np.geomspace(rows["flops"].min(), rows["flops"].max() * 8, 60)
        best = np.exp(frontier.line[0]) * x ** frontier.line[1]
        shown = (best > size[0]) & (best < size[-1])
        known = frontier.status == DETERMINED
        look = (
            (LAW_COLOUR, "-", "efficient frontier") if known else (UNDETERMINED_COLOUR, ":", "frontier, not determined")
        )
        curve(ax, x[shown], best[shown], "frontier", look[0], linestyle=look[1], label=look[2])
    log_axis(ax, "x", LABELS["flops"])
    log_axis(ax, "y", LABELS["parameters"])
    size_bar(sheet, [ax], colours, "$L$")
    legend_above(sheet)
    return sheet


@figure(
    "Slices of the parametric law",
    "Loss against size N at fixed budgets C by the law, with its 95% band, over the runs of about that budget. Stars "
    "are the law's best sizes.",
)
def parametric_slices(observations: Observations, laws: Laws) -> Figure:
    """The parametric law at equal compute (Hoffmann et al. 2022, figure 4, right)."""
    law = _parametric(observations, laws)
    rows = with_runs(observations, law)
    rows = rows.assign(flops=training_flops(1.0, 1.0) * rows["parameters"] * rows["dataset_tokens"])
    edges = np.geomspace(rows["flops"].min(), rows["flops"].max() * 1.0001, SLICES + 1)
    sheet, (ax,) = canvas(height=3.0)
    budgets = np.sqrt(edges[1:] * edges[:-1])
    colours = SizeColours(budgets, "C")
    for budget, low, high in zip(budgets, edges[:-1], edges[1:], strict=True):
        inside = rows[(rows["flops"] >= low) & (rows["flops"] < high)]
        if inside.empty:
            continue
        name, colour = f"C = {budget:.2g}", colours(budget)
        x = np.geomspace(inside["parameters"].min() / 1.5, inside["parameters"].max() * 1.5, 60)
        at = {"parameters": x, "dataset_tokens": budget / (6 * x)}
        middle, sure = law.predict(**at), law.status == DETERMINED
        law_curve(ax, x, middle, law.band(0.95, **at), (x[0], x[-1]), f"{name}, law", colour, sure, linewidth=0.9)
        # each run's loss is shown at the slice's budget, moved along the law by the little that its own differs
        own = law.predict(parameters=inside["parameters"], dataset_tokens=inside["dataset_tokens"])
        there = law.predict(parameters=inside["parameters"], dataset_tokens=budget / (6 * inside["parameters"]))
        points(ax, inside["parameters"], inside["observed"] * there / own, name, colour, markersize=2.6)
        best = int(np.argmin(middle))
        if sure and 0 < best < len(x) - 1:
            points(ax, [x[best]], [middle[best]], f"{name}, best size", colour, "*", markersize=6)
    log_axis(ax, "x", LABELS["parameters"])
    log_axis(ax, "y", LABELS["loss"])
    size_bar(sheet, [ax], colours, "$C$ (FLOPs)")
    if law.status != DETERMINED:
        ax.set_title("The law (dotted) is not determined by these data", loc="left")
    return sheet


def _parametric(observations: Observations, laws: Laws) -> FittedLaw:
    law = needed_law(laws, "chinchilla", observations.train_corpus, "L(N,D) of Chinchilla's form")
    if law.best["alpha"] <= 0 or law.best["beta"] <= 0:
        raise NotDrawableError("the law's powers are not both positive")
    return law
