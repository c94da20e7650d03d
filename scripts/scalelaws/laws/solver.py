"""The one solver of all laws: a damped Newton method with exact second derivatives that fits many resamples at once.

A resample is a row of weights over the same observations (and, where the observations themselves are resampled, a row
of observed values), so a bootstrap is one batch of matrix products. Shapes: R resamples, n rows, p coordinates.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalelaws.laws.problem import Prediction, Problem

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Chosen = npt.NDArray[np.intp] | Mask | slice
CHUNK_ELEMENTS = 1 << 17
"""Resamples are worked on in chunks of about this many (resample, row) pairs, which stay in the processor's cache."""
MAX_ITERATIONS = 300
NEGLIGIBLE = 1e-10


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

    def where(self, chosen: Mask, other: "Solution") -> "Solution":
        """These solutions, but the other's where `chosen` (R,)."""
        pairs = ((getattr(self, n), getattr(other, n)) for n in ("theta", "objective", "converged", "at_bound"))
        return Solution(*(np.where(chosen[:, None] if a.ndim == 2 else chosen, b, a) for a, b in pairs))


@dataclass(frozen=True)
class Held:
    """A coordinate of the form that is held at a value, for each resample its own.

    The solver's coordinate of that place, in `columns` (R,), is `constant` (R,) plus `rates` (R, p) times the others.
    """

    columns: npt.NDArray[np.intp]
    constant: Array
    rates: Array

    @classmethod
    def at(cls, problem: Problem, columns: npt.NDArray[np.intp], values: Array) -> "Held":
        """The form's coordinates in `columns` (R,), held at `values` (R,)."""
        unit = np.diag(problem.transform)[columns]
        rates = -problem.transform[columns] / unit[:, None]
        rates[np.arange(len(columns)), columns] = 0.0
        return cls(columns, (values - problem.origin[columns]) / unit, rates)

    def of(self, chosen: Chosen) -> "Held":
        """That of some resamples."""
        return Held(self.columns[chosen], self.constant[chosen], self.rates[chosen])

    def kept(self, phi: Array) -> Array:
        """The solver's coordinates (R, p) with each resample's held one put where the others demand it."""
        phi = phi.copy()
        phi[np.arange(len(phi)), self.columns] = self.constant + np.einsum("ri,ri->r", self.rates, phi)
        return phi

    def reduced(self, gradient: Array, hessian: Array) -> tuple[Array, Array]:
        """Derivatives (R, p) and (R, p, p) by the other coordinates, which move the held one; by that itself, zero."""
        rows = np.arange(len(gradient))
        pivot, cross = gradient[rows, self.columns], hessian[rows, self.columns]
        own = cross[rows, self.columns]
        cross = self.rates[:, :, None] * cross[:, None, :]
        gradient = gradient + self.rates * pivot[:, None]
        hessian = hessian + cross + cross.transpose(0, 2, 1)
        hessian += own[:, None, None] * self.rates[:, :, None] * self.rates[:, None, :]
        gradient[rows, self.columns] = 0.0
        hessian[rows, self.columns, :] = hessian[rows, :, self.columns] = 0.0
        return gradient, hessian


