"""Figures of the loss against compute C."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.marks import (
    canvas,
    curve,
    legend_above,
    no_law,
    one_variable_law,
    points,
    size_bar,
)
from scalelaws.figures.registry import figure
from scalelaws.figures.select import law_of, needed_law, rows_of, why_no_law
from scalelaws.figures.style import CATEGORY_COLOURS, SizeColours
from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations
from scalelaws.units import readable

WHOLE_CURVES = ("constant", "trunk", "unknown")
"""Schedules whose every evaluation stands for a run that ends there."""


@figure(
    "Loss against compute",
    "Every learning curve against the compute spent, coloured by size N; of runs whose rate falls only the ends count, "
    "and lines join those of a size. The black points are the envelope, the lowest loss at each budget, between the "
    "evaluations on the lines; the law L(C) is fitted to the dark ones, where smaller and larger sizes compete.",
)
def loss_vs_compute(observations: Observations, laws: Laws) -> Figure:
    """All learning curves, their envelope and L(C) (Kaplan et al. 2020, figure 1, left; figure 13)."""
    curves = observations.curves(observations.train_corpus)
    sheet, (ax,) = canvas()
    colours = SizeColours(curves["parameters"].unique(), "N")
    curves_by_compute(ax, curves, colours)
    envelope = rows_of(laws, "power_of_flops", observations.train_corpus)
    if envelope is not None:
        # where no run reached a budget the row holds no loss, which would lie below all curves
        envelope = envelope[envelope["observed"] >= 0.99 * curves["loss"].min()]
        for used, part in envelope.groupby("used"):
            series = "envelope" if used else "envelope, not in the fit"
            points(ax, part["flops"], part["observed"], series, "black", markersize=2.2, used=bool(used))
    law = law_of(laws, "power_of_flops", observations.train_corpus)
    if law is None:
        no_law(ax, "L(C)", why_no_law(laws, "power_of_flops", observations.train_corpus))
    else:
        one_variable_law(ax, law)
    log_axis(ax, "x", LABELS["flops"])
    log_axis(ax, "y", LABELS["loss"])
    size_bar(sheet, [ax], colours, "$N$")
    legend_above(sheet)
    return sheet


@figure(
    "Loss against compute, and against the least compute",
    "The same losses against the compute that was spent, and against the compute C_min that a batch far below the "
    "critical size would have needed. The law of C_min is the one to extrapolate.",
)
def loss_vs_least_compute(observations: Observations, laws: Laws) -> Figure:
    """L(C) beside L(C_min) (Kaplan et al. 2020, figure 13)."""
    least = needed_law(laws, "power_of_flops_min", observations.train_corpus, "law of the least compute")
    spent = law_of(laws, "power_of_flops", observations.train_corpus)
    sheet, (ax,) = canvas(height=3.0)
    for law, colour in ((spent, CATEGORY_COLOURS[1]), (least, CATEGORY_COLOURS[0])):
        if law is None:
            continue
        (variable,) = law.variables
        for used, part in law.data[law.data["observed"] > 1].groupby("used"):
            series = law.title if used else f"{law.title}, not in the fit"
            points(ax, part[variable], part["observed"], series, colour, markersize=2.4, used=bool(used))
        one_variable_law(ax, law, colour)
    log_axis(ax, "x", "Compute $C$ or $C_{\\min}$ (FLOPs)")
    log_axis(ax, "y", LABELS["loss"])
    legend_above(sheet)
    return sheet


def curves_by_compute(ax: Axes, curves: pd.DataFrame, colours: SizeColours) -> None:
    """Each run's loss against its compute, until the step that is its result; the ends of runs whose rate falls, joined
    by size and seed."""
    whole = curves["schedule"].isin(WHOLE_CURVES)
    for (size, seed), rows in curves[~whole & curves["result"]].groupby(["parameters", "seed"]):
        name, ends = f"N = {readable(size)}, seed {seed}", rows.sort_values("flops")
        ax.plot(ends["flops"], ends["loss"], color=colours(size), linewidth=0.6, alpha=0.7)
        points(ax, ends["flops"], ends["loss"], name, colours(size), markersize=2.4)
    for (size, run), rows in curves[whole].groupby(["parameters", "run"]):
        falling = rows[rows["step"] <= rows.loc[rows["result"], "step"].max()]
        name = f"N = {readable(size)}, {run}"
        curve(ax, falling["flops"], falling["loss"], name, colours(size), linewidth=0.6, alpha=0.7)
        if len(falling) == 1:
            points(ax, falling["flops"], falling["loss"], name, colours(size), markersize=2.4)
