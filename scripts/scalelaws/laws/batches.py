"""The critical batch size against loss, and what far larger or smaller batches would have cost (Kaplan et al. 2020)."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalelaws.laws.curves import FIRST_EPOCH
from scalelaws.laws.estimate import Task
from scalelaws.laws.fitted import DETERMINED, FittedLaw
from scalelaws.laws.kaplan import critical_batch, least_flops, least_steps
from scalelaws.laws.problem import Objective
from scalelaws.laws.status import BATCH_NOISE
from scalelaws.laws.uncertainty import Resampled
from scalelaws.observations.table import Observations

Array = npt.NDArray[np.float64]
FEWEST_BATCHES = 3
LEVELS = 8
"""Losses at which a scan's curves are compared."""
WIDEST = 10.0
"""The interval of a B_crit that is of use, as a factor."""
TRANSIENT = 0.05
"""The first part of a run that is no power law of its steps yet."""
RELATIVE_NOISE = Objective("log", 1.345 * BATCH_NOISE)
"""Huber's delta is 1.345 times the noise, at which a fit keeps 95% efficiency."""


def noise_scale_task(observations: Observations) -> Task | None:
    """B_crit(L) from the gradient noise scale, every measurement of a run on fresh tokens at the loss it had."""
    curves = observations.curves(observations.train_corpus)
    if "noise_scale" not in curves or not (curves["noise_scale"] > 0).any():
        return None
    rows = _settled(curves[curves["noise_scale"] > 0])
    # Measurements are running averages, so that those of one run err together: runs are resampled whole.
    rows = rows[["run", "step", "flops", "parameters", "loss"]].assign(observed=rows["noise_scale"], used=True)
    return _task("critical_batch_by_noise_scale", "B_crit(L), noise scale", observations, rows, RELATIVE_NOISE)


def scan_task(observations: Observations, noise: float, resamples: int, seed: int) -> tuple[Task, Resampled] | None:
    """B_crit(L) from runs of one size at several batch sizes, and its resamples.

    At each of LEVELS losses the steps S and tokens E to it lie on (S/S_min - 1)(E/E_min - 1) = 1, and B_crit is
    E_min/S_min: an average over the way to that loss, below what the noise scale says at it. Resamples redraw the noise
    in ln loss of every recorded point. Updates of a warm-up count as their rate does, half.
    """
    rng = np.random.default_rng(seed)
    tables, redrawn = [], []
    runs = 0
    for size, curves in scanned(observations).groupby("parameters"):
        tracks = [curve.sort_values("step") for _, curve in curves.groupby("run")]
        levels = _levels(tracks)
        batches = np.array([track["batch_tokens"].iloc[0] for track in tracks])
        if len(np.unique(batches)) < FEWEST_BATCHES or not len(levels):
            continue
        shifts = [noise * rng.standard_normal((1 + resamples, len(track))) for track in tracks]
        for shift in shifts:
            shift[0] = 0.0
        steps = np.stack([_steps_to(levels, t, s) for t, s in zip(tracks, shifts, strict=True)], axis=-1)
        critical = _critical(steps, batches)
        runs += len(tracks)
        tables.append(
            pd.DataFrame(
                {
                    "run": f"N = {size:g}",
                    "step": np.arange(len(levels)),
                    "parameters": size,
                    "flops": 0.0,
                    "loss": np.exp(levels),
                    "observed": critical[0],
                    "used": critical[0] > 0,
                }
            )
        )
        redrawn.append(critical[1:])
    if not tables:
        return None
    rows, drawn = pd.concat(tables, ignore_index=True), np.concatenate(redrawn, axis=1)
    if not rows["used"].any():
        return None
    drawn = drawn[:, rows["used"].to_numpy()]
    how = f"each of {runs} runs' noise redrawn ({noise:.2g} in ln loss), the trade-offs fitted anew"
    kept = np.where(drawn > 0, drawn, 1.0), (drawn > 0).astype(float)
    task = _task("critical_batch_by_scans", "B_crit(L), batch scans", observations, rows, RELATIVE_NOISE)
    return task, Resampled(*kept, max(runs - 2, 1), how)


def adjusted(curves: pd.DataFrame, law: FittedLaw) -> pd.DataFrame:
    """Learning curves with a batch size, with their S_min and C_min by a law of B_crit (eq. 5.4 and 5.5)."""
    rows = curves[curves["batch_tokens"] > 0]
    critical = critical_batch(rows["loss"].to_numpy(float), **law.best)
    return rows.assign(
        steps_min=least_steps(rows["step"], rows["batch_tokens"], critical),
        flops_min=least_flops(rows["flops"], rows["batch_tokens"], critical),
    )