def minimise(
    problem: Problem,
    start: Array,
    observed: Array,
    weights: Array,
    tolerance: float = 1e-13,
    iterations: int = MAX_ITERATIONS,
    held: Held | None = None,
) -> Solution:
    """Minimise the objective from `start` (R, p) in the form's coordinates, for all resamples at once.

    observed: (n,) or (R, n); weights: (R, n), at least 0. Stops where no step lowers the objective by more than
    `tolerance` of itself, or after so many `iterations`. A coordinate that is `held` keeps its value.
    """
    target = problem.target(observed)
    resamples = len(start)
    phi = np.clip(problem.phi(start), problem.lower, problem.upper)
    if held:
        phi = held.kept(phi)
    value, converged = np.empty(resamples), np.empty(resamples, bool)
    size = max(1, CHUNK_ELEMENTS // problem.rows)
    for first in range(0, resamples, size):
        part = slice(first, first + size)
        y = target if target.ndim == 1 else target[part]
        phi[part], value[part], converged[part] = _newton(
            problem, phi[part], y, weights[part], tolerance, iterations, held.of(part) if held else None
        )
    at_bound = (phi <= problem.lower) | (phi >= problem.upper)
    return Solution(problem.theta(phi), value, converged, at_bound)


def _newton(
    problem: Problem,
    phi: Array,
    target: Array,
    weights: Array,
    tolerance: float,
    iterations: int,
    held: Held | None,
) -> tuple[Array, Array, Mask]:
    """Levenberg-Marquardt on the exact Hessian, its eigenvalues made positive; coordinates at a bound are held."""
    resamples = len(phi)
    final, final_value = phi.copy(), np.full(resamples, np.inf)
    converged = np.zeros(resamples, bool)
    active = np.arange(resamples)
    damping = np.full(resamples, 1e-5)
    quiet = np.zeros(resamples, int)
    prediction = problem.prediction(phi)
    value = problem.value(prediction, target, weights)
    gradient, hessian, stiffness = _derivatives(problem, phi, prediction, target, weights, held)
    for _ in range(iterations):
        step, promised = _step(problem, phi, gradient, hessian, damping, stiffness)
        trial = np.clip(phi + step, problem.lower, problem.upper)
        if held:
            trial = held.kept(trial)
        prediction = problem.prediction(trial)
        trial_value = problem.value(prediction, target, weights)
        better = trial_value < value
        gain = np.where(better, value - trial_value, 0.0)
        phi = np.where(better[:, None], trial, phi)
        still, spent = gain <= tolerance * np.abs(value), promised <= tolerance * np.abs(value)
        damping = np.where(better, damping * 0.2, damping * 8.0)
        quiet = np.where(still, quiet + 1, 0)
        # A refused step only says that the damping was too weak, so patience is longer than for small gains.
        done = (spent & still) | ((quiet >= 3) & better) | (damping > 1e12) | (trial_value == 0.0) | (quiet >= 14)
        damping = np.maximum(damping, 1e-14)
        value = np.where(better, trial_value, value)
        final[active], final_value[active] = phi, value
        converged[active[done]] = True
        if done.all():
            break
        if done.any():
            keep = ~done
            active, phi, damping, quiet, better = active[keep], phi[keep], damping[keep], quiet[keep], better[keep]
            value, gradient, hessian = value[keep], gradient[keep], hessian[keep]
            weights, stiffness, prediction = weights[keep], stiffness[keep], prediction.of(keep)
            target = target if target.ndim == 1 else target[keep]
            held = held.of(keep) if held else None
        if better.any():
            y = target if target.ndim == 1 else target[better]
            moved, those = prediction.of(better), held.of(better) if held else None
            found = _derivatives(problem, phi[better], moved, y, weights[better], those)
            gradient[better], hessian[better], stiffness[better] = found
    else:
        # A scale on its way to zero gains ever less without end; what it can still gain no longer matters.
        converged[active] = gain[~done] <= NEGLIGIBLE * np.abs(value)
    return final, final_value, converged


def _derivatives(
    problem: Problem, phi: Array, prediction: Prediction, target: Array, weights: Array, held: Held | None
) -> tuple[Array, Array, Array]:
    gradient, hessian, stiffness = problem.derivatives(phi, prediction, target, weights)
    return (*(held.reduced(gradient, hessian) if held else (gradient, hessian)), stiffness)


def _step(
    problem: Problem, phi: Array, gradient: Array, hessian: Array, damping: Array, stiffness: Array
) -> tuple[Array, Array]:
    """The damped step (R, p), and twice what Newton's own step promises to gain (R,)."""
    held = ((phi <= problem.lower) & (gradient > 0)) | ((phi >= problem.upper) & (gradient < 0))
    if held.any():
        gradient = np.where(held, 0.0, gradient)
        hessian = hessian * ~(held[:, :, None] | held[:, None, :])
    eigenvalues, vectors = np.linalg.eigh(hessian)
    largest = np.maximum(np.abs(eigenvalues).max(axis=1), stiffness)[:, None]
    curvature = np.maximum(np.abs(eigenvalues), 1e-12 * largest) + 1e-300
    slope = np.einsum("rij,ri->rj", vectors, gradient)
    step = -np.einsum("rij,rj->ri", vectors, slope / (curvature + damping[:, None] * largest))
    # Log scales move by at most a few units a step: far beyond, exponentials are flat and Newton's model is blind.
    length = np.abs(step).max(axis=1, keepdims=True)
    step = step * np.minimum(1.0, 3.0 / np.maximum(length, 1e-300))
    return step, (slope * slope / curvature).sum(axis=1)
