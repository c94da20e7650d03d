"""Figures of learning: what each run's loss did while it trained."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.crossings import at_positions, reached, targets
from scalelaws.figures.marks import canvas, curve, key, law_curve, legend_above, points, size_bar
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.select import alike, fresh_curves, needed_law, of_one_kind, reach
from scalelaws.figures.style import LAW_COLOUR, UNDETERMINED_COLOUR, SizeColours, category_marks
from scalelaws.figures.words import law_label
from scalelaws.laws.fitted import DETERMINED, Laws
from scalelaws.laws.kaplan import DataLaw
from scalelaws.observations.table import Observations
from scalelaws.sweep import REPEATED
from scalelaws.units import readable

BUT_FOR_SEEDS = ["parameters", "dataset_tokens", "batch_tokens", "learning_rate", "schedule", "family", "n_layer"]
BUT_FOR_SEEDS += ["d_model", "train_corpus"]
"""What runs share that differ in their seed only."""


@figure(
    "Learning curves",
    "Held-out loss while each size N trains on the largest subset D, against the tokens (above) and the compute "
    "(below) that went by; a ring marks the step that is the run's result. Of runs that branch from one, that one is "
    "the curve, at a rate that does not fall. Larger models reach a given loss after fewer tokens.",
    sweeps=("trunk",),
)
def learning_curves(observations: Observations, laws: Laws) -> Figure:
    """Loss against tokens and against compute, a line a run (Kaplan et al. 2020, figure 2)."""
    curves = of_one_kind(observations.curves(observations.train_corpus))
    curves = curves[curves["dataset_tokens"] == curves.groupby("parameters")["dataset_tokens"].transform("max")]
    if curves.groupby("run")["step"].nunique().max() < 2:
        raise NotDrawableError("every run was evaluated at one step only")
    sheet, axes = canvas(rows=2, height=4.4)
    colours = SizeColours(curves["parameters"].unique(), "N")
    for ax, column in zip(axes, ("tokens", "flops"), strict=True):
        for (size, run), rows in curves.groupby(["parameters", "run"]):
            name = f"N = {readable(size)}, {run}"
            curve(ax, rows[column], rows["loss"], name, colours(size))
            end = rows[rows["result"]]
            points(ax, end[column], end["loss"], f"{name}, result", colours(size), hollow=True)
        log_axis(ax, "x", LABELS[column])
        log_axis(ax, "y", LABELS["loss"])
    size_bar(sheet, axes, colours, "$N$")
    return sheet


@figure(
    "Loss against size and steps",
    "Learning curves on fresh text against the steps that a batch far above the critical size would have needed, "
    "with the law L(N, S_min), which says where each size will be after any number of steps.",
)
def loss_vs_parameters_and_steps(observations: Observations, laws: Laws) -> Figure:
    """L(N, S_min) over the learning curves (Kaplan et al. 2020, figure 4, right)."""
    law = needed_law(laws, "kaplan_steps", observations.train_corpus, "law of size and steps")
    sheet, (ax,) = canvas(height=3.0)
    colours = SizeColours(law.data["parameters"].unique(), "N")
    determined = law.status == DETERMINED
    for size, rows in law.data.groupby("parameters"):
        for used, part in rows.groupby("used"):
            series = f"N = {readable(size)}" + ("" if used else ", not in the fit")
            points(ax, part["steps_min"], part["observed"], series, colours(size), markersize=2, used=bool(used))
        x = reach(rows["steps_min"], 100)
        at = {"parameters": np.full_like(x, size), "steps_min": x}
        shade = colours(size) if determined else UNDETERMINED_COLOUR
        observed = (float(rows["steps_min"].min()), float(rows["steps_min"].max()))
        series = f"law at N = {readable(size)}"
        law_curve(ax, x, law.predict(**at), law.band(0.95, **at), observed, series, shade, determined, linewidth=0.8)
    key(ax, LAW_COLOUR if determined else UNDETERMINED_COLOUR, law_label(law), determined)
    log_axis(ax, "x", r"$S_{\min}$ (updates)")
    log_axis(ax, "y", LABELS["loss"])
    size_bar(sheet, [ax], colours, "$N$")
    legend_above(sheet)
    return sheet


@figure(
    "Loss against size at fixed steps",
    "Held-out loss against size N when every size has trained for the same number of steps on fresh text, with the "
    "batch size that most sizes N share, the lowest of each size's runs. More steps favour larger models.",
)
def loss_at_fixed_steps(observations: Observations, laws: Laws) -> Figure:
    """Loss against N at several fixed S (Kaplan et al. 2020, figure 11, right)."""
    curves = fresh_curves(observations)
    batches = curves["batch_tokens"].fillna(0)
    curves = curves[batches == curves.groupby(batches)["parameters"].nunique().idxmax()]
    shared = curves.groupby("parameters")["step"].agg(["min", "max"])
    first, last = shared["min"].max(), shared["max"].max()
    positions = np.unique(np.geomspace(max(first, last / 100), last * 0.999, 6).round())
    rows = at_positions(curves, list(positions), "step")
    rows["parameters"] = alike(rows["parameters"])
    rows = rows.groupby(["step", "parameters"], as_index=False)["loss"].min()
    rows = rows[rows.groupby("step")["parameters"].transform("count") > 1]
    if rows.empty:
        raise NotDrawableError("no two sizes N were trained with one batch size for equally many steps on fresh text")
    sheet, (ax,) = canvas()
    colours = SizeColours(rows["step"].unique(), "D")
    for step, part in rows.groupby("step"):
        name = f"S = {readable(step)}"
        points(ax, part["parameters"], part["loss"], name, colours(step), colours.marker(step))
        curve(ax, part["parameters"], part["loss"], f"{name}, joined", colours(step), linewidth=0.7)
    log_axis(ax, "x", LABELS["parameters"])
    log_axis(ax, "y", LABELS["loss"])
    size_bar(sheet, [ax], colours, "$S$")
    return sheet


@figure(
    "Larger models learn from fewer tokens",
    "Tokens of fresh text until a given loss is reached, against size N. The lines fall: a larger model needs fewer.",
)
def sample_efficiency(observations: Observations, laws: Laws) -> Figure:
    """Tokens to reach a loss, by N (Kaplan et al. 2020, figure 19)."""
    curves = fresh_curves(observations)
    rows = reached(curves, targets(curves), "tokens")
    rows = rows.assign(parameters=alike(rows["parameters"]))
    rows = rows.groupby(["target", "parameters"], as_index=False)["tokens"].min()
    rows = rows[rows.groupby("target")["parameters"].transform("count") > 1]
    if rows.empty:
        raise NotDrawableError("no loss was reached by two sizes N")
    sheet, (ax,) = canvas()
    marks = category_marks([f"{target:g}" for target in sorted(rows["target"].unique())])
    for target, part in rows.groupby("target"):
        colour, marker = marks[f"{target:g}"]
        name = f"L = {target:g} nats/token"
        points(ax, part["parameters"], part["tokens"], name, colour, marker, label=name)
        curve(ax, part["parameters"], part["tokens"], f"{name}, joined", colour, linewidth=0.7)
    log_axis(ax, "x", LABELS["parameters"])
    log_axis(ax, "y", "Tokens to reach the loss")
    legend_above(sheet, columns=2)
    return sheet


@figure(
    "When to stop, against its bound",
    "The step at which each run that overfits had its lowest held-out loss, against the earliest step at which the "
    "laws say that it could. Points below the line stopped too early for one of the laws.",
    sweeps=REPEATED,
)
def stopping_bound(observations: Observations, laws: Laws) -> Figure:
    """S_stop against S_c/[L(N,D) - L(N,∞)]^(1/α_S) (Kaplan et al. 2020, figure 16, left)."""
    data = needed_law(laws, "kaplan", observations.train_corpus, "L(N,D) of Kaplan's form")
    steps = needed_law(laws, "kaplan_steps", observations.train_corpus, "law of size and steps")
    stopped = observations.results(observations.train_corpus)
    stopped = stopped[stopped["status"] == "early_stopped"]
    if stopped.empty:
        raise NotDrawableError("no run was stopped early")
    law = DataLaw(*(data.best[name] for name in ("alpha_N", "alpha_D", "N_c", "D_c")))
    size, subset = (stopped[name].to_numpy(float) for name in ("parameters", "dataset_tokens"))
    bound = law.earliest_stop(size, subset, steps.best["S_c"], steps.best["alpha_S"])
    rows = stopped.assign(bound=bound)
    sheet, (ax,) = canvas()
    colours = SizeColours(rows["dataset_tokens"].unique(), "D")
    for value, part in rows.groupby("dataset_tokens"):
        points(ax, part["bound"], part["result_step"], f"D = {readable(value)}", colours(value), colours.marker(value))
    ends = np.array([min(bound.min(), rows["result_step"].min()), max(bound.max(), rows["result_step"].max())])
    ax.plot(ends, ends, color="0.3", linewidth=0.8, zorder=1, label="the bound")
    log_axis(ax, "x", r"$S_c\,[L(N,D) - L(N,\infty)]^{-1/\alpha_S}$ (updates)")
    log_axis(ax, "y", "Step of the lowest loss (updates)")
    size_bar(sheet, [ax], colours, "$D$")
    legend_above(sheet)
    return sheet


@figure(
    "Training and held-out loss: early stopping",
    "The largest size that was trained on most subsets D: loss on held-out text (solid) and on the text it trains on "
    "(dashed). On a small subset the held-out loss turns while the training loss goes on falling; the ring marks the "
    "step taken as the result.",
    sweeps=REPEATED,
)
def train_and_test_curves(observations: Observations, laws: Laws) -> Figure:
    """Train and test loss against tokens processed, by D, for the largest N (Kaplan et al. 2020, figure 16, right)."""
    test = observations.curves(observations.train_corpus, "test")
    train = observations.curves(observations.train_corpus, "train")
    if train.empty:
        raise NotDrawableError("the loss on training text was not recorded (split 'train')")
    several = test[test.groupby("run")["step"].transform("nunique") > 1]
    if several.empty:
        raise NotDrawableError("every run was evaluated at one step only")
    subsets = several.groupby("parameters")["dataset_tokens"].nunique()
    largest = subsets.index[subsets == subsets.max()].max()
    chosen = _one_run_a_subset(several[several["parameters"] == largest])
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
    cells = results.groupby(BUT_FOR_SEEDS)["loss"].agg(["std", "count"]).reset_index()
    cells = cells[(cells["count"] > 1) & (cells["std"] > 0)]
    if cells.empty:
        raise NotDrawableError("no size N was trained on the same subset D with two seeds")
    sheet, (ax,) = canvas()
    colours = SizeColours(cells["parameters"].unique(), "N")
    for size, rows in cells.groupby("parameters"):
        points(ax, rows["dataset_tokens"], rows["std"], f"N = {readable(size)}", colours(size), colours.marker(size))
    middle = cells.groupby("dataset_tokens")["std"].apply(lambda spread: float(np.sqrt(np.mean(spread**2))))
    # Of a single subset the line is a dash.
    look = {"linewidth": 0.9} if len(middle) > 1 else {"marker": "_", "linestyle": "none"}
    curve(ax, middle.index, middle, "root mean square over sizes", "#1a1a1a", label="r.m.s. over sizes", **look)
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
