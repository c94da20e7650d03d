"""Where the solver starts: a grid over slopes and outer power, the scales solved for exactly (variable projection)."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.solver import Solution, minimise

Array = npt.NDArray[np.float64]
SLOPES = (0.05, 0.12, 0.25, 0.5, 1.0)
OUTERS = (0.05, 0.1, 0.2, 0.45, 1.0)
MAX_GRID = 700
POLISHED = 8
ROUGHLY = 60
"""Iterations after which a point that is still on its way is left where it is, until it proves to be near the best."""
TIE_BREAK, EQUAL = 1e-3, 1e-10
"""The share of squares, over Huber's delta, by which equals are told apart, and how near each other they must be."""
NEAR = 1e-3
"""Roughly minimised, the best optimum is within this share of the lowest objective."""
GRADUATED = tuple(10.0 ** np.arange(-1.0, -9.0, -1.0))
"""Huber's delta is lowered in steps: with a small delta the objective has many local optima far from the best."""


def solve(problem: Problem, observed: Array, weights: Array) -> Solution:
    """The best optima found for weightings (n,) or (W, n) of the observations (n,): a Solution of one or W resamples.

    Deterministic. Of a fixed grid, the points best in squared loss are polished with delta lowered in steps, and the
    points best in the objective itself straight away; the order of rows matters only through rounding.
    """
    weightings, delta = np.atleast_2d(weights), problem.objective.delta
    grids = [_grid(problem, observed, weighting) for weighting in weightings]
    smooth = _with_delta(problem, None)
    points = _best(smooth, grids, observed, weightings)
    if delta is None:
        return _polished(problem, points, observed, weightings)
    for stage in (None, *(d for d in GRADUATED if d > delta)):
        points = _minimised(_with_delta(problem, stage), points, observed, weightings, tolerance=1e-6)
    direct = _best(problem, grids, observed, weightings)
    best = _polished(problem, np.concatenate([points, direct], axis=1), observed, weightings)
    return _of_equals(problem, best, observed, weightings)


def _best(problem: Problem, grids: Sequence[Array], observed: Array, weightings: Array) -> Array:
    """The POLISHED best points (W, P, p) of each weighting's grid (G, p)."""
    target = problem.target(observed)
    chosen = []
    for grid, weights in zip(grids, weightings, strict=True):
        repeated = np.broadcast_to(weights, (len(grid), len(weights)))
        value = problem.value(problem.prediction(problem.phi(grid)), target, repeated)
        chosen.append(grid[np.argsort(value, kind="stable")[:POLISHED]])
    return np.stack(chosen)


def _polished(problem: Problem, points: Array, observed: Array, weightings: Array) -> Solution:
    """The best of each weighting's points (W, P, p); those that come near it are followed to the last digit."""
    reached = _solution(problem, points, observed, weightings, tolerance=1e-7)
    objective = reached.objective.reshape(points.shape[:2])
    near = objective <= (1 + NEAR) * objective.min(axis=1, keepdims=True)
    weighting, _ = np.nonzero(near)
    solution = minimise(problem, reached.theta[near.ravel()], observed, weightings[weighting])
    objective[near] = solution.objective
    place = np.cumsum(near.ravel()).reshape(near.shape) - 1
    best = np.where(near, objective, np.inf).argmin(axis=1)
    return solution.rows(place[np.arange(len(points)), best])


def _of_equals(problem: Problem, best: Solution, observed: Array, weightings: Array) -> Solution:
    """Of optima that Huber's loss holds for equally good, as those of few rows can be, the one of least squares."""
    assert problem.objective.delta
    share = TIE_BREAK * problem.objective.delta
    chosen = minimise(problem.with_squares(share), best.theta, observed, weightings)
    prediction = problem.prediction(problem.phi(chosen.theta))
    objective = problem.value(prediction, problem.target(observed), weightings)
    equal = objective <= (1 + EQUAL) * best.objective
    return best.where(equal, replace(chosen, objective=objective))


def _minimised(problem: Problem, points: Array, observed: Array, weightings: Array, tolerance: float) -> Array:
    return _solution(problem, points, observed, weightings, tolerance).theta.reshape(points.shape)


def _solution(problem: Problem, points: Array, observed: Array, weightings: Array, tolerance: float) -> Solution:
    weights = np.repeat(weightings, points.shape[1], axis=0)
    return minimise(problem, points.reshape(-1, points.shape[-1]), observed, weights, tolerance, ROUGHLY)


