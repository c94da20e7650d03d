"""Intervals by profile likelihood, for what the bootstrap is known to get wrong: floors near zero, few runs.

A parameter is held at a value and the others are fitted anew; values stay in the interval while the residuals' squares
grow by no more than an F test allows. Exact for straight lines and normal noise, however few the runs, and it ends at
zero or at a bound where the data do not tell. Squares are used whatever the fit minimised, for Huber's loss is no
likelihood; if the fit made less of rows far out, so do they.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize.elementwise import find_root
from scipy.stats import t

from scalelaws.laws.form import Form
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.solver import Held, minimise
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
    parameters = _direct(problem.form, theta)
    if not parameters:
        return {}
    squares = problem.with_objective(Objective(problem.objective.residual, None))
    weights = weights * _robust(problem, theta, observed)
    start = minimise(squares, theta[None], observed, weights[None])
    best = solve(squares, observed, weights)
    if start.objective[0] < best.objective[0]:
        best = start
    freedom = max(runs - problem.size, 1)
    allowed = float(best.objective[0]) * (1 + t.ppf((1 + LEVEL) / 2, freedom) ** 2 / freedom)
    columns = np.repeat([problem.form.coordinates.index(name) for name in parameters.values()], 2)
    bounds = np.repeat([squares.bounds(name) for name in parameters.values()], 2, axis=0)
    lowest = _lowest(squares, columns, best.theta[0], observed, weights, allowed)
    sides = np.tile([-1.0, 1.0], len(parameters))
    found = _ends(lowest, best.theta[0, columns], sides, allowed, bounds)
    ends = np.tile(theta, (len(columns), 1))
    ends[np.arange(len(columns)), columns] = found
    values = problem.form.to_parameters(np.vstack([ends, theta]))
    values = np.where(np.abs(values) < NOTHING, 0.0, values)
    names = [p.name for p in problem.form.parameters]
    intervals = {}
    for place, name in enumerate(parameters):
        three = values[[2 * place, 2 * place + 1, -1], names.index(name)]
        intervals[name] = float(three.min()), float(three.max())
    return intervals


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
    problem: Problem,
    columns: npt.NDArray[np.intp],
    theta: Array,
    observed: Array,
    row_weights: Array,
    allowed: float,
) -> Callable[[Array, npt.NDArray[np.intp]], Array]:
    """The lowest objectives (m,) with, at each of m places in `columns`, that coordinate held at a value (m,).

    From several starts each: the best fit, the last one found there within what is allowed, and the best with another
    floor: one that vanished would never come back, for the objective is flat where a floor is nothing.
    """
    last = np.tile(theta, (len(columns), 1))
    starts = np.array([theta, theta, _with_floor(problem.form, theta, observed)])

    def lowest(values: Array, places: npt.NDArray[np.intp]) -> Array:
        start = np.tile(starts, (len(places), 1))
        start[1 :: len(starts)] = last[places]
        held = Held.at(problem, np.repeat(columns[places], len(starts)), np.repeat(values, len(starts)))
        weights = np.tile(row_weights, (len(start), 1))
        solution = minimise(problem, start, observed, weights, tolerance=1e-7, held=held)
        objective = solution.objective.reshape(-1, len(starts))
        found = solution.theta.reshape(len(places), len(starts), -1)[np.arange(len(places)), objective.argmin(axis=1)]
        within = objective.min(axis=1) <= allowed
        last[places[within]] = found[within]
        return np.asarray(objective.min(axis=1))

    return lowest


def _with_floor(form: Form, theta: Array, observed: Array) -> Array:
    """The fit (p,) with its floor, if it has one, at FLOOR times the lowest loss."""
    floors = [form.coordinates.index(term.scale) for term in form.terms if term.scale and not term.slopes]
    other = theta.copy()
    if form.logarithmic:
        other[floors] = np.log(FLOOR * observed.min())
    return other


def _ends(
    lowest: Callable[[Array, npt.NDArray[np.intp]], Array], centres: Array, sides: Array, allowed: float, bounds: Array
) -> Array:
    """Where the lowest objectives pass what is allowed, each on one side of its best value (m,).

    Where one never does, how far its coordinate goes. All are searched for at once.
    """
    ends, near = centres.copy(), centres.copy()
    least = lowest(centres, np.arange(len(centres)))
    # Residuals of nothing but rounding: no growth of their squares can be told.
    active = np.flatnonzero(least < allowed)
    root = np.sqrt(np.maximum(allowed - least, 0.0))
    known: dict[tuple[int, float], float] = {}

    def excess(values: Array, places: npt.NDArray[np.intp]) -> Array:
        """Of the root of the objective's growth, which is nearly a straight line, over the root of what is allowed.

        Nothing is asked for twice: from other starts the answer could be another, and a bracket none.
        """
        pairs = list(zip(places.tolist(), values.tolist(), strict=True))
        new = [i for i, pair in enumerate(pairs) if pair not in known]
        if new:
            at = places[new]
            found = np.sqrt(np.maximum(lowest(values[new], at) - least[at], 0.0)) - root[at]
            known.update(zip([pairs[i] for i in new], found.tolist(), strict=True))
        return np.array([known[pair] for pair in pairs])

    limits = np.clip(centres + sides * FARTHEST, bounds[:, 0], bounds[:, 1])
    steps = FIRST_STEP * np.maximum(np.abs(centres), 0.1)
    crossing = np.zeros(len(centres), bool)
    while len(active):
        far = near + sides * steps
        far = np.where(np.abs(far - centres) >= np.abs(limits - centres), limits, far)
        beyond = excess(far[active], active)
        ends[active] = far[active]
        crossing[active] = beyond > 0
        gone = 1 + beyond / root[active]
        reached = np.abs(far - centres)[active]
        wanted = 1.2 * reached / np.maximum(gone, 1e-3) - reached
        steps[active] = np.clip(wanted, WIDENING * steps[active], WIDEST * steps[active])
        active = active[(beyond <= 0) & (far[active] != limits[active])]
        near[active] = far[active]
    places = np.flatnonzero(crossing)
    if len(places):
        found = find_root(excess, (near[places], ends[places]), args=(places,), tolerances={"xrtol": 1e-4})
        ends[places] = found.x
    return ends
