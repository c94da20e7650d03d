"""Intervals by bootstrap over runs: every resample of a law is fitted at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from scalelaws.laws.form import constrained
from scalelaws.laws.problem import Problem
from scalelaws.laws.solver import Solution
from scalelaws.laws.starts import refit, solve

Array = npt.NDArray[np.float64]
PAIRS_PER_COORDINATE = 12
"""With fewer runs than this for each coordinate, drawing runs with replacement often drops a whole size, and its
intervals are wrong (measured in benchmarks/laws.py); redrawing every run's noise about the law keeps the design."""
LEVEL = 0.95
VANISHED = 0.01
"""A floor below this share of the lowest loss counts as none."""


@dataclass(frozen=True)
class Resampled:
    """Resamples made elsewhere: observed values and weights (R, n), their degrees of freedom, how in words."""

    observed: Array
    weights: Array
    freedom: float
    how: str


def bootstrap(
    problem: Problem,
    best: Solution,
    observed: Array,
    weights: Array,
    runs: npt.NDArray[np.intp],
    resamples: int,
    seed: int,
) -> tuple[Array, str]:
    """Coordinates (resamples, p) refitted on resampled runs, and in words how they were resampled.

    `runs` (n,) numbers the run of each row, `weights` (n,) go as one over its variance. Many runs are drawn with
    replacement, deviations widened for the degrees of freedom spent. Of few, each run's noise is redrawn from the
    residuals' spread, and deviations are studentized.
    """
    rng = np.random.default_rng(seed)
    count = int(runs.max()) + 1
    free = max(count - problem.size, 1)
    starts = [best.theta]
    floor = _vanished_floor(problem, best.theta[0], observed, weights)
    if floor is not None:
        starts.append(floor)
    if count >= PAIRS_PER_COORDINATE * problem.size:
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
        solution = _refit(problem, starts, observed, weights * drawn[:, runs])
        if floor is not None:
            return solution.theta, f"{count} runs drawn with replacement; a floor near zero leaves them unwidened"
        widening = np.sqrt(count / free) * student(free)
        return best.theta + widening * (solution.theta - best.theta), f"{count} runs drawn with replacement"
    fitted = problem.fitted(best.theta)
    unit = problem.scale / np.sqrt(weights)
    spread = _spread(problem, fitted, problem.target(observed), unit, count)
    noise = spread * unit * rng.standard_normal((resamples, count))[:, runs]
    redrawn = problem.observed(fitted + noise)
    solution = _refit(problem, starts, redrawn, np.broadcast_to(weights, redrawn.shape))
    how = f"noise of {count} runs redrawn from the residuals ({spread[0]:.2g})"
    if floor is not None:
        return solution.theta, f"{how}; a floor near zero leaves them unstudentized"
    spreads = _spread(problem, problem.fitted(solution.theta), problem.target(redrawn), unit, count)
    # Each deviation in units of its own resample's noise: exact for straight lines, however few runs and whatever loss.
    deviation = (solution.theta - best.theta) * (spread / np.maximum(spreads, 1e-300))[:, None]
    return best.theta + deviation, how


def _refit(problem: Problem, starts: Sequence[Array], observed: Array, weights: Array) -> Solution:
    """The better of the optima reached from each start, for every resample."""
    resamples = len(weights)
    found = [refit(problem, np.repeat(s, resamples, axis=0), observed, weights) for s in starts]
    best = found[0]
    for other in found[1:]:
        best = best.where(other.objective < best.objective, other)
    return best


def _vanished_floor(problem: Problem, theta: Array, observed: Array, weights: Array) -> Array | None:
    """A second start (1, p) with the floor at half the lowest loss, where the best fit has none to speak of; else None.

    At a floor of nearly zero the objective is flat in it, so that resamples started there would never find another.
    """
    form = problem.form
    names = [term.scale for term in form.terms if term.scale and not term.slopes]
    if len(form.terms) < 2 or not names or not form.logarithmic:
        return None
    column = form.coordinates.index(names[0])
    power = 1.0 if form.outer is None else float(np.exp(theta[form.coordinates.index(form.outer)]))
    if np.exp(power * theta[column]) > VANISHED * observed.min():
        return None
    height = np.log(0.5 * observed.min()) / power
    held = constrained(form, {names[0]: float(height)})
    fitted = solve(problem.like(held), observed, weights).theta[0]
    start = [height if name == names[0] else fitted[held.coordinates.index(name)] for name in form.coordinates]
    return np.array([start])


def _spread(problem: Problem, fitted: Array, target: Array, unit: Array, runs: int) -> Array:
    """Standard deviation (R,), in units (n,) of each row, of the residuals of fits with `runs` runs."""
    squares = np.square((target - fitted) / unit).sum(axis=1)
    return np.sqrt(squares / max(fitted.shape[1] * (1 - problem.size / runs), 1e-9))


def refitted(problem: Problem, best: Solution, resampled: Resampled) -> Array:
    """Coordinates (R, p) refitted on given resamples, widened for their degrees of freedom."""
    start = np.repeat(best.theta, len(resampled.observed), axis=0)
    solution = refit(problem, start, resampled.observed, resampled.weights)
    return best.theta + student(resampled.freedom) * (solution.theta - best.theta)


def student(degrees_of_freedom: float) -> float:
    """How much wider a 95% interval is than the normal's when the noise is estimated with few degrees of freedom."""
    return float(t.ppf((1 + LEVEL) / 2, degrees_of_freedom) / norm.ppf((1 + LEVEL) / 2))


def interval(draws: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Percentile interval over the first axis."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
