"""Intervals by profile likelihood, for what the bootstrap is known to get wrong: floors near zero, few runs.

A parameter is held at a value and the others are fitted anew; values stay in the interval while the residuals' squares
grow by no more than an F test allows. Exact for straight lines and normal noise, however few the runs, and it ends at
zero or at a bound where the data do not tell. Squares are used whatever the fit minimised, for Huber's loss is no
likelihood; if the fit made less of rows far out, so do they.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import t

from scalelaws.laws.form import Form, constrained
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.solver import minimise
from scalelaws.laws.starts import solve

Array = npt.NDArray[np.float64]
LEVEL = 0.95
FARTHEST = 40.0
"""A coordinate is followed this far from its best value: a floor e^40 below the loss is none."""
NOTHING = 1e-12
OUTLYING, NORMAL_MAD = 3.0, 1.4826
FIRST_STEP, WIDENING, WIDEST = 0.05, 2.0, 8.0
NUDGE = 1e-3
FLOOR = 0.4
"""Of the lowest loss: the floor that a profile also starts from, wherever the best one is."""


def profiled(
    problem: Problem, theta: Array, observed: Array, weights: Array, runs: int
) -> dict[str, tuple[float, float]]:
    """95% intervals of the parameters that are one coordinate of the form each, by name.

    theta (p,) is the fit, in the form's coordinates, of rows with `weights` (n,); `runs` of them are independent.
    """
    squares = problem.with_objective(Objective(problem.objective.residual, None))
    weights = weights * _robust(problem, theta, observed)
    start = minimise(squares, theta[None], observed, weights[None])
    best = solve(squares, observed, weights)
    if start.objective[0] < best.objective[0]:
        best = start
    freedom = max(runs - problem.size, 1)
    allowed = float(best.objective[0]) * (1 + t.ppf((1 + LEVEL) / 2, freedom) ** 2 / freedom)
    found = {}
    for parameter, coordinate in _direct(problem.form, theta).items():
        column = problem.form.coordinates.index(coordinate)
        lowest = _lowest(squares, coordinate, best.theta[0], observed, weights)
        centre = float(best.theta[0, column])
        ends = np.array([theta, theta])
        ends[:, column] = [_end(lowest, centre, side, allowed, squares.bounds(coordinate)) for side in (-1.0, 1.0)]
        index = [p.name for p in problem.form.parameters].index(parameter)
        values = problem.form.to_parameters(np.vstack([ends, theta]))[:, index]
        values = np.where(np.abs(values) < NOTHING, 0.0, values)
        found[parameter] = float(values.min()), float(values.max())
    return found


def _direct(form: Form, theta: Array) -> dict[str, str]:
    """The coordinate of every parameter that depends on a single one that can be held."""
    held = [name for term in form.terms for name in (term.scale, *(slope for slope, _ in term.slopes)) if name]
    moved = theta + NUDGE * np.eye(len(theta))
    changed = ~np.isclose(form.to_parameters(moved), form.to_parameters(theta), rtol=1e-12, atol=0)
    alone = changed.sum(axis=0) == 1
    found = {}
    for index, parameter in enumerate(form.parameters):
        coordinate = form.coordinates[int(changed[:, index].argmax())]
        if alone[index] and coordinate in held:
            found[parameter.name] = coordinate
    return found


def _robust(problem: Problem, theta: Array, observed: Array) -> Array:
    """One for each row (n,), or less for residuals beyond OUTLYING times their spread."""
    residual = np.abs(problem.fitted(theta[None])[0] - problem.target(observed)) / problem.scale
    if problem.objective.delta is None or problem.rows <= problem.size:
        return np.ones(problem.rows)
    # A fit of absolute deviations passes through as many rows as it has parameters; they say nothing of the spread.
    spread = NORMAL_MAD * np.median(np.sort(residual)[problem.size :])
    return np.minimum(1.0, OUTLYING * spread / np.maximum(residual, 1e-300))


def _lowest(
    problem: Problem, coordinate: str, theta: Array, observed: Array, row_weights: Array
) -> Callable[[float], float]:
    """The lowest objective as a function of the coordinate's value, from several starts.

    They are the best fit, the last one found, and the best with another floor: one that vanished would never come back,
    for the objective is flat where a floor is nothing.
    """
    column = problem.form.coordinates.index(coordinate)
    best = np.delete(theta, column)
    last, other = best, np.delete(_with_floor(problem.form, theta, observed), column)
    weights = np.tile(row_weights, (3, 1))

    @cache
    def lowest(value: float) -> float:
        nonlocal last
        held = problem.like(constrained(problem.form, {coordinate: value}))
        solution = minimise(held, np.stack([best, last, other]), observed, weights, tolerance=1e-7)
        last = solution.theta[solution.objective.argmin()]
        return float(solution.objective.min())

    return lowest


def _with_floor(form: Form, theta: Array, observed: Array) -> Array:
    """The fit (p,) with its floor, if it has one, at FLOOR times the lowest loss."""
    floors = [form.coordinates.index(term.scale) for term in form.terms if term.scale and not term.slopes]
    other = theta.copy()
    if form.logarithmic:
        other[floors] = np.log(FLOOR * observed.min())
    return other


def _end(
    lowest: Callable[[float], float], centre: float, side: float, allowed: float, bounds: tuple[float, float]
) -> float:
    """Where the lowest objective passes what is allowed, on one side of the best value; how far it goes if nowhere."""
    least = lowest(centre)
    if least >= allowed:  # residuals of nothing but rounding: no growth of their squares can be told
        return centre

    def excess(value: float) -> float:
        """Of the root of the objective's growth, which is nearly a straight line, over the root of what is allowed."""
        return float(np.sqrt(max(lowest(value) - least, 0.0)) - np.sqrt(allowed - least))

    limit = float(np.clip(centre + side * FARTHEST, *bounds))
    near, step = centre, FIRST_STEP * max(abs(centre), 0.1)
    while True:
        far = limit if abs(near + side * step - centre) >= abs(limit - centre) else near + side * step
        beyond = excess(far)
        if beyond > 0:
            return float(brentq(excess, near, far, rtol=1e-4))
        if far == limit:
            return limit
        gone = 1 + beyond / np.sqrt(allowed - least)
        wanted = 1.2 * abs(far - centre) / max(gone, 1e-3) - abs(far - centre)
        near, step = far, float(np.clip(wanted, WIDENING * step, WIDEST * step))
