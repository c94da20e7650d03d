"""What the page's calculator reckons with: the laws' numbers and every one of their resamples."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from scalelaws.laws.fitted import DETERMINED, Allocation, FittedLaw, Laws

Array = npt.NDArray[np.float64]
NO_FLOOR = -1e6
"""The logarithm that stands for an irreducible loss of nothing."""
GPUS = {
    "NVIDIA A100": 312e12,
    "NVIDIA B200": 2250e12,
    "NVIDIA H100 (SXM)": 989e12,
    "NVIDIA H200": 989e12,
    "NVIDIA L40S": 362e12,
    "NVIDIA RTX 3090": 71e12,
    "NVIDIA RTX 4090": 165e12,
    "NVIDIA V100": 125e12,
    "AMD MI250X": 383e12,
    "AMD MI300X": 1307e12,
    "Google TPU v4": 275e12,
    "Google TPU v5p": 459e12,
}
"""Peak FLOP/s of dense matrix products in 16 bits, as the makers' data sheets give them."""


def calculator_data(laws: Laws) -> dict[str, Any]:
    """Allocations and laws L(N,D) with their resamples, for the page's script.

    An allocation's columns are ln k_N, a, ln k_L, c and E of N_opt = k_N C^a and L = E + k_L C^c; D_opt is C/(6 N_opt).
    A law's are g, ln e, ln u, p, ln v and q of L^(1/g) = e + u/N^p + v/D^q, which every form of L(N,D) can be written
    as. A column is a number where all resamples share it, else 64-bit floats in base64, the law's own value first.
    """
    return {
        "gpus": GPUS,
        "allocations": [_allocation(each) for each in laws.allocations.values() if each.exponents],
        "laws": [_law(law) for law in laws.laws.values() if law.form in SEPARATED and law.parameters],
    }


def _allocation(found: Allocation) -> dict[str, Any]:
    columns = np.vstack([found.line, found.draws])
    return {
        "title": found.title,
        "determined": found.status == DETERMINED,
        "flops": [float(found.points["flops"].min()), float(found.points["flops"].max())],
        "columns": [_column(columns[:, i]) for i in (0, 1, 4, 5, 6)],
    }


def _law(law: FittedLaw) -> dict[str, Any]:
    values = np.vstack([list(law.best.values()), law.draws])
    parameters = dict(zip(law.parameters, values.T, strict=True))
    with np.errstate(divide="ignore"):
        columns = SEPARATED[law.form](parameters)
    return {
        "name": law.name,
        "title": law.title,
        "determined": law.status == DETERMINED,
        "ranges": {"N": law.ranges["parameters"], "D": law.ranges["dataset_tokens"]},
        "columns": [_column(np.broadcast_to(column, len(values))) for column in columns],
    }


def _kaplan(p: Mapping[str, Array]) -> tuple[Array | float, ...]:
    power = p["alpha_N"] / p["alpha_D"]
    return p["alpha_D"], NO_FLOOR, power * np.log(p["N_c"]), power, np.log(p["D_c"]), 1.0


def _chinchilla(p: Mapping[str, Array]) -> tuple[Array | float, ...]:
    return 1.0, _log_floor(p["E"]), np.log(p["A"]), p["alpha"], np.log(p["B"]), p["beta"]


def _droppo(p: Mapping[str, Array]) -> tuple[Array | float, ...]:
    g, size, data = p["gamma"], p["alpha_N"] / p["gamma"], p["alpha_D"] / p["gamma"]
    return g, _log_floor(p["E"]) / g, size * np.log(p["N_c"]), size, data * np.log(p["D_c"]), data


SEPARATED: dict[str, Callable[[Mapping[str, Array]], tuple[Array | float, ...]]] = {
    "kaplan": _kaplan,
    "chinchilla": _chinchilla,
    "droppo": _droppo,
}
"""Each form of L(N,D) as the columns of a law (see calculator_data)."""


def _log_floor(floor: Array) -> Array:
    return np.maximum(np.log(floor), NO_FLOOR)


def _column(values: Array) -> float | str:
    values = np.ascontiguousarray(values, "<f8")
    return float(values[0]) if np.all(values == values[0]) else base64.b64encode(values.tobytes()).decode("ascii")
