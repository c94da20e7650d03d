"""The one solver of all laws: a damped Newton method with exact second derivatives that fits many resamples at once.

A resample is a row of weights over the same observations (and, where the observations themselves are resampled, a row
of observed values), so a bootstrap is one batch of matrix products. Minimised is Σ_i w_i ρ(r_i): r_i the residual in
log loss, or in loss, over the row's scale; ρ Huber's loss (r²/2 below delta, linear beyond) or, without delta, r²/2.

Shapes: R resamples, n rows, p coordinates, K terms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalelaws.laws.forms import Form, Term

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
CHUNK_ELEMENTS = 1 << 17
"""Resamples are worked on in chunks of about this many (resample, row) pairs, which stay in the processor's cache."""
SLOPE_BOUNDS = (0.0, 10.0)
OUTER_BOUNDS = (np.log(1e-3), np.log(10.0))
MAX_ITERATIONS = 400


@dataclass(frozen=True)
class Objective:
    """What is minimised: `residual` is "log" (of ln loss) or "loss" (of loss); `delta` None is squared loss."""

    residual: str = "log"
    delta: float | None = 1e-3


@dataclass(frozen=True)
class Solution:
    """theta (R, p) in the form's coordinates, objective (R,), converged (R,), at_bound (R, p)."""

    theta: Array
    objective: Array
    converged: Mask
    at_bound: Mask

    def rows(self, chosen: npt.NDArray[np.intp] | Mask) -> "Solution":
        """The solutions of some resamples."""
        return Solution(self.theta[chosen], self.objective[chosen], self.converged[chosen], self.at_bound[chosen])


@dataclass(frozen=True)
class _Block:
    """One term: u = φ[:, columns] @ features.T + offset."""

    columns: npt.NDArray[np.intp]
    features: Array
    offset: Array