def steps_task(observations: Observations, law: FittedLaw, objective: Objective) -> Task | None:
    """L(N, S_min): every learning curve on fresh tokens, its transient left out."""
    curves = _settled(observations.curves(observations.train_corpus))
    rows = adjusted(curves[curves["step"] >= TRANSIENT * curves["steps"]], law)
    if rows.empty or rows.groupby("run").size().max() < FEWEST_BATCHES:
        return None
    rows = rows[["run", "step", "flops", "parameters", "steps_min"]].assign(observed=rows["loss"], used=True)
    name, title = "loss_of_parameters_and_steps", "L(N, S_min)"
    return Task(name, "kaplan_steps", title, observations.train_corpus, "test", rows, objective)


def usable(laws: dict[str, FittedLaw], observations: Observations) -> FittedLaw | None:
    """The law of B_crit that adjustments go by: of scans, which measure it, before the noise scale.

    It must know B_crit to WIDEST all over the losses of the curves it is for, beyond those it was measured at.
    """
    losses = _settled(observations.curves(observations.train_corpus))["loss"]
    ends = np.array([losses.min(), losses.max()])
    for name in ("critical_batch_by_scans", "critical_batch_by_noise_scale"):
        law = laws.get(name)
        if law and law.parameters and law.status == DETERMINED:
            low, high = law.band(0.95, loss=ends)
            if (high < WIDEST * low).all():
                return law
    return None


def scanned(observations: Observations) -> pd.DataFrame:
    """The learning curves that stand for each batch size of each size N, on fresh tokens and after the warm-up.

    Of several runs of one batch that is the one whose subset most batches share, and among these the longest.
    """
    curves = _settled(observations.curves(observations.train_corpus))
    curves = curves[(curves["batch_tokens"] > 0) & (curves.groupby("run")["step"].transform("count") > 1)]
    ends = curves.groupby(["parameters", "batch_tokens", "dataset_tokens", "run"], as_index=False)["tokens"].max()
    ends["sharing"] = ends.groupby(["parameters", "dataset_tokens"])["batch_tokens"].transform("nunique")
    best = ends.sort_values(["sharing", "tokens"]).groupby(["parameters", "batch_tokens"])["run"].last()
    return curves[curves["run"].isin(best)]


def _settled(curves: pd.DataFrame) -> pd.DataFrame:
    """Rows of learning curves on fresh tokens, after the warm-up."""
    fresh = curves["tokens"] <= FIRST_EPOCH * curves["dataset_tokens"]
    return curves[fresh & (curves["step"] > curves["warmup_steps"])]


def _task(name: str, title: str, observations: Observations, rows: pd.DataFrame, objective: Objective) -> Task:
    train = observations.train_corpus
    return Task(name, "critical_batch", title, train, "test", rows, objective, tested=False)


def _levels(tracks: list[pd.DataFrame]) -> Array:
    """ln losses that all tracks pass, from the second highest to the lowest such; none where they share none."""
    highest = min(np.log(track["loss"].max()) for track in tracks)
    lowest = max(np.log(track["loss"].min()) for track in tracks)
    return np.linspace(highest, lowest, LEVELS + 1)[1:] if lowest < highest else np.empty(0)


def _steps_to(levels: Array, track: pd.DataFrame, shifts: Array) -> Array:
    """Steps (R, levels) after which a curve, its points shifted by `shifts` (R, points) in ln loss, reaches each level.

    Beyond the ends of the curve its last segment is continued.
    """
    log_steps = np.log(track["step"].to_numpy(float) - track["warmup_steps"].to_numpy(float) / 2)
    log_losses = np.minimum.accumulate(np.log(track["loss"].to_numpy(float)) + shifts, axis=1)
    found = []
    for log_loss in log_losses:
        keep = np.concatenate([[True], np.diff(log_loss) < 0])
        x, y = -log_loss[keep], log_steps[keep]
        each = np.interp(-levels, x, y)
        if len(x) > 1:
            each += np.maximum(-levels - x[-1], 0) * (y[-1] - y[-2]) / (x[-1] - x[-2])
            each += np.minimum(-levels - x[0], 0) * (y[1] - y[0]) / (x[1] - x[0])
        found.append(each)
    return np.exp(found)


def _critical(steps: Array, batches: Array) -> Array:
    """B_crit (R, levels) from steps (R, levels, batches): least squares of 1 = S_min/S + E_min/E; 0 where refused."""
    s, e = 1 / steps, 1 / (steps * batches)
    ss, se, ee = (s * s).sum(-1), (s * e).sum(-1), (e * e).sum(-1)
    least_s, least_e = s.sum(-1) * ee - e.sum(-1) * se, e.sum(-1) * ss - s.sum(-1) * se
    return np.where((least_s > 0) & (least_e > 0), least_e / np.where(least_s > 0, least_s, 1.0), 0.0)
