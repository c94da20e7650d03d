"""Figures of learning: what each run's loss did while it trained."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.marks import canvas, curve, legend_above, points, size_bar
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.style import SizeColours
from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations
from scalelaws.units import readable


@figure(
    "Learning curves",
    "Held-out loss while each size N trains on the largest subset D; a ring marks the step that is the run's "
    "result. Larger models reach a given loss after fewer tokens.",
)
def learning_curves(observations: Observations, laws: Laws) -> Figure:
    """Loss against tokens processed, a line a run (Kaplan et al. 2020, figure 2, left)."""
    curves = observations.curves(observations.train_corpus)
    if curves.groupby("run")["step"].nunique().max() < 2:
        raise NotDrawableError("every run was evaluated at one step only")
    curves = curves[curves["dataset_tokens"] == curves["dataset_tokens"].max()]
    sheet, (ax,) = canvas()
    colours = SizeColours(curves["parameters"].unique(), "N")
    for (size, run), rows in curves.groupby(["parameters", "run"]):
        curve(ax, rows["tokens"], rows["loss"], f"N = {readable(size)}, {run}", colours(size))
        end = rows[rows["result"]]
        points(ax, end["tokens"], end["loss"], f"N = {readable(size)}, {run}, result", colours(size), hollow=True)
    log_axis(ax, "x", LABELS["tokens"])
    log_axis(ax, "y", LABELS["loss"])
    size_bar(sheet, [ax], colours, "$N$")
    ax.set_title(f"$D$ = {readable(curves['dataset_tokens'].max())} tokens", loc="left")
    return sheet


@figure(
    "Training and held-out loss: early stopping",
    "The largest size on every subset D: loss on held-out text (solid) and on the text it trains on (dashed). On "
    "a small subset the held-out loss turns while the training loss goes on falling; the ring marks the step "
    "taken as the result.",
)
def train_and_test_curves(observations: Observations, laws: Laws) -> Figure:
    """Train and test loss against tokens processed, by D, for the largest N (Kaplan et al. 2020, figure 16, right)."""
    test = observations.curves(observations.train_corpus, "test")
    train = observations.curves(observations.train_corpus, "train")
    if train.empty:
        raise NotDrawableError("the loss on training text was not recorded (split 'train')")
    largest = test["parameters"].max()
    chosen = _one_run_a_subset(test[test["parameters"] == largest])
    if test[test["run"].isin(chosen)].groupby("run")["step"].nunique().max() < 2:
        raise NotDrawableError("every run was evaluated at one step only")
    sheet, (ax,) = canvas()
    colours = SizeColours(list(chosen.values()), "D")
    for run, subset in chosen.items():
        name, colour = f"D = {readable(subset)}", colours(subset)
        held_out, seen = test[test["run"] == run], train[train["run"] == run]
        curve(ax, seen["tokens"], seen["loss"], f"{name}, train", colour, linestyle="--", linewidth=0.9)
        curve(ax, held_out["tokens"], held_out["loss"], f"{name}, held out", colour)
        end = held_out[held_out["result"]]
        points(ax, end["tokens"], end["loss"], f"{name}, result", colour, hollow=True)
    log_axis(ax, "x", LABELS["tokens"])
    log_axis(ax, "y", "Loss (nats/token)")
    size_bar(sheet, [ax], colours, "$D$")
    keys = [
        Line2D([], [], color="0.3", label="held out"),
        Line2D([], [], color="0.3", linestyle="--", label="training text"),
        Line2D([], [], color="0.3", marker="o", markerfacecolor="none", linestyle="", label="result"),
    ]
    legend_above(sheet, keys, columns=3)
    ax.text(0.03, 0.04, f"$N$ = {readable(largest)}", transform=ax.transAxes)
    return sheet


@figure(
    "Noise between seeds",
    "Standard deviation of the final held-out loss between runs that differ in nothing but the seed, with the "
    "standard error of one evaluation beside it. No law can be expected to predict a single run better than this.",
)
def seed_noise(observations: Observations, laws: Laws) -> Figure:
    """Spread of the loss between seeds against D, by N (Kaplan et al. 2020, section 2.2, quotes 0.02 for language)."""
    results = observations.results(observations.train_corpus)
    cells = results.groupby(["parameters", "dataset_tokens"])["loss"].agg(["std", "count"]).reset_index()
    cells = cells[(cells["count"] > 1) & (cells["std"] > 0)]
    if cells.empty:
        raise NotDrawableError("no size N was trained on the same subset D with two seeds")
    sheet, (ax,) = canvas()
    colours = SizeColours(cells["parameters"].unique(), "N")
    for size, rows in cells.groupby("parameters"):
        points(ax, rows["dataset_tokens"], rows["std"], f"N = {readable(size)}", colours(size), colours.marker(size))
    middle = cells.groupby("dataset_tokens")["std"].apply(lambda spread: float(np.sqrt(np.mean(spread**2))))
    curve(ax, middle.index, middle, "root mean square over sizes", "#1a1a1a", linewidth=0.9, label="r.m.s. over sizes")
    sem = results["loss_sem"].replace(0, np.nan).median()
    if np.isfinite(sem):
        ax.axhline(sem, color="0.5", linestyle=":", linewidth=1, label="standard error of one evaluation")
    log_axis(ax, "x", LABELS["dataset_tokens"])
    log_axis(ax, "y", "Std of loss between seeds (nats/token)")
    size_bar(sheet, [ax], colours, "$N$")
    legend_above(sheet, columns=2)
    return sheet


def _one_run_a_subset(curves: pd.DataFrame) -> dict[str, float]:
    """The run of the lowest seed for each D, and that D."""
    first = curves.sort_values("seed").drop_duplicates("dataset_tokens").sort_values("dataset_tokens")
    return {str(run): float(subset) for run, subset in zip(first["run"], first["dataset_tokens"], strict=True)}
