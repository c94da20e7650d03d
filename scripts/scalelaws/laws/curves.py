"""Learning curves at equal compute: the loss of every size N on one grid of budgets C, and its run-to-run noise."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalelaws.observations.table import Observations

Array = npt.NDArray[np.float64]
BUDGETS_PER_DECADE = 24
FIRST_EPOCH, FOUR_EPOCHS = 1.01, 4.01
"""Compute is split between N and fresh tokens. Up to four epochs are nearly as good (Muennighoff et al. 2023), and
stand in where no fresh tokens were left."""


@dataclass(frozen=True)
class Profiles:
    """ln loss (S sizes, G budgets) of every size at every budget, NaN where it was not trained.

    `tracks` (S, G) says from how many runs; `noise` is the run-to-run standard deviation of ln loss; `runs` (S,) names
    each size's longest run.
    """

    parameters: Array
    flops: Array
    log_loss: Array
    tracks: npt.NDArray[np.intp]
    noise: float
    runs: list[str]

    def redrawn(self, resamples: int, seed: int) -> Array:
        """ln loss (R, S, G) with each run's noise redrawn; one draw shifts a run's whole curve."""
        rng = np.random.default_rng(seed)
        shifts = self.noise * rng.standard_normal((resamples, len(self.parameters), 1))
        return self.log_loss + shifts / np.sqrt(np.maximum(self.tracks, 1))


def curve_rows(observations: Observations) -> pd.DataFrame:
    """Rows of the held-out loss that show what compute buys: the curves' columns, with track and fresh.

    Every evaluation after warm-up of a constant schedule or trunk stands for a run that ends there, and so do those of
    curves whose schedule a table does not tell; of other schedules only the last step does, and sizes are interpolated
    between their runs (Hoffmann et al. 2022, section 3.1, warns of this). Rows of a subset that was repeated up to four
    times are kept, but are not fresh.
    """
    rows = observations.curves(observations.train_corpus, "test")
    epochs = rows["tokens"] / rows["dataset_tokens"]
    brought = (rows["schedule"] == "unknown") & (rows.groupby("run")["step"].transform("count") > 1)
    constant = rows["schedule"].isin(["constant", "trunk"]) | brought
    stands = (constant & (rows["step"] > rows["warmup_steps"])) | (~constant & (rows["step"] == rows["steps"]))
    track = np.where(constant, rows["run"], rows["parameters"].astype(str) + "/" + rows["seed"].astype(str))
    rows = rows.assign(track=track, fresh=epochs <= FIRST_EPOCH)
    return rows[stands & (epochs <= FOUR_EPOCHS)]


def profiles(rows: pd.DataFrame, noise: float) -> Profiles:
    """Equal-compute profiles of rows with run, track, parameters, dataset_tokens, flops, loss and fresh.

    A track is one learning curve. Where no fresh one of a size reaches a budget, its largest repeated subset stands in.
    """
    first, last = np.log10(rows["flops"].min()), np.log10(rows["flops"].max())
    flops = np.logspace(first, last, max(2, int(np.ceil((last - first) * BUDGETS_PER_DECADE)) + 1))
    sizes = np.sort(rows["parameters"].unique())
    curves = [_size_curve(rows[rows["parameters"] == size], flops) for size in sizes]
    longest = rows.sort_values(["flops", "run"]).groupby("parameters")["run"].last()
    log_loss, tracks = np.stack([c for c, _ in curves]), np.stack([n for _, n in curves])
    return Profiles(sizes, flops, log_loss, tracks, noise, list(longest[sizes]))


def seed_noise(results: pd.DataFrame) -> float | None:
    """Pooled standard deviation of ln loss between seeds of the same N and D; None where no cell has two seeds."""
    groups = np.log(results["loss"]).groupby([results["parameters"], results["dataset_tokens"]])
    freedom = int((groups.size() - 1).sum())
    if freedom == 0:
        return None
    deviations = np.log(results["loss"]) - groups.transform("mean")
    return float(np.sqrt(np.square(deviations).sum() / freedom))


def lowest_sizes(log_loss: Array) -> tuple[npt.NDArray[np.intp], Array, npt.NDArray[np.bool_]]:
    """The best size of ln losses (..., S, G): its index, its ln loss, whether it has smaller and larger rivals."""
    filled = np.where(np.isfinite(log_loss), log_loss, np.inf)
    best = filled.argmin(axis=-2)
    index = np.arange(log_loss.shape[-2])[:, None]
    present = np.isfinite(log_loss)
    below = (present & (index < best[..., None, :])).any(axis=-2)
    above = (present & (index > best[..., None, :])).any(axis=-2)
    return best, filled.min(axis=-2), below & above


def unbiased(lowest: Array, redrawn: Array) -> tuple[Array, Array]:
    """Lowest ln losses (G,) and resamples of them (R, G), both without the bias of choosing the lowest.

    The lowest of noisy losses lies too low, and that of losses with noise redrawn upon noise about twice as much; their
    difference is the bias (the bootstrap's estimate of it, Efron & Tibshirani 1993, chapter 10).
    """
    with np.errstate(invalid="ignore"):
        bias = np.nan_to_num(np.where(np.isfinite(redrawn), redrawn, lowest).mean(axis=0) - lowest)
    return lowest - bias, redrawn - 2 * bias


def _size_curve(rows: pd.DataFrame, flops: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """Mean ln loss of a size's tracks at each budget within them, and how many reach it: fresh ones where there are."""
    fresh, count = _mean_curve(rows[rows["fresh"]], flops)
    largest = rows[rows["dataset_tokens"] == rows["dataset_tokens"].max()]
    repeated, more = _mean_curve(largest, flops)
    return np.where(count > 0, fresh, repeated), np.where(count > 0, count, more)


def _mean_curve(rows: pd.DataFrame, flops: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """Mean ln loss of a size's runs at each budget within their curves, and how many runs reach it."""
    total, count = np.zeros(len(flops)), np.zeros(len(flops), np.intp)
    for _, curve in rows.groupby("track"):
        points = curve.groupby("flops")["loss"].mean()
        inside = (flops >= points.index.min() * (1 - 1e-9)) & (flops <= points.index.max() * (1 + 1e-9))
        total += np.where(inside, np.interp(np.log(flops), np.log(points.index), np.log(points)), 0.0)
        count += inside
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count
