"""A law over given rows as a problem to be solved: its objective with exact first and second derivatives, in batches.

Minimised is Σ_i w_i ρ(r_i): r_i the residual in log loss, or in loss, over the row's scale; ρ Huber's loss (r²/2 below
delta, linear beyond) or, without delta, r²/2. Shapes: R resamples, n rows, p coordinates, K terms.
"""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from scalelaws.laws.form import ONE, WARPED, Form, Term, Warp

Array = npt.NDArray[np.float64]
SLOPE_BOUNDS = (0.0, 10.0)
OUTER_BOUNDS = (np.log(1e-3), np.log(10.0))


@dataclass(frozen=True)
class Objective:
    """What is minimised: `residual` is "log" (of ln loss) or "loss" (of loss); `delta` None is squared loss."""

    residual: str = "log"
    delta: float | None = 1e-3


@dataclass(frozen=True)
class _Warping:
    """A warp within a term: u gains slope · coefficient · w(φ[coordinate]); indices are into the block's columns."""

    value: Callable[[Array], tuple[Array, Array, Array]]
    coordinate: int
    slope: int | None
    coefficient: float


@dataclass(frozen=True)
class _Block:
    """One term: u = φ[:, columns] @ features.T + offset, and its warp if it has one."""

    columns: npt.NDArray[np.intp]
    features: Array
    offset: Array
    warping: _Warping | None = None

    def exponent(self, phi: Array) -> Array:
        """u (R, n)."""
        own = phi[:, self.columns]
        u = own @ self.features.T + self.offset
        if self.warping is None:
            return np.asarray(u)
        w, _, _ = self.warping.value(own[:, [self.warping.coordinate]])
        return np.asarray(u + self._factor(own) * w)

    def slopes(self, phi: Array) -> tuple[Array, Array | None]:
        """The gradient of u, (n, c) or with a warp (R, n, c), and second derivatives of a warp (R, n, c, c)."""
        if self.warping is None:
            return self.features, None
        own, warping = phi[:, self.columns], self.warping
        w, first, second = warping.value(own[:, [warping.coordinate]])
        factor = self._factor(own)
        gradient = np.repeat(self.features[None], len(phi), axis=0)
        curvature = np.zeros((*gradient.shape, len(self.columns)))
        gradient[:, :, warping.coordinate] += factor * first
        curvature[:, :, warping.coordinate, warping.coordinate] = factor * second
        if warping.slope is not None:
            gradient[:, :, warping.slope] += warping.coefficient * w
            curvature[:, :, warping.coordinate, warping.slope] = warping.coefficient * first
            curvature[:, :, warping.slope, warping.coordinate] = warping.coefficient * first
        return gradient, curvature

    def _factor(self, own: Array) -> Array:
        """The warp's slope times its coefficient (R, 1)."""
        assert self.warping
        slope = np.ones((len(own), 1)) if self.warping.slope is None else own[:, [self.warping.slope]]
        return np.asarray(self.warping.coefficient * slope)


@dataclass(frozen=True)
class _Features:
    """One term's features (n, p) of all coordinates before they are centred, and its warp's slope and coefficient."""

    scale: int | None
    values: Array
    offset: Array
    warp: Warp | None
    warp_slope: int | None
    warp_coefficient: float


@dataclass(frozen=True)
class Prediction:
    """The law, or its log, at (R, n); each term's share of the sum (K, R, n); the outer power (R, 1)."""

    law: Array
    shares: Array
    outer: Array

    def of(self, chosen: npt.NDArray[np.bool_]) -> "Prediction":
        """That of some resamples."""
        return Prediction(self.law[chosen], self.shares[:, chosen], self.outer[chosen])


