"""Figures of the loss against the size N and the data D."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.marks import (
    canvas,
    key,
    law_curve,
    legend_above,
    no_law,
    note,
    one_variable_law,
    points,
    size_bar,
)
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.select import law_of, needed_law, reach, used_by, why_no_law, with_runs
from scalelaws.figures.style import LAW_COLOUR, MOST_LABELS, UNDETERMINED_COLOUR, SizeColours
from scalelaws.figures.words import law_label, number
from scalelaws.laws.fitted import DETERMINED, FittedLaw, Laws
from scalelaws.observations.table import Observations
from scalelaws.sweep import REPEATED
from scalelaws.units import readable

NORMAL_95 = 1.96
VARIABLES = {"parameters": "size N", "dataset_tokens": "subset D"}
LEAST_EXCESS = 1e-3
"""Losses that limited data raise by less than this share are all noise, and would stretch a logarithmic axis."""


@figure(
    "Loss against size",
    "Held-out loss of every run against its size N, coloured by its subset D. The law is fitted to the filled "
    "points, of the largest subset that most sizes had; its notes say by how much that limits them still. The shaded "
    "band is the law's 95% interval, dashed where it extrapolates.",
)
def loss_vs_parameters(observations: Observations, laws: Laws) -> Figure:
    """L(N) over the runs (Kaplan et al. 2020, figure 1, right)."""
    return _loss_against(observations, laws, "parameters", "dataset_tokens", "D")


@figure(
    "Loss against data",
    "Held-out loss of every run against the unique tokens D it could learn from, coloured by its size N. The law is "
    "fitted to the filled points, of the largest size that most subsets had; its notes say by how much that limits "
    "them.",
)
def loss_vs_dataset_tokens(observations: Observations, laws: Laws) -> Figure:
    """L(D) over the runs (Kaplan et al. 2020, figure 1, middle)."""
    return _loss_against(observations, laws, "dataset_tokens", "parameters", "N")


@figure(
    "Loss against size and data together: Kaplan's form",
    "Held-out loss against D for every size N, with Kaplan's L(N,D). Small models stop gaining from more data; large "
    "ones overfit small subsets. One law has to bend all curves.",
)
def loss_vs_parameters_and_data(observations: Observations, laws: Laws) -> Figure:
    """L(N,D) as a family of curves (Kaplan et al. 2020, figure 4, left, and figure 9, left)."""
    law = needed_law(laws, "kaplan", observations.train_corpus, "L(N,D) of Kaplan's form")
    return _family(observations, law, LABELS["loss"])


@figure(
    "Loss against size and data together: Chinchilla's form",
    "The same runs with the parametric form of Hoffmann et al., which adds a loss E that no size and no amount of "
    "data removes.",
)
def loss_vs_parameters_and_data_chinchilla(observations: Observations, laws: Laws) -> Figure:
    """L(N,D) as a family of curves (the form behind Hoffmann et al. 2022, figure 4)."""
    law = needed_law(laws, "chinchilla", observations.train_corpus, "L(N,D) of Chinchilla's form")
    return _family(observations, law, LABELS["loss"])


@figure(
    "Overfitting as one curve",
    "By how much limited data raises the loss, against the single quantity that Kaplan's L(N,D) says it depends on. "
    "If the law's form is right, all sizes fall on one curve.",
)
def overfitting_collapse(observations: Observations, laws: Laws) -> Figure:
    """L(N,D)/L(N,∞) - 1 against N^(α_N/α_D)/D (Kaplan et al. 2020, figure 16, left, and equation 4.3)."""
    law = needed_law(laws, "kaplan", observations.train_corpus, "L(N,D) of Kaplan's form")
    rows = with_runs(observations, law)
    values = {name: estimate.value for name, estimate in law.parameters.items()}
    ratio = values["alpha_N"] / values["alpha_D"]
    limit = (values["N_c"] / rows["parameters"]) ** values["alpha_N"]
    rows = rows.assign(x=rows["parameters"] ** ratio / rows["dataset_tokens"], excess=rows["observed"] / limit - 1)
    shown = rows[rows["excess"] > LEAST_EXCESS]
    if shown.empty:
        raise NotDrawableError("no run's loss lies well above the law's limit of unlimited data")
    sheet, (ax,) = canvas()
    colours = SizeColours(rows["parameters"].unique(), "N")
    _by_size(ax, shown, "x", "excess", colours)
    x = reach(shown["x"])
    excess = (1 + values["D_c"] * x / values["N_c"] ** ratio) ** values["alpha_D"] - 1
    determined = law.status == DETERMINED
    colour = LAW_COLOUR if determined else UNDETERMINED_COLOUR
    observed = (float(shown["x"].min()), float(shown["x"].max()))
    label = f"Kaplan's form, $\\alpha_N/\\alpha_D$ = {number(ratio)}" + ("" if determined else " (not determined)")
    law_curve(ax, x, np.asarray(excess), None, observed, "law", colour, determined)
    key(ax, colour, label, determined)
    log_axis(ax, "x", rf"$N^{{\alpha_N/\alpha_D}}/D$ with $\alpha_N/\alpha_D$ = {number(ratio)}")
    log_axis(ax, "y", "Excess loss $L(N,D)/L(N,\\infty) - 1$")
    hidden = len(rows) - len(shown)
    if hidden:
        note(ax, f"{hidden} runs below {LEAST_EXCESS:.1%} not shown")
    size_bar(sheet, [ax], colours, "$N$")
    legend_above(sheet)
    return sheet


@figure(
    "Generalization gap",
    "Held-out loss minus loss on the training text, against D, by size N, with its law. The gap is what a model has "
    "learnt of its own subset that does not carry over: it grows with N and shrinks with D.",
    sweeps=REPEATED,
)
def generalization_gap(observations: Observations, laws: Laws) -> Figure:
    """The gap between test and train loss as a law of N and D (compare Kaplan et al. 2020, section 4.2)."""
    law = needed_law(laws, "gap_power", observations.train_corpus, "law of the gap between training and held-out loss")
    return _family(observations, law, "Held-out minus training loss (nats/token)")


@figure(
    "Memory of the training text",
    "Loss on training text that a run has not seen minus loss on that which it has, against D, by size N, with its "
    "law: what of the generalization gap a run remembers. Held-out text may be harder without that, for documents "
    "that are much like training text were left out of it.",
    sweeps=REPEATED,
)
def memory(observations: Observations, laws: Laws) -> Figure:
    """The part of the gap between held-out and training loss that is memory, as a law of N and D."""
    law = laws.laws.get("memory_of_parameters_and_data")
    if law is None or not law.parameters:
        raise NotDrawableError("no law says how the losses on seen and on unseen training text differ")
    return _family(observations, law, "Loss on unseen minus seen text (nats/token)")


def _loss_against(observations: Observations, laws: Laws, variable: str, other: str, dial: str) -> Figure:
    rows = observations.results(observations.train_corpus)
    if rows[variable].min() == rows[variable].max():
        raise NotDrawableError(f"all runs have one {VARIABLES[variable]}, {readable(rows[variable].iloc[0])}")
    law = law_of(laws, f"power_of_{variable}", observations.train_corpus)
    used = used_by(law, rows)
    sheet, (ax,) = canvas()
    colours = SizeColours(rows[other].unique(), dial)
    for size, group in rows.assign(used=used).groupby(other):
        for fitted, part in group.groupby("used"):
            sem = NORMAL_95 * part["loss_sem"]
            series = f"{dial} = {readable(size)}" + ("" if fitted else ", not in the fit")
            ends = (part["loss"] - sem, part["loss"] + sem)
            points(
                ax, part[variable], part["loss"], series, colours(size), colours.marker(size), ends, used=bool(fitted)
            )
    if law is None:
        no_law(ax, "law", why_no_law(laws, f"power_of_{variable}", observations.train_corpus))
    else:
        one_variable_law(ax, law)
    log_axis(ax, "x", LABELS[variable])
    log_axis(ax, "y", LABELS["loss"])
    size_bar(sheet, [ax], colours, f"${dial}$")
    legend_above(sheet)
    return sheet


def _family(observations: Observations, law: FittedLaw, label: str) -> Figure:
    """A law of N and D over its data: D along x, a curve and a colour for each size N."""
    rows = with_runs(observations, law)
    shown = rows[rows["observed"] > 0]
    if shown.empty:
        raise NotDrawableError("no observed value is above zero, so none can stand on a logarithmic axis")
    sheet, (ax,) = canvas(height=3.0)
    colours = SizeColours(rows["parameters"].unique(), "N")
    determined = law.status == DETERMINED
    x = reach(shown["dataset_tokens"])
    observed = (float(shown["dataset_tokens"].min()), float(shown["dataset_tokens"].max()))
    for size in colours.sizes if len(colours.sizes) <= MOST_LABELS else colours.apart():
        at = {"parameters": np.full_like(x, size), "dataset_tokens": x}
        colour = colours(size) if determined else UNDETERMINED_COLOUR
        series = f"law at N = {readable(size)}"
        law_curve(ax, x, law.predict(**at), law.band(0.95, **at), observed, series, colour, determined)
    _by_size(ax, shown, "dataset_tokens", "observed", colours)
    log_axis(ax, "x", LABELS["dataset_tokens"])
    log_axis(ax, "y", label)
    hidden = len(rows) - len(shown)
    if hidden:
        note(ax, f"{hidden} runs at or below 0 not shown", "upper right")
    key(ax, LAW_COLOUR if determined else UNDETERMINED_COLOUR, law_label(law), determined)
    size_bar(sheet, [ax], colours, "$N$")
    legend_above(sheet)
    return sheet


def _by_size(ax: Axes, rows: pd.DataFrame, x: str, y: str, colours: SizeColours) -> None:
    """Points coloured by N; those that the law was not fitted to are pale."""
    for (size, used), part in rows.groupby(["parameters", "used"]):
        series = f"N = {readable(size)}" + ("" if used else ", not in the fit")
        points(ax, part[x], part[y], series, colours(size), colours.marker(size), used=bool(used))
