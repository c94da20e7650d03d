"""Figures that put the laws to the test."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.marks import canvas, curve, legend_above, points, size_bar
from scalelaws.figures.refits import unseen_inside, widths_by_runs
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.select import law_of, needed_law, reach, with_runs
from scalelaws.figures.style import CATEGORY_COLOURS, SizeColours, category_marks
from scalelaws.figures.words import law_label, percent
from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations
from scalelaws.units import readable

LEGEND_LINE = 0.17
"""Inches of a legend's line."""
PROMISED = 0.03
"""The relative error within which a study's L(N,D) is asked to predict its held-out largest run."""


@figure(
    "Backtest",
    "Each law is fitted once more without the largest runs, and then predicts them. On the diagonal the prediction "
    "is exact; the grey band is 3% to either side.",
)
def backtest(observations: Observations, laws: Laws) -> Figure:
    """Predicted against measured loss of the held-out runs, for every law of the held-out loss."""
    tested = {
        name: law
        for name, law in laws.laws.items()
        if law.backtest is not None and law.corpus == observations.train_corpus and law.form != "gap_power"
    }
    if not tested:
        raise NotDrawableError("no law could be fitted without the largest runs")
    sheet, (ax,) = canvas(height=2.4 + LEGEND_LINE * len(tested))
    shown = []
    for name, (colour, marker) in category_marks(list(tested)).items():
        law, held = tested[name], tested[name].backtest
        assert held is not None
        rows = held.rows
        label = f"{law.title}: mean error {percent(held.mean_error)}, worst {percent(held.worst_error)}"
        points(ax, rows["observed"], rows["predicted"], law.title, colour, marker, label=label, zorder=3)
        shown.append(rows[["observed", "predicted"]].to_numpy().ravel())
    low, high = np.concatenate(shown).min() * 0.97, np.concatenate(shown).max() * 1.03
    x = np.array([low, high])
    ax.plot(x, x, color="0.3", linewidth=0.8, zorder=1)
    ax.fill_between(x, x * (1 - PROMISED), x * (1 + PROMISED), color="0.88", linewidth=0, zorder=0)
    ax.set(
        xlim=(low, high), ylim=(low, high), xlabel="Measured loss (nats/token)", ylabel="Predicted loss (nats/token)"
    )
    legend_above(sheet)
    return sheet


@figure(
    "Residuals of L(N,D)",
    "By how much each run's loss differs from what the law says, in percent, against D and coloured by N, for both "
    "forms. A pattern here is what the formula misses.",
)
def residuals(observations: Observations, laws: Laws) -> Figure:
    """Relative residuals of Kaplan's and Chinchilla's L(N,D)."""
    forms = {"kaplan": "Kaplan's form", "chinchilla": "Chinchilla's form"}
    fitted = {title: law_of(laws, form, observations.train_corpus) for form, title in forms.items()}
    present = {title: law for title, law in fitted.items() if law is not None}
    if not present:
        raise NotDrawableError("the study has no fitted L(N,D)")
    sheet, axes = canvas(rows=len(present), height=1.2 + 1.5 * len(present))
    colours = SizeColours(observations.runs["parameters"].unique(), "N")
    for ax, (title, law) in zip(axes, present.items(), strict=True):
        rows = with_runs(observations, law)
        rows = rows.assign(residual=100 * (rows["observed"] / rows["predicted"] - 1))
        for (size, used), part in rows.groupby(["parameters", "used"]):
            series = f"N = {readable(size)}" + ("" if used else ", not in the fit")
            points(
                ax,
                part["dataset_tokens"],
                part["residual"],
                series,
                colours(size),
                colours.marker(size),
                used=bool(used),
            )
        ax.axhline(0, color="0.3", linewidth=0.8, zorder=1)
        log_axis(ax, "x", LABELS["dataset_tokens"])
        ax.set_ylabel("Measured / law − 1 (%)")
        spread = _root_mean_square(rows.loc[rows["used"], "residual"])
        ax.set_title(f"{title}: r.m.s. {percent(spread / 100)}", loc="left")
    size_bar(sheet, axes, colours, "$N$")
    return sheet


@figure(
    "Error against extrapolation",
    "Each law is fitted to the smaller runs, with several cuts between small and large, and predicts the others: the "
    "mean error of its predictions against how far beyond the fitted runs they lie.",
)
def extrapolation_error(observations: Observations, laws: Laws) -> Figure:
    """Backtest error against distance, the price of extrapolation that no paper of the three reports."""
    tested = {
        name: law
        for name, law in laws.laws.items()
        if len(law.extrapolation) and law.corpus == observations.train_corpus and law.form != "gap_power"
    }
    if not tested:
        raise NotDrawableError("no law could be fitted without some of the largest runs")
    sheet, (ax,) = canvas(height=3.2)
    for name, (colour, marker) in category_marks(list(tested)).items():
        rows = tested[name].extrapolation
        title = tested[name].title
        points(ax, rows["decades"], 100 * rows["mean_error"], title, colour, marker, label=title)
        curve(ax, rows["decades"], 100 * rows["mean_error"], f"{title}, joined", colour, linewidth=0.7)
    ax.axhline(100 * PROMISED, color="0.5", linestyle=":", linewidth=0.9, label=f"{percent(PROMISED)} asked for")
    ax.set_xlabel("Distance beyond the fitted runs (decades)")
    log_axis(ax, "y", "Mean error of predicted loss (%)")
    legend_above(sheet, columns=2)
    return sheet