class Problem:
    """A form over given variables, in centred and scaled coordinates φ (theta = transform φ + origin).

    `x` holds one array (n,) per variable of the form; `scale` (n,) divides the residuals.
    """

    def __init__(self, form: Form, x: Mapping[str, Array], objective: Objective, scale: Array | float = 1.0) -> None:
        self.form, self.objective, self.x = form, objective, x
        names = form.coordinates
        self.size = len(names)
        self.outer = names.index(form.outer) if form.outer else None
        self.transform, self.origin = np.eye(self.size), np.zeros(self.size)
        self.lower, self.upper = np.full(self.size, -np.inf), np.full(self.size, np.inf)
        terms = [_features(term, names, x, form.logarithmic) for term in form.terms]
        self.rows = len(terms[0].offset)
        self.scale = np.broadcast_to(np.asarray(scale, float), self.rows)
        for column in {c for term in terms for c in range(self.size) if c != self.outer} - {
            term.scale for term in terms
        }:
            spread = max(float(term.values[:, column].std()) for term in terms)
            self.transform[column, column] = 1 / spread if spread > 1e-3 else 1.0
            self.lower[column], self.upper[column] = form.bounds.get(names[column], SLOPE_BOUNDS)
        self.blocks = [self._centred(term, x) for term in terms]
        self._pairs: dict[tuple[int, int], Array] = {}
        self.squares = 0.0
        diagonal = np.diag(self.transform)
        self.lower, self.upper = self.lower / diagonal, self.upper / diagonal
        if self.outer is not None:
            self.lower[self.outer], self.upper[self.outer] = OUTER_BOUNDS

    def _centred(self, term: _Features, x: Mapping[str, Array]) -> _Block:
        columns = {int(c) for c in np.flatnonzero(np.any(term.values != 0, axis=0))}
        mean, shift = np.zeros(self.size), 0.0
        if term.scale is not None:
            mean, shift = term.values.mean(axis=0), float(term.offset.mean())
            mean[term.scale] = 0.0
            self.transform[term.scale] -= mean * np.diag(self.transform)
            self.origin[term.scale] = -shift
        warping = None
        if term.warp:
            coordinate = self.form.coordinates.index(term.warp.coordinate)
            columns |= {coordinate} if term.warp_slope is None else {coordinate, term.warp_slope}
            order = sorted(columns)
            slope = None if term.warp_slope is None else order.index(term.warp_slope)
            unit = 1.0 if term.warp_slope is None else self.transform[term.warp_slope, term.warp_slope]
            value = partial(_warped, term.warp, x)
            warping = _Warping(value, order.index(coordinate), slope, term.warp_coefficient * unit)
        order = sorted(columns)
        scaled = (term.values - mean)[:, order] * np.diag(self.transform)[order]
        return _Block(np.array(order, np.intp), scaled, term.offset - shift, warping)

    def with_objective(self, objective: Objective) -> "Problem":
        """The same law over the same rows with another objective."""
        changed = copy(self)
        changed.objective = objective
        return changed

    def with_squares(self, share: float) -> "Problem":
        """The same problem with a `share` of squared loss added to Huber's."""
        changed = copy(self)
        changed.squares = share
        return changed

    def bounds(self, coordinate: str) -> tuple[float, float]:
        """Between what values the form's coordinate is held."""
        index = self.form.coordinates.index(coordinate)
        unit = self.transform[index, index]
        return float(unit * self.lower[index]), float(unit * self.upper[index])

    def like(self, form: Form) -> "Problem":
        """The same rows and objective with another form."""
        return Problem(form, self.x, self.objective, self.scale)

    def theta(self, phi: Array) -> Array:
        """The form's coordinates of the solver's."""
        return phi @ self.transform.T + self.origin

    def phi(self, theta: Array) -> Array:
        """The solver's coordinates of the form's."""
        return np.asarray(np.linalg.solve(self.transform, (theta - self.origin).T).T)

    def exponents(self, phi: Array) -> Array:
        """The terms' exponents u, shape (K, R, n)."""
        return np.stack([block.exponent(phi) for block in self.blocks])

    def target(self, observed: Array) -> Array:
        """What residuals are taken from: ln loss for residuals in log loss, else the observed values."""
        return np.log(observed) if self.objective.residual == "log" and self.form.logarithmic else observed

    def observed(self, target: Array) -> Array:
        """The observed values whose targets these are."""
        return np.exp(target) if self.objective.residual == "log" and self.form.logarithmic else target

    def fitted(self, theta: Array) -> Array:
        """The law (R, n) on the scale of the targets, for the form's coordinates (R, p)."""
        f = self.prediction(self.phi(theta)).law
        return np.exp(f) if self._linear() else f

    def prediction(self, phi: Array) -> Prediction:
        """What the law says at the solver's coordinates (R, p)."""
        u = self.exponents(phi)
        outer = np.ones((len(phi), 1)) if self.outer is None else np.exp(phi[:, [self.outer]])
        if len(u) == 1:
            return Prediction(outer * u[0], np.ones_like(u), outer)
        top = u.max(axis=0)
        shares = np.exp(u - top)
        total = shares.sum(axis=0)
        shares /= total
        return Prediction(outer * (top + np.log(total)), shares, outer)

    def _linear(self) -> bool:
        return self.form.logarithmic and self.objective.residual == "loss"

    def value(self, prediction: Prediction, target: Array, weights: Array) -> Array:
        """Objective (R,)."""
        f = prediction.law
        r = ((np.exp(np.minimum(f, 300.0)) if self._linear() else f) - target) / self.scale
        delta = self.objective.delta
        if delta is None:
            return 0.5 * np.einsum("rn,rn->r", weights, r * r)
        size = np.abs(r)
        inner = np.minimum(size, delta)
        return np.einsum("rn,rn->r", weights, inner * (size - 0.5 * inner) + 0.5 * self.squares * r * r)

    def derivatives(
        self, phi: Array, prediction: Prediction, target: Array, weights: Array
    ) -> tuple[Array, Array, Array]:
        """Gradient (R, p), Hessian (R, p, p), and stiffness (R,) at phi (R, p), where the law says `prediction`.

        Stiffness is the curvature of squares that touch Huber's loss at the residuals: it stays positive where all
        residuals are beyond delta and the Hessian vanishes.
        """
        f, shares, outer = prediction.law, prediction.shares, prediction.outer
        first = np.ones_like(f)
        if self._linear():
            first = np.exp(np.minimum(f, 300.0))
        r = ((first if self._linear() else f) - target) / self.scale
        delta = self.objective.delta
        psi = weights * (r if delta is None else np.clip(r, -delta, delta) + self.squares * r) / self.scale
        inside = weights / np.square(self.scale) * (1.0 if delta is None else (np.abs(r) < delta) + self.squares)
        # With T the response (identity or exp): g multiplies the law's second derivatives, h its gradient's square.
        g = psi * first
        h = inside * first * first + (psi * first if self._linear() else 0.0)
        touching = psi / np.where(r == 0, 1.0, r) / self.scale if delta is not None else inside
        stiffness = np.einsum("rn,rn->r", touching, first * first) * outer[:, 0] ** 2
        gradient = np.zeros((len(phi), self.size))
        hessian = np.zeros((len(phi), self.size, self.size))
        inner = h * outer * outer - g * outer
        features: list[Array] = []
        for k, block in enumerate(self.blocks):
            feature, curvature = block.slopes(phi)
            features.append(feature)
            slope = g * outer * shares[k]
            gradient[:, block.columns] += _sums(slope, feature)
            if curvature is not None:
                hessian[:, block.columns[:, None], block.columns] += np.einsum("rn,rnij->rij", slope, curvature)
            for m, other in enumerate(self.blocks[: k + 1]):
                weight = inner * shares[k] * shares[m] + (slope if m == k else 0.0)
                products = self._products(weight, features, k, m)
                hessian[:, block.columns[:, None], other.columns] += products
                if m != k:
                    hessian[:, other.columns[:, None], block.columns] += products.transpose(0, 2, 1)
        if self.outer is not None:
            gradient[:, self.outer] = np.einsum("rn,rn->r", g, f)
            hessian[:, self.outer, self.outer] = np.einsum("rn,rn->r", h * f + g, f)
            for k, block in enumerate(self.blocks):
                mixed = _sums((h * f + g) * outer * shares[k], features[k])
                hessian[:, self.outer, block.columns] += mixed
                hessian[:, block.columns, self.outer] += mixed
        return gradient, hessian, stiffness

    def _products(self, weights: Array, features: list[Array], k: int, m: int) -> Array:
        """Σ_n weights[r, n] f_k[n, i] f_m[n, j], as one matrix product where the features are shared by resamples."""
        first, second = features[k], features[m]
        if first.ndim == second.ndim == 2:
            if (k, m) not in self._pairs:
                self._pairs[k, m] = (first[:, :, None] * second[:, None, :]).reshape(len(first), -1)
            return (weights @ self._pairs[k, m]).reshape(len(weights), first.shape[1], second.shape[1])
        whole = (np.broadcast_to(f, (len(weights), *f.shape[-2:])) for f in (first, second))
        return np.asarray(np.einsum("rn,rni,rnj->rij", weights, *whole))