def refit(problem: Problem, start: Array, observed: Array, weights: Array) -> Solution:
    """Minimise from the best fit of the whole (R, p) for resamples, of which each moves the optimum a little.

    With a delta far below the residuals the objective is nearly a sum of absolute values, on whose edges Newton's steps
    get stuck; it is lowered to there in steps too.
    """
    delta = problem.objective.delta
    if delta is not None:
        target = problem.target(observed)
        residual = np.median(np.abs((problem.fitted(start[:1]) - np.atleast_2d(target)[:1]) / problem.scale))
        for stage in (d for d in GRADUATED if delta < d <= residual / 3):
            start = minimise(_with_delta(problem, stage), start, observed, weights, tolerance=1e-6).theta
    return minimise(problem, start, observed, weights, tolerance=1e-9)


def _with_delta(problem: Problem, delta: float | None) -> Problem:
    return problem.with_objective(Objective(problem.objective.residual, delta))


def _grid(problem: Problem, observed: Array, weights: Array) -> Array:
    """Coordinates (G, p): every combination of slopes and outer power, its scales by nonnegative least squares."""
    form = problem.form
    names = form.coordinates
    scales = [term.scale for term in form.terms]
    slopes = [name for name in names if name not in scales and name != form.outer]
    choices: list[tuple[float, ...]] = [form.starts.get(name, SLOPES) for name in slopes]
    if form.outer:
        choices.append(OUTERS)
    while np.prod([len(c) for c in choices]) > MAX_GRID:
        choices = [c[::2] if len(c) > 3 else c for c in choices]
    combinations = np.array(list(itertools.product(*choices)), float).reshape(-1, len(choices))
    theta = np.zeros((len(combinations), len(names)))
    theta[:, [names.index(name) for name in slopes]] = combinations[:, : len(slopes)]
    outer = np.ones(len(theta))
    if form.outer:
        outer = combinations[:, -1]
        theta[:, names.index(form.outer)] = np.log(outer)
    if not form.logarithmic:
        return theta
    phi = problem.phi(theta)
    scale_columns = [names.index(s) if s else None for s in scales]
    phi[:, [column for column in scale_columns if column is not None]] = 0.0
    u = problem.exponents(phi).transpose(1, 0, 2) - np.log(np.maximum(observed, 1e-3 * observed.max())) / outer[:, None]
    # Everything is relative to the observed loss, so the sum of all terms should be one on every row.
    top = u.max(axis=2)
    design = np.exp(u - top[:, :, None])
    shares = _nonnegative(design, weights, top, [c is None for c in scale_columns])
    for k, scale_column in enumerate(scale_columns):
        if scale_column is not None:
            phi[:, scale_column] = np.log(shares[:, k]) - top[k]
    return problem.theta(np.clip(phi, problem.lower, problem.upper))


def _nonnegative(design: Array, weights: Array, top: Array, fixed: list[bool]) -> Array:
    """Scales (G, K) that bring Σ_k scale_k design_k (K, G, n) closest to one, over all sets of terms left out."""
    terms, grid, rows = design.shape
    free = [k for k in range(terms) if not fixed[k]]
    rest = np.ones((grid, rows))
    for k in range(terms):
        if fixed[k]:
            rest = rest - design[k] * np.exp(np.minimum(top[k], 300.0))[:, None]
    gram = np.einsum("kgn,lgn,n->gkl", design[free], design[free], weights)
    right = np.einsum("kgn,gn,n->gk", design[free], rest, weights)
    best = np.full(grid, np.inf)
    found = np.full((grid, len(free)), 1e-6)
    for count in range(1, len(free) + 1):
        for chosen in itertools.combinations(range(len(free)), count):
            c = list(chosen)
            part = gram[:, c][:, :, c] + 1e-12 * np.eye(count)
            solved = np.linalg.solve(part, right[:, c][..., None])[..., 0]
            loss = -np.einsum("gk,gk->g", solved, right[:, c])
            better = (solved > 0).all(axis=1) & (loss < best)
            best[better] = loss[better]
            candidate = np.full((grid, len(free)), 1e-3)
            candidate[:, c] = solved
            found[better] = candidate[better]
    shares = np.ones((grid, terms))
    shares[:, free] = found
    return shares
