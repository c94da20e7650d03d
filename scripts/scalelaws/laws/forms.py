"""Every law as one declarative object: formula, parameters, prediction, source, and the coordinates it is fitted in.

Nearly all laws of the field are a power of a sum of power terms,

    ln L = g · ln Σ_k exp(s_k + Σ_j b_j x_kj),

with scales s, slopes b and outer power g. In these coordinates one solver fits them all with exact second derivatives.
`terms` declares the sum, `natural` turns the coordinates into the parameters that papers print, and `predict` is the
formula as it stands in the paper.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Values = Mapping[str, float] | Mapping[str, Array]
HUGE = 690.0
"""Scales such as N_c are exp(s/b), which overflows as b goes to zero; they are held within exp(±690)."""


@dataclass(frozen=True)
class Parameter:
    """A parameter as it is printed: `role` is exponent, scale, floor (an irreducible loss), slope or offset."""

    name: str
    symbol: str
    unit: str
    role: str


@dataclass(frozen=True)
class Term:
    """exp(scale + Σ slope · Σ_v coefficient·ln v): one addend of a law. A scale None is 0, a slope None is 1."""

    scale: str | None
    slopes: tuple[tuple[str | None, Mapping[str, float]], ...] = ()


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

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the coordinates that the solver works in."""
        names = [n for t in self.terms for n in (t.scale, *(slope for slope, _ in t.slopes)) if n]
        return tuple(dict.fromkeys(names + ([self.outer] if self.outer else [])))

    def to_parameters(self, theta: Array) -> Array:
        """Coordinates (..., coordinates) as printed parameters (..., parameters)."""
        values = self.natural({name: theta[..., i] for i, name in enumerate(self.coordinates)})
        return np.stack([values[parameter.name] for parameter in self.parameters], axis=-1)


def _exp(value: Array) -> Array:
    return np.exp(np.clip(value, -HUGE, HUGE))


def _ratio(scale: Array, exponent: Array) -> Array:
    return _exp(scale / np.maximum(exponent, 1e-12))


def _exponent(symbol: str, name: str) -> Parameter:
    return Parameter(name, symbol, "", "exponent")


N, D, C = "parameters", "dataset_tokens", "flops"
E = Parameter("E", "E", "nats/token", "floor")


def power(key: str, variable: str, letter: str, unit: str, source: str) -> Form:
    """The one-variable power law L = (x_c / x)^α."""
    return Form(
        key=key,
        formula=rf"L({letter}) = ({letter}_c / {letter})^{{\alpha_{letter}}}",
        source=source,
        variables=(variable,),
        parameters=(
            _exponent(rf"\alpha_{letter}", f"alpha_{letter}"),
            Parameter(f"{letter}_c", f"{letter}_c", unit, "scale"),
        ),
        predict=lambda p, x: (p[f"{letter}_c"] / x[variable]) ** p[f"alpha_{letter}"],
        terms=(Term("s", (("b", {variable: -1.0}),)),),
        natural=lambda t: {f"alpha_{letter}": t["b"], f"{letter}_c": _ratio(t["s"], t["b"])},
    )


KAPLAN_ND = Form(
    key="kaplan",
    formula=r"L(N,D) = \left[(N_c/N)^{\alpha_N/\alpha_D} + D_c/D\right]^{\alpha_D}",
    source="Kaplan et al. 2020, eq. 1.5",
    variables=(N, D),
    parameters=(
        _exponent(r"\alpha_N", "alpha_N"),
        _exponent(r"\alpha_D", "alpha_D"),
        Parameter("N_c", "N_c", "parameters", "scale"),
        Parameter("D_c", "D_c", "tokens", "scale"),
    ),
    predict=lambda p, x: ((p["N_c"] / x[N]) ** (p["alpha_N"] / p["alpha_D"]) + p["D_c"] / x[D]) ** p["alpha_D"],
    terms=(Term("s_N", (("b_N", {N: -1.0}),)), Term("s_D", ((None, {D: -1.0}),))),
    outer="ln_g",
    natural=lambda t: {
        "alpha_N": t["b_N"] * np.exp(t["ln_g"]),
        "alpha_D": np.exp(t["ln_g"]),
        "N_c": _ratio(t["s_N"], t["b_N"]),
        "D_c": _exp(t["s_D"]),
    },
)

CHINCHILLA = Form(
    key="chinchilla",
    formula=r"L(N,D) = E + A/N^{\alpha} + B/D^{\beta}",
    source="Hoffmann et al. 2022, eq. 2 (approach 3)",
    variables=(N, D),
    parameters=(
        E,
        Parameter("A", "A", "nats/token", "scale"),
        Parameter("B", "B", "nats/token", "scale"),
        _exponent(r"\alpha", "alpha"),
        _exponent(r"\beta", "beta"),
    ),
    predict=lambda p, x: p["E"] + p["A"] * x[N] ** -p["alpha"] + p["B"] * x[D] ** -p["beta"],
    terms=(Term("s_N", (("alpha", {N: -1.0}),)), Term("s_D", (("beta", {D: -1.0}),)), Term("s_E")),
    natural=lambda t: {
        "E": _exp(t["s_E"]),
        "A": _exp(t["s_N"]),
        "B": _exp(t["s_D"]),
        "alpha": t["alpha"],
        "beta": t["beta"],
    },
)

GAP = Form(
    key="gap_power",
    formula=r"L_{\mathrm{test}} - L_{\mathrm{train}} = G\, N^{p} / D^{q}",
    source="after Kaplan et al. 2020, eq. 4.2 and 4.3: overfitting grows with N^{0.74}/D, a power each of N and 1/D",
    variables=(N, D),
    parameters=(
        Parameter("G", "G", "nats/token", "scale"),
        _exponent("p", "p"),
        _exponent("q", "q"),
    ),
    predict=lambda p, x: p["G"] * x[N] ** p["p"] * x[D] ** -p["q"],
    terms=(Term("s", (("p", {N: 1.0}), ("q", {D: -1.0}))),),
    natural=lambda t: {"G": _exp(t["s"]), "p": t["p"], "q": t["q"]},
    bounds={"p": (-2.0, 5.0)},
)

TRANSFER = Form(
    key="transfer_line",
    formula=r"L_{\mathrm{ood}} = \Delta + \lambda\, L_{\mathrm{test}}",
    source="Kaplan et al. 2020, section 3.2.2, claims a constant offset: slope λ = 1",
    variables=("loss",),
    parameters=(
        Parameter("slope", r"\lambda", "", "slope"),
        Parameter("offset", r"\Delta", "nats/token", "offset"),
    ),
    predict=lambda p, x: p["offset"] + p["slope"] * x["loss"],
    terms=(Term("offset", (("slope", {"loss": 1.0}),)),),
    natural=lambda t: {"slope": t["slope"], "offset": t["offset"]},
    logarithmic=False,
    bounds={"slope": (-10.0, 10.0)},
)

FORMS: dict[str, Form] = {
    form.key: form
    for form in (
        power("power_of_parameters", N, "N", "parameters", "Kaplan et al. 2020, eq. 1.1"),
        power("power_of_dataset_tokens", D, "D", "tokens", "Kaplan et al. 2020, eq. 1.2"),
        power("power_of_flops", C, "C", "FLOPs", "Kaplan et al. 2020, section 3 (fixed batch size)"),
        KAPLAN_ND,
        CHINCHILLA,
        GAP,
        TRANSFER,
    )
}
"""All forms by key. To add a law, add an object here and a row to tests/laws/test_forms.py."""