class Problem:
    """A form over given variables, in centred and scaled coordinates φ (theta = transform φ + origin).

    `x` holds one array (n,) per variable of the form; `scale` (n,) divides the residuals.
    """

    def __init__(self, form: Form, x: Mapping[str, Array], objective: Objective, scale: Array | float = 1.0) -> None:
        self.form, self.objective = form, objective
        names = form.coordinates
        self.size = len(names)
        self.outer = names.index(form.outer) if form.outer else None
        self.transform, self.origin = np.eye(self.size), np.zeros(self.size)
        self.lower, self.upper = np.full(self.size, -np.inf), np.full(self.size, np.inf)
        raw = [_features(term, names, x, form.logarithmic) for term in form.terms]
        self.rows = len(raw[0][1])
        self.scale = np.broadcast_to(np.asarray(scale, float), self.rows)
        for scale_column, features, _ in raw:
            for column in np.flatnonzero(np.any(features != 0, axis=0)):
                if column != scale_column:
                    unit = features[:, column].std()
                    self.transform[column, column] = min(self.transform[column, column], 1 / max(unit, 1e-3))
                    self.lower[column], self.upper[column] = form.bounds.get(names[column], SLOPE_BOUNDS)
        self.blocks = [self._centred(*term) for term in raw]
        diagonal = np.diag(self.transform)
        self.lower, self.upper = self.lower / diagonal, self.upper / diagonal
        if self.outer is not None:
            self.lower[self.outer], self.upper[self.outer] = OUTER_BOUNDS

    def _centred(self, scale_column: int | None, features: Array, offset: Array) -> _Block:
        columns = np.flatnonzero(np.any(features != 0, axis=0))
        if scale_column is not None:
            for column in columns[columns != scale_column]:
                self.transform[scale_column, column] = -features[:, column].mean() * self.transform[column, column]
            self.origin[scale_column] = -offset.mean()
        mean = features.mean(axis=0) * (scale_column is not None)
        if scale_column is not None:
            mean[scale_column] = 0.0
        scaled = (features - mean)[:, columns] * np.diag(self.transform)[columns]
        return _Block(columns, scaled, offset + (self.origin[scale_column] if scale_column is not None else 0.0))

    def theta(self, phi: Array) -> Array:
        """The form's coordinates of the solver's."""
        return phi @ self.transform.T + self.origin

    def phi(self, theta: Array) -> Array:
        """The solver's coordinates of the form's."""
        return np.asarray(np.linalg.solve(self.transform, (theta - self.origin).T).T)

    def exponents(self, phi: Array) -> Array:
        """The terms' exponents u, shape (K, R, n)."""
        return np.stack([phi[:, b.columns] @ b.features.T + b.offset for b in self.blocks])

    def target(self, observed: Array) -> Array:
        """What residuals are taken from: ln loss for residuals in log loss, else the observed values."""
        return np.log(observed) if self.objective.residual == "log" and self.form.logarithmic else observed

    def observed(self, target: Array) -> Array:
        """The observed values whose targets these are."""
        return np.exp(target) if self.objective.residual == "log" and self.form.logarithmic else target

    def fitted(self, theta: Array) -> Array:
        """The law (n,) on the scale of the targets, for one vector of the form's coordinates."""
        f = self._prediction(self.phi(theta[None]))[0][0]
        return np.exp(f) if self._linear() else f

    def value(self, phi: Array, target: Array, weights: Array) -> Array:
        """Objective (R,)."""
        return self._value(self._prediction(phi)[0], target, weights)

    def _prediction(self, phi: Array) -> tuple[Array, Array, Array]:
        """The law (or its log) at (R, n), each term's share of the sum (K, R, n), and the outer power (R, 1)."""
        u = self.exponents(phi)
        outer = np.ones((len(phi), 1)) if self.outer is None else np.exp(phi[:, [self.outer]])
        if len(u) == 1:
            return outer * u[0], np.ones_like(u), outer
        top = u.max(axis=0)
        shares = np.exp(u - top)
        total = shares.sum(axis=0)
        shares /= total
        return outer * (top + np.log(total)), shares, outer

    def _linear(self) -> bool:
        return self.form.logarithmic and self.objective.residual == "loss"

    def _value(self, f: Array, target: Array, weights: Array) -> Array:
        r = ((np.exp(np.minimum(f, 300.0)) if self._linear() else f) - target) / self.scale
        delta = self.objective.delta
        if delta is None:
            return 0.5 * np.einsum("rn,rn->r", weights, r * r)
        size = np.abs(r)
        inner = np.minimum(size, delta)
        return np.einsum("rn,rn->r", weights, inner * (size - 0.5 * inner))

    def derivatives(self, phi: Array, target: Array, weights: Array) -> tuple[Array, Array, Array]:
        """Objective (R,), gradient (R, p), Hessian (R, p, p)."""
        f, shares, outer = self._prediction(phi)
        value = self._value(f, target, weights)
        first = np.ones_like(f)
        if self._linear():
            first = np.exp(np.minimum(f, 300.0))
        r = ((first if self._linear() else f) - target) / self.scale
        delta = self.objective.delta
        psi = weights * (r if delta is None else np.clip(r, -delta, delta)) / self.scale
        inside = weights / np.square(self.scale) * (1.0 if delta is None else np.abs(r) < delta)
        # With T the response (identity or exp): g multiplies the law's second derivatives, h its gradient's square.
        g = psi * first
        h = inside * first * first + (psi * first if self._linear() else 0.0)
        gradient = np.zeros((len(phi), self.size))
        hessian = np.zeros((len(phi), self.size, self.size))
        inner = h * outer * outer - g * outer
        for k, block in enumerate(self.blocks):
            slope = g * outer * shares[k]
            gradient[:, block.columns] += slope @ block.features
            hessian[np.ix_(np.arange(len(phi)), block.columns, block.columns)] += _products(slope, block, block)
            for m in range(k, len(self.blocks)):
                other = self.blocks[m]
                cross = _products(inner * shares[k] * shares[m], block, other)
                hessian[np.ix_(np.arange(len(phi)), block.columns, other.columns)] += cross
                if m != k:
                    hessian[np.ix_(np.arange(len(phi)), other.columns, block.columns)] += cross.transpose(0, 2, 1)
        if self.outer is not None:
            gradient[:, self.outer] = np.einsum("rn,rn->r", g, f)
            hessian[:, self.outer, self.outer] = np.einsum("rn,rn->r", h * f + g, f)
            for k, block in enumerate(self.blocks):
                mixed = ((h * f + g) * outer * shares[k]) @ block.features
                hessian[:, self.outer, block.columns] += mixed
                hessian[:, block.columns, self.outer] += mixed
        return value, gradient, hessian


