"""Figures of how runs are optimized: batch sizes, learning rates, schedules."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.crossings import reached
from scalelaws.figures.marks import canvas, curve, key, law_curve, legend_above, points, size_bar
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.select import fresh_curves, of_one_kind
from scalelaws.figures.style import UNDETERMINED_COLOUR, SizeColours, category_marks
from scalelaws.figures.words import law_label
from scalelaws.laws.batches import scanned
from scalelaws.laws.fitted import DETERMINED, Laws
from scalelaws.observations.table import Observations
from scalelaws.sweep import BATCHES, HELD
from scalelaws.units import readable

SCHEDULES = ("constant", "cosine", "wsd", "linear", "branched", "averaging", "warmup_steps")
"""What a sweep of schedules may change, by the words that name it."""
ALIKE = ["parameters", "dataset_tokens", "batch_tokens", "family", "n_layer", "d_model", "train_corpus"]
"""What runs must share for their learning rates and schedules to be compared."""


@figure(
    "Scans of the batch size",
    "Tokens against steps to reach a given loss, a point a batch size B, for the size N that was trained with most "
    "of them. Small batches waste steps, large ones tokens; the bend between is the critical batch.",
    sweeps=(*BATCHES, *HELD),
)
def batch_scan(observations: Observations, laws: Laws) -> Figure:
    """Tokens and steps to a loss by batch size (Kaplan et al. 2020, figure 18)."""
    curves = of_one_kind(scanned(observations.of_batches()))
    counts = curves.groupby("parameters")["batch_tokens"].nunique()
    if counts.empty or counts.max() < 3:
        raise NotDrawableError("no size N was trained with three batch sizes")
    chosen = curves[curves["parameters"] == counts.idxmax()]
    batch = chosen.groupby("run")["batch_tokens"].first()
    rows = reached(chosen, _shared(chosen), "step")
    rows = rows.assign(batch=rows["run"].map(batch)).sort_values("batch")
    rows = rows.assign(tokens=rows["step"] * rows["batch"])
    if rows.empty:
        raise NotDrawableError("no loss was reached with several batch sizes")
    sheet, (ax,) = canvas()
    marks = category_marks([f"{target:g}" for target in sorted(rows["target"].unique())])
    for target, part in rows.groupby("target"):
        colour, marker = marks[f"{target:g}"]
        name = f"L = {target:g} nats/token"
        points(ax, part["step"], part["tokens"], name, colour, marker, label=name)
        curve(ax, part["step"], part["tokens"], f"{name}, joined", colour, linewidth=0.7)
    log_axis(ax, "x", LABELS["step"])
    log_axis(ax, "y", LABELS["tokens"])
    legend_above(sheet, columns=2)
    ax.set_title(f"$N$ = {readable(counts.idxmax())}", loc="left")
    return sheet


@figure(
    "Critical batch size",
    "The batch beyond which larger ones waste tokens, against the loss, from scans of batch sizes and from the noise "
    "of gradients. It grows as the loss falls.",
)
def critical_batch(observations: Observations, laws: Laws) -> Figure:
    """B_crit(L) (Kaplan et al. 2020, figure 10)."""
    found = [law for law in laws.laws.values() if law.form == "critical_batch"]
    if not found:
        raise NotDrawableError("neither several batch sizes nor the noise of gradients was measured")
    found.sort(key=lambda law: -len(law.data))  # the few measurements of scans lie on the many of the noise
    sheet, (ax,) = canvas(height=3.0)
    for law, (colour, marker) in zip(found, category_marks([law.name for law in found]).values(), strict=True):
        determined = law.status == DETERMINED
        for used, part in law.data[law.data["observed"] > 0].groupby("used"):
            name = law.title if used else f"{law.title}, not in the fit"
            points(ax, part["loss"], part["observed"], name, colour, marker, used=bool(used), markersize=2.2)
        if law.parameters:
            x = np.geomspace(*law.ranges["loss"], 80)
            shade = colour if determined else UNDETERMINED_COLOUR
            middle, interval = law.predict(loss=x), law.band(0.95, loss=x)
            law_curve(ax, x, middle, interval, law.ranges["loss"], f"{law.title}, law", shade, determined)
            source = law.title.partition(", ")[2].capitalize()
            key(ax, shade, f"{source}\n{law_label(law)}", determined)
    log_axis(ax, "x", LABELS["loss"])
    log_axis(ax, "y", r"Critical batch $B_{\mathrm{crit}}$ (tokens)")
    legend_above(sheet)
    return sheet


@figure(
    "Learning rates and schedules",
    "Loss against the peak learning rate, for every size N and schedule that was tried with more than one.",
    sweeps=("learning_rate", "batch_tokens", *SCHEDULES),
)
def learning_rates(observations: Observations, laws: Laws) -> Figure:
    """Loss by learning rate and schedule at the same N and D (Kaplan et al. 2020, figure 22)."""
    results = observations.results(observations.train_corpus)
    results = results[results["learning_rate"] > 0]
    tried = results.groupby(ALIKE)[["learning_rate", "schedule"]].transform("nunique").max(axis=1) > 1
    if not tried.any():
        raise NotDrawableError("no run was repeated with another learning rate or schedule")
    rows = results[tried]
    sheet, (ax,) = canvas()
    colours = SizeColours(rows["parameters"].unique(), "N")
    marks = category_marks(sorted(rows["schedule"].unique()))
    for cell, part in rows.groupby([*ALIKE, "averaging", "warmup_steps", "schedule"]):
        size, subset, schedule = cell[0], cell[1], str(cell[-1])
        middle = part.groupby("learning_rate")["loss"].mean()
        name = f"N = {readable(size)}, D = {readable(subset)}, {schedule}"
        points(ax, part["learning_rate"], part["loss"], name, colours(size), marks[schedule][1])
        if len(middle) > 1:
            curve(ax, middle.index.to_numpy(), middle, f"{name}, joined", colours(size), linewidth=0.7)
    for schedule, (_, marker) in marks.items():
        ax.plot([], [], marker, color="0.3", label=f"{schedule} schedule")
    log_axis(ax, "x", "Peak learning rate")
    log_axis(ax, "y", LABELS["loss"])
    size_bar(sheet, [ax], colours, "$N$")
    legend_above(sheet, columns=3)
    return sheet


@figure(
    "Length of the schedule against the horizon",
    "Learning curves of one size N whose learning rate decays over different lengths. A run whose schedule is longer "
    "than its training stands above one whose schedule ends there, so each length needs a run of its own.",
    sweeps=SCHEDULES,
)
def schedule_horizon(observations: Observations, laws: Laws) -> Figure:
    """Loss against tokens for several lengths of a decaying schedule (Hoffmann et al. 2022, figure A1)."""
    curves = fresh_curves(observations)
    curves = curves[curves["schedule"].isin(["cosine", "wsd", "linear"])]
    lengths = curves.groupby("parameters")["steps"].nunique()
    if lengths.empty or lengths.max() < 2:
        raise NotDrawableError("no size N was trained with a decaying schedule of two lengths")
    chosen = curves[curves["parameters"] == lengths.idxmax()]
    sheet, (ax,) = canvas()
    colours = SizeColours(chosen["run_tokens"].unique(), "D")
    for (length, run), rows in chosen.groupby(["run_tokens", "run"]):
        curve(ax, rows["tokens"], rows["loss"], f"{readable(length)} tokens, {run}", colours(length))
    log_axis(ax, "x", LABELS["tokens"])
    log_axis(ax, "y", LABELS["loss"])
    size_bar(sheet, [ax], colours, "Length")
    ax.set_title(f"$N$ = {readable(lengths.idxmax())}", loc="left")
    return sheet


def _shared(curves: pd.DataFrame) -> list[float]:
    """Losses that every batch size passes."""
    best = curves.groupby("batch_tokens")["loss"].agg(["min", "max"])
    hardest, easiest = best["min"].max() * 1.003, best["max"].min() * 0.98
    return [float(f"{loss:.3g}") for loss in np.geomspace(hardest, easiest, 5)] if hardest < easiest else []