@figure(
    "Do the intervals hold what they promise?",
    "Every fifth run in turn is left out, the law fitted to the others, and its interval for a single run (band and "
    "noise between seeds) compared with the run. On the diagonal, as many runs lie inside as the level says.",
)
def coverage(observations: Observations, laws: Laws) -> Figure:
    """Share of unseen runs inside the law's interval against its level."""
    forms = ("kaplan", "chinchilla")
    fitted = [law for form in forms if (law := law_of(laws, form, observations.train_corpus)) is not None]
    if not fitted:
        raise NotDrawableError("the study has no fitted L(N,D)")
    levels = np.linspace(0.1, 0.95, 18)
    sheet, (ax,) = canvas(height=3.0)
    ax.plot([0, 100], [0, 100], color="0.3", linewidth=0.8, zorder=1)
    for law, (colour, marker) in zip(fitted, category_marks([law.name for law in fitted]).values(), strict=True):
        inside = unseen_inside(observations, law, levels)
        points(ax, 100 * levels, 100 * inside, law.title, colour, marker, label=law.title, markersize=2.6)
        curve(ax, 100 * levels, 100 * inside, f"{law.title}, joined", colour, linewidth=0.8)
    ax.set(xlim=(0, 100), ylim=(0, 102), xlabel="Level of the interval (%)", ylabel="Unseen runs inside (%)")
    legend_above(sheet)
    return sheet


@figure(
    "How many runs it takes",
    "Width of the 95% interval of each exponent of L(N,D), fitted to the smaller of the runs' budgets up to all of "
    "them. It is the answer to whether more runs would help.",
)
def interval_vs_runs(observations: Observations, laws: Laws) -> Figure:
    """Intervals of the exponents against the number of runs."""
    forms = ("kaplan", "chinchilla")
    fitted = [law for form in forms if (law := law_of(laws, form, observations.train_corpus)) is not None]
    if not fitted:
        raise NotDrawableError("the study has no fitted L(N,D)")
    table = pd.concat([widths_by_runs(observations, law) for law in fitted])
    if table["runs"].nunique() < 2:
        raise NotDrawableError("too few runs to leave any out")
    sheet, (ax,) = canvas()
    names = list(dict.fromkeys(table["series"]))
    for name, (colour, marker) in category_marks(names).items():
        rows = table[table["series"] == name]
        points(ax, rows["runs"], rows["width"], name, colour, marker, label=name)
        curve(ax, rows["runs"], rows["width"], f"{name}, joined", colour, linewidth=0.7)
    log_axis(ax, "x", "Runs that the law is fitted to")
    log_axis(ax, "y", "Width of the 95% interval")
    legend_above(sheet, columns=2)
    return sheet


@figure(
    "Power law or logarithm",
    "The loss against size N with the power law and, dashed, a straight line in ln N fitted to the same runs. A "
    "logarithm must fall below any loss in the end; the legend says how well each fits.",
)
def power_or_logarithm(observations: Observations, laws: Laws) -> Figure:
    """L(N) as a power and as a logarithm (Kaplan et al. 2020, figure 23)."""
    law = needed_law(laws, "power_of_parameters", observations.train_corpus, "L(N)")
    rows = law.data[law.data["used"]]
    x, y = rows["parameters"].to_numpy(float), rows["observed"].to_numpy(float)
    slope, height = np.polyfit(np.log(x), y, 1)
    sheet, (ax,) = canvas(height=3.0)
    points(ax, x, y, "runs", "black")
    grid = reach(x)
    straight = height + slope * np.log(grid)
    misfits = [
        _root_mean_square(pd.Series(fit / y - 1)) for fit in (law.predict(parameters=x), height + slope * np.log(x))
    ]
    label = f"{law_label(law)}\nr.m.s. {percent(misfits[0])}"
    curve(ax, grid, law.predict(parameters=grid), "power law", CATEGORY_COLOURS[0], label=label)
    name = f"$L = a - b\\,\\ln N$, r.m.s. {percent(misfits[1])}"
    curve(ax, grid, straight, "logarithm", CATEGORY_COLOURS[1], linestyle="--", label=name)
    log_axis(ax, "x", LABELS["parameters"])
    log_axis(ax, "y", LABELS["loss"])
    legend_above(sheet)
    return sheet


def _root_mean_square(values: pd.Series) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