def minimise(problem: Problem, start: Array, observed: Array, weights: Array, tolerance: float = 1e-13) -> Solution:
    """Minimise the objective from `start` (R, p) in the form's coordinates, for all resamples at once.

    observed: (n,) or (R, n); weights: (R, n), at least 0. Stops where no step lowers the objective by more than
    `tolerance` of itself.
    """
    target = problem.target(observed)
    resamples = len(start)
    phi = np.clip(problem.phi(start), problem.lower, problem.upper)
    value, converged = np.empty(resamples), np.empty(resamples, bool)
    size = max(1, CHUNK_ELEMENTS // problem.rows)
    for first in range(0, resamples, size):
        part = slice(first, first + size)
        y = target if target.ndim == 1 else target[part]
        phi[part], value[part], converged[part] = _newton(problem, phi[part], y, weights[part], tolerance)
    at_bound = (phi <= problem.lower) | (phi >= problem.upper)
    return Solution(problem.theta(phi), value, converged, at_bound)


def _newton(problem: Problem, phi: Array, target: Array, weights: Array, tolerance: float) -> tuple[Array, Array, Mask]:
    """Levenberg-Marquardt on the exact Hessian, its eigenvalues made positive; coordinates at a bound are held."""
    resamples = len(phi)
    final, final_value = phi.copy(), np.full(resamples, np.inf)
    converged = np.zeros(resamples, bool)
    active = np.arange(resamples)
    damping = np.full(resamples, 1e-3)
    quiet = np.zeros(resamples, int)
    value, gradient, hessian = problem.derivatives(phi, target, weights)
    for _ in range(MAX_ITERATIONS):
        step = _step(problem, phi, gradient, hessian, damping)
        trial = np.clip(phi + step, problem.lower, problem.upper)
        trial_value = problem.value(trial, target, weights)
        better = trial_value < value
        gain = np.where(better, value - trial_value, 0.0)
        phi = np.where(better[:, None], trial, phi)
        damping = np.where(better, damping * 0.2, damping * 8.0)
        still = gain <= tolerance * np.abs(value)
        quiet = np.where(still, quiet + 1, 0)
        # A refused step only says that the damping was too weak, so patience is longer than for small gains.
        done = ((quiet >= 3) & better) | (damping > 1e12) | (trial_value == 0.0) | (quiet >= 14)
        damping = np.maximum(damping, 1e-14)
        value = np.where(better, trial_value, value)
        final[active], final_value[active] = phi, value
        converged[active[done]] = True
        if done.all():
            break
        if done.any():
            keep = ~done
            active, phi, damping, quiet, better = active[keep], phi[keep], damping[keep], quiet[keep], better[keep]
            value, gradient, hessian, weights = value[keep], gradient[keep], hessian[keep], weights[keep]
            target = target if target.ndim == 1 else target[keep]
        if better.any():
            y = target if target.ndim == 1 else target[better]
            _, gradient[better], hessian[better] = problem.derivatives(phi[better], y, weights[better])
    return final, final_value, converged


def _step(problem: Problem, phi: Array, gradient: Array, hessian: Array, damping: Array) -> Array:
    held = ((phi <= problem.lower) & (gradient > 0)) | ((phi >= problem.upper) & (gradient < 0))
    gradient = np.where(held, 0.0, gradient)
    free = ~held
    hessian = hessian * (free[:, :, None] & free[:, None, :])
    eigenvalues, vectors = np.linalg.eigh(hessian)
    largest = np.abs(eigenvalues).max(axis=1, keepdims=True)
    curvature = np.maximum(np.abs(eigenvalues), 1e-12 * largest) + damping[:, None] * largest + 1e-300
    along = np.einsum("rij,ri->rj", vectors, gradient) / curvature
    step = -np.einsum("rij,rj->ri", vectors, along)
    # Log scales move by at most a few units a step: far beyond, exponentials are flat and Newton's model is blind.
    length = np.abs(step).max(axis=1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, 3.0 / np.maximum(length, 1e-300)))


def _products(weights: Array, first: _Block, second: _Block) -> Array:
    """Σ_n weights[r, n] first.features[n, i] second.features[n, j], as one matrix product."""
    pairs = first.features[:, :, None] * second.features[:, None, :]
    shape = pairs.shape[1:]
    return (weights @ pairs.reshape(len(pairs), -1)).reshape(-1, *shape)


def _features(
    term: Term, names: tuple[str, ...], x: Mapping[str, Array], logarithmic: bool
) -> tuple[int | None, Array, Array]:
    z = {name: np.log(values) if logarithmic else np.asarray(values, float) for name, values in x.items()}
    rows = len(next(iter(z.values())))
    features, offset = np.zeros((rows, len(names))), np.zeros(rows)
    for slope, coefficients in term.slopes:
        column = sum(c * z[v] for v, c in coefficients.items())
        if slope is None:
            offset = offset + column
        else:
            features[:, names.index(slope)] += column
    scale_column = names.index(term.scale) if term.scale else None
    if scale_column is not None:
        features[:, scale_column] = 1.0
    return scale_column, features, offset
