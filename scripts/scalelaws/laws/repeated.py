"""The law of repeated data: tokens and parameters that wear out as they are used again."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from scalelaws.laws.form import WARPED, Form, Parameter, Term, Warp, bounded_exp, exponent

Array = npt.NDArray[np.float64]
N, D = "parameters", "dataset_tokens"
WEAR = (-4.0, 16.0)
"""Bounds of ln R*: beyond them repeats count for nothing, or as much as fresh data."""


def _worn(log_rate: Array, fresh: Array, repeats: Array) -> tuple[Array, Array, Array]:
    """ln of fresh·(1 + R*(1 - exp(-repeats/R*))), the effective amount, and its derivatives by ln R*."""
    rate = np.exp(log_rate)
    ratio = repeats / rate
    decay = np.exp(-ratio)
    gain = rate * -np.expm1(-ratio)
    slope = gain - repeats * decay
    bend = slope - repeats * ratio * decay
    whole = 1 + gain
    return np.log(fresh * whole), slope / whole, bend / whole - (slope / whole) ** 2


def _repeats(total: str, fresh: str) -> Callable[[Array, Mapping[str, Array]], tuple[Array, Array, Array]]:
    return lambda log_rate, x: _worn(log_rate, x[fresh], x[total] / x[fresh] - 1)


def _effective(rate: Array, fresh: Array, total: Array) -> Array:
    return fresh * (1 + rate * -np.expm1(-(total / fresh - 1) / rate))


REPEATED = Form(
    key="repeated_data",
    formula=r"L = E + A/N'^{\alpha} + B/D'^{\beta},\quad D' = D\,[1 + R^*_D(1 - e^{-R_D/R^*_D})]",
    source="Muennighoff et al. 2023, eq. 5 and 6; R_D = tokens/D - 1 repeats, and alike for parameters beyond need",
    variables=(N, "needed_parameters", "tokens", D),
    parameters=(
        Parameter("E", "E", "nats/token", "floor"),
        Parameter("A", "A", "nats/token", "scale"),
        Parameter("B", "B", "nats/token", "scale"),
        exponent("alpha", r"\alpha"),
        exponent("beta", r"\beta"),
        Parameter("R_N", "R^*_N", "repeats", "scale"),
        Parameter("R_D", "R^*_D", "repeats", "scale"),
    ),
    predict=lambda p, x: (
        p["E"]
        + p["A"] * _effective(p["R_N"], x["needed_parameters"], x[N]) ** -p["alpha"]
        + p["B"] * _effective(p["R_D"], x[D], x["tokens"]) ** -p["beta"]
    ),
    terms=(
        Term("s_N", (("alpha", {WARPED: -1.0}),), warp=Warp("ln_R_N", _repeats(N, "needed_parameters"))),
        Term("s_D", (("beta", {WARPED: -1.0}),), warp=Warp("ln_R_D", _repeats("tokens", D))),
        Term("s_E"),
    ),
    natural=lambda t: {
        "E": bounded_exp(t["s_E"]),
        "A": bounded_exp(t["s_N"]),
        "B": bounded_exp(t["s_D"]),
        "alpha": t["alpha"],
        "beta": t["beta"],
        "R_N": bounded_exp(t["ln_R_N"]),
        "R_D": bounded_exp(t["ln_R_D"]),
    },
    bounds={"ln_R_N": WEAR, "ln_R_D": WEAR},
    starts={
        "ln_R_N": (0.0, 2.0, 5.0, 12.0),
        "ln_R_D": (0.0, 1.5, 3.0),
        "alpha": (0.15, 0.35, 0.7),
        "beta": (0.15, 0.35, 0.7),
    },
)
