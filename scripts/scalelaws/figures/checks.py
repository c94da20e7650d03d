"""Figures that put the laws to the test."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.marks import canvas, legend_above, points, size_bar
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.select import law_of, with_runs
from scalelaws.figures.style import SizeColours, category_marks
from scalelaws.figures.words import percent
from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations
from scalelaws.units import readable

PROMISED = 0.03
"""The relative error within which a study's L(N,D) is asked to predict its held-out largest run."""


@figure(
    "Backtest",
    "Each law is fitted once more without the largest runs, and then predicts them. On the diagonal the "
    "prediction is exact; the grey band is 3% to either side.",
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
    sheet, (ax,) = canvas(height=3.2)
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
    "By how much each run's loss differs from what the law says, in percent, against D and coloured by N, for "
    "both forms. A pattern here is what the formula misses.",
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


def _root_mean_square(values: pd.Series) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