def _sums(weights: Array, features: Array) -> Array:
    """Σ_n weights[r, n] features[n, i]; features may differ by resample."""
    return weights @ features if features.ndim == 2 else np.einsum("rn,rni->ri", weights, features)


def _features(term: Term, names: tuple[str, ...], x: Mapping[str, Array], logarithmic: bool) -> _Features:
    z = {name: np.log(values) if logarithmic else np.asarray(values, float) for name, values in x.items()}
    rows = len(next(iter(z.values())))
    z |= {ONE: np.ones(rows), WARPED: np.zeros(rows)}
    features, offset = np.zeros((rows, len(names))), np.full(rows, term.constant)
    warp_slope, warp_coefficient = None, 0.0
    for slope, coefficients in term.slopes:
        column = sum(c * z[v] for v, c in coefficients.items())
        if slope is None:
            offset = offset + column
        else:
            features[:, names.index(slope)] += column
        if WARPED in coefficients:
            warp_slope, warp_coefficient = (names.index(slope) if slope else None), coefficients[WARPED]
    scale = names.index(term.scale) if term.scale else None
    if scale is not None:
        features[:, scale] = 1.0
    return _Features(scale, features, offset, term.warp, warp_slope, warp_coefficient)


def _warped(warp: Warp, x: Mapping[str, Array], coordinate: Array) -> tuple[Array, Array, Array]:
    return warp.value(coordinate, x)
