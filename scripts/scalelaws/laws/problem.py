"""A law over given rows as a problem to be solved: its objective with exact first and second derivatives, in batches.

Minimised is Σ_i w_i ρ(r_i): r_i the residual in log loss, or in loss, over the row's scale; ρ Huber's loss (r²/2 below
delta, linear beyond) or, without delta, r²/2. Shapes: R resamples, n rows, p coordinates, K terms.
"""

from collections.abc import Callable, Mapping, Sequence
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
    """The law, or its log, at (R, n); each term's share of the sum (R, K, n); the outer power (R, 1)."""

    law: Array
    shares: Array
    outer: Array

    def of(self, chosen: npt.NDArray[np.bool_]) -> "Prediction":
        """That of some resamples."""
        return Prediction(self.law[chosen], self.shares[chosen], self.outer[chosen])


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
        self._plain_terms = None if any(b.warping for b in self.blocks) else _PlainTerms(self.blocks, self.size)
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
        """The terms' exponents u, shape (R, K, n)."""
        if self._plain_terms:
            return self._plain_terms.exponents(phi)
        return np.stack([block.exponent(phi) for block in self.blocks], axis=1)

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
        if u.shape[1] == 1:
            return Prediction(outer * u[:, 0], np.ones_like(u), outer)
        top = u.max(axis=1)
        shares = np.exp(u - top[:, None])
        total = shares.sum(axis=1)
        shares /= total[:, None]
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
        linear, delta = self._linear(), self.objective.delta
        response = np.exp(np.minimum(f, 300.0)) if linear else f
        r = (response - target) / self.scale
        weights = weights / self.scale
        # g multiplies the law's second derivatives, h its gradient's square, through the response: identity or exp.
        if delta is None:
            g = weights * r
            h = touching = weights / self.scale
        else:
            g = weights * (np.clip(r, -delta, delta) + self.squares * r)
            h = weights / self.scale * ((np.abs(r) < delta) + self.squares)
            touching = g / np.where(r == 0, 1.0, r) / self.scale
        if linear:
            g = g * response
            h = h * response * response + g
            touching = touching * response * response
        stiffness = touching.sum(axis=1) * outer[:, 0] ** 2
        terms = self._plain_terms or _WarpedTerms(self.blocks, phi)
        inner = h * outer * outer - g * outer
        gradient, hessian = terms.derivatives((g * outer)[:, None] * shares, inner[:, None] * shares, shares)
        if self.outer is not None:
            rate = h * f + g
            gradient[:, self.outer] = np.einsum("rn,rn->r", g, f)
            mixed = terms.gradient((rate * outer)[:, None] * shares)
            hessian[:, self.outer] = hessian[:, :, self.outer] = mixed
            hessian[:, self.outer, self.outer] = np.einsum("rn,rn->r", rate, f)
        return gradient, hessian, stiffness


class _PlainTerms:
    """Terms whose exponents are linear in φ, all in one: every sum over rows and terms is one matrix product.

    `features` (K·n, p) are the exponents' slopes, `products` (pairs·n, p(p+1)/2) those of every pair of terms, `first`
    and `second`, for every pair of coordinates, whose entry of the Hessian has its column at `place` (p, p).
    """

    def __init__(self, blocks: Sequence[_Block], size: int) -> None:
        features = np.zeros((len(blocks), len(blocks[0].offset), size))
        for block, own in zip(blocks, features, strict=True):
            own[:, block.columns] = block.features
        self.offset = np.concatenate([block.offset for block in blocks])
        self.features = features.reshape(-1, size)
        self.shape = features.shape[:2]
        self.first, self.second = np.triu_indices(len(blocks))
        self.same = np.flatnonzero(self.first == self.second)
        i, j = np.triu_indices(size)
        products = features[self.first][:, :, i] * features[self.second][:, :, j]
        products += features[self.second][:, :, i] * features[self.first][:, :, j]
        products[self.same] /= 2
        self.products = products.reshape(-1, len(i))
        self.place = np.zeros((size, size), np.intp)
        self.place[i, j] = self.place[j, i] = np.arange(len(i))

    def exponents(self, phi: Array) -> Array:
        """u (R, K, n)."""
        return (phi @ self.features.T + self.offset).reshape(len(phi), *self.shape)

    def gradient(self, weights: Array) -> Array:
        """Σ_kn weights[r, k, n] ∂u_kn/∂φ_i, of weights (R, K, n)."""
        return weights.reshape(len(weights), -1) @ self.features

    def derivatives(self, slope: Array, inner: Array, shares: Array) -> tuple[Array, Array]:
        """The gradient of `slope`, and Σ_kn slope ∂u_kn ∂u_kn' + Σ_kmn inner_kn shares_mn ∂u_kn ∂u_mn'."""
        weights = inner[:, self.first]
        weights *= shares[:, self.second]
        weights[:, self.same] += slope
        return self.gradient(slope), (weights.reshape(len(weights), -1) @ self.products)[:, self.place]


class _WarpedTerms:
    """Terms of which some are not linear in φ, at given φ (R, p)."""

    def __init__(self, blocks: Sequence[_Block], phi: Array) -> None:
        self.features = np.zeros((len(phi), len(blocks), len(blocks[0].offset), phi.shape[1]))
        self.curvatures: list[tuple[int, npt.NDArray[np.intp], Array]] = []
        for k, block in enumerate(blocks):
            feature, curvature = block.slopes(phi)
            every = np.broadcast_to(feature, (len(phi), *feature.shape[-2:]))
            self.features[:, k, :, block.columns] = np.moveaxis(every, -1, 0)
            if curvature is not None:
                self.curvatures.append((k, block.columns, curvature))

    def gradient(self, weights: Array) -> Array:
        """As of plain terms."""
        return np.einsum("rkn,rkni->ri", weights, self.features)

    def derivatives(self, slope: Array, inner: Array, shares: Array) -> tuple[Array, Array]:
        """As of plain terms, with the curvature of what is warped."""
        one, other = (np.einsum("rkn,rkni->rni", weights, self.features) for weights in (inner, shares))
        hessian = np.einsum("rni,rnj->rij", one, other)
        hessian += np.einsum("rkn,rkni,rknj->rij", slope, self.features, self.features, optimize=True)
        for k, columns, curvature in self.curvatures:
            hessian[:, columns[:, None], columns] += np.einsum("rn,rnij->rij", slope[:, k], curvature)
        return self.gradient(slope), hessian


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
