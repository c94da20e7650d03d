"""What a law is made of: formula, parameters, prediction, source, and the coordinates it is fitted in.

Nearly all laws of the field are a power of a sum of power terms,

    ln L = g · ln Σ_k exp(s_k + Σ_j b_j x_kj),

with scales s, slopes b and outer power g. In these coordinates one solver fits them all with exact second derivatives.
`terms` declares the sum, `natural` turns the coordinates into the parameters that papers print, and `predict` is the
formula as it stands in the paper.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Values = Mapping[str, Any]
"""Parameters by name: numbers, or arrays that broadcast against the variables."""
HUGE = 690.0
"""Scales such as N_c are exp(s/b), which overflows as b goes to zero; they are held within exp(±690)."""


@dataclass(frozen=True)
class Parameter:
    """A parameter as it is printed: `role` is exponent, scale, floor (an irreducible loss), slope or offset."""

    name: str
    symbol: str
    unit: str
    role: str


ONE, WARPED = "", "*"
"""Keys of a term's coefficients beside its variables: the constant one, and the value of its warp."""


@dataclass(frozen=True)
class Warp:
    """A logarithm w of an effective variable that itself has a fitted `coordinate`, such as tokens that wear out.

    `value` takes the coordinate (R, 1) and the variables (n,), and gives w with its first and second derivative (R, n).
    """

    coordinate: str
    value: Callable[[Array, Mapping[str, Array]], tuple[Array, Array, Array]]


@dataclass(frozen=True)
class Term:
    """exp(scale + constant + Σ slope · (Σ_v coefficient·ln v)): one addend of a law.

    `slopes` pairs each slope's coordinate with its coefficients by variable, or by ONE or (once) WARPED. A scale None
    is 0, a slope None is 1.
    """

    scale: str | None
    slopes: tuple[tuple[str | None, Mapping[str, float]], ...] = ()
    constant: float = 0.0
    warp: Warp | None = None


@dataclass(frozen=True)
class Form:
    """A law as a formula. `outer` names the coordinate ln g of the outer power; lines are not `logarithmic`."""

    key: str
    formula: str
    source: str
    variables: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    predict: Callable[[Values, Mapping[str, Array]], Array]
    terms: tuple[Term, ...]
    natural: Callable[[Mapping[str, Array]], dict[str, Array]]
    outer: str | None = None
    logarithmic: bool = True
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    starts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the coordinates that the solver works in."""
        names = [n for t in self.terms for n in (t.scale, *(slope for slope, _ in t.slopes)) if n]
        names += [t.warp.coordinate for t in self.terms if t.warp]
        return tuple(dict.fromkeys(names + ([self.outer] if self.outer else [])))

    def to_parameters(self, theta: Array) -> Array:
        """Coordinates (..., coordinates) as printed parameters (..., parameters)."""
        values = self.natural({name: theta[..., i] for i, name in enumerate(self.coordinates)})
        return np.stack([values[parameter.name] for parameter in self.parameters], axis=-1)


def constrained(form: Form, fixed: Mapping[str, float], tied: Mapping[str, str] | None = None) -> Form:
    """A form whose scales and slopes are held at values, or (tied) take the value of another.

    Names are those of coordinates. Its parameters stay those of the form; `natural` fills in what is held.
    """
    tied = dict(tied or {})

    def term(old: Term) -> Term:
        constant = old.constant + (fixed.get(old.scale, 0.0) if old.scale else 0.0)
        slopes = tuple(
            (None, {variable: fixed[name] * c for variable, c in coefficients.items()})
            if name and name in fixed
            else (tied.get(name, name) if name else None, coefficients)
            for name, coefficients in old.slopes
        )
        return Term(None if old.scale in fixed else old.scale, slopes, constant, old.warp)

    def natural(t: Mapping[str, Array]) -> dict[str, Array]:
        like = next(iter(t.values()))
        held = {name: np.full_like(like, value) for name, value in fixed.items()}
        return form.natural({**t, **held, **{name: t[other] for name, other in tied.items()}})

    return replace(form, terms=tuple(term(old) for old in form.terms), natural=natural)


def bounded_exp(value: Array) -> Array:
    """exp(value) that never overflows."""
    return np.exp(np.clip(value, -HUGE, HUGE))


def scale_of(intercept: Array, exponent: Array) -> Array:
    """x_c of (x_c/x)^exponent = exp(intercept - exponent·ln x)."""
    return bounded_exp(intercept / np.maximum(exponent, 1e-12))


def exponent(name: str, symbol: str) -> Parameter:
    """An exponent: a pure number."""
    return Parameter(name, symbol, "", "exponent")
