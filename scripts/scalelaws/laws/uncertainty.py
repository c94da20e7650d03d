"""Intervals by bootstrap over runs: every resample of a law is fitted at once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from scalelaws.laws.problem import Problem
from scalelaws.laws.solver import Solution, minimise

Array = npt.NDArray[np.float64]
PAIRS_PER_COORDINATE = 12
"""With fewer runs than this for each coordinate, drawing runs with replacement often drops a whole size, and its
intervals are wrong (measured in benchmarks/laws.py); redrawing every run's noise about the law keeps the design."""
LEVEL = 0.95


@dataclass(frozen=True)
class Resampled:
    """Resamples made elsewhere: observed values and weights (R, n), their degrees of freedom, how in words."""

    observed: Array
    weights: Array
    freedom: float
    how: str


def bootstrap(
    problem: Problem, best: Solution, observed: Array, runs: npt.NDArray[np.intp], resamples: int, seed: int
) -> tuple[Array, str]:
    """Coordinates (resamples, p) refitted on resampled runs, and in words how they were resampled.

    `runs` (n,) numbers the run of each row. Many runs are drawn with replacement, deviations widened for the degrees of
    freedom spent. Of few, each run's noise is redrawn from the residuals' spread, and deviations are studentized.
    """
    rng = np.random.default_rng(seed)
    count = int(runs.max()) + 1
    free = max(count - problem.size, 1)
    start = np.repeat(best.theta, resamples, axis=0)
    if count >= PAIRS_PER_COORDINATE * problem.size:
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
        solution = minimise(problem, start, observed, drawn[:, runs].astype(float), tolerance=1e-9)
        widening = np.sqrt(count / free) * student(free)
        return best.theta + widening * (solution.theta - best.theta), f"{count} runs drawn with replacement"
    fitted = problem.fitted(best.theta)
    spread = _spread(problem, fitted, problem.target(observed), count)
    noise = spread * problem.scale * rng.standard_normal((resamples, count))[:, runs]
    redrawn = problem.observed(fitted + noise)
    solution = minimise(problem, start, redrawn, np.ones(redrawn.shape), tolerance=1e-9)
    spreads = _spread(problem, problem.fitted(solution.theta), problem.target(redrawn), count)
    # Each deviation in units of its own resample's noise: exact for straight lines, however few runs and whatever loss.
    deviation = (solution.theta - best.theta) * (spread / np.maximum(spreads, 1e-300))[:, None]
    return best.theta + deviation, f"noise of {count} runs redrawn from the residuals ({spread[0]:.2g})"


def _spread(problem: Problem, fitted: Array, target: Array, runs: int) -> Array:
    """Standard deviation (R,) of the residuals of fits with `runs` runs."""
    squares = np.square((target - fitted) / problem.scale).sum(axis=1)
    return np.sqrt(squares / max(fitted.shape[1] * (1 - problem.size / runs), 1e-9))


def refitted(problem: Problem, best: Solution, resampled: Resampled) -> Array:
    """Coordinates (R, p) refitted on given resamples, widened for their degrees of freedom."""
    start = np.repeat(best.theta, len(resampled.observed), axis=0)
    solution = minimise(problem, start, resampled.observed, resampled.weights, tolerance=1e-9)
    return best.theta + student(resampled.freedom) * (solution.theta - best.theta)


def student(degrees_of_freedom: float) -> float:
    """How much wider a 95% interval is than the normal's when the noise is estimated with few degrees of freedom."""
    return float(t.ppf((1 + LEVEL) / 2, degrees_of_freedom) / norm.ppf((1 + LEVEL) / 2))


def interval(draws: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Percentile interval over the first axis."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
