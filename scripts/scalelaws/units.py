"""Units and conversions that more than one stage needs."""

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
PF_DAY = 8.64e19
"""Floating-point operations in one petaFLOP/s-day."""
PEARCE_SONG = 47491.0
"""N_total = N + 47491·N^(1/3): embeddings of Chinchilla's models against their size (Pearce & Song 2024, eq. 4)."""

NATS_PER_BIT = math.log(2)


def training_flops(parameters: float, tokens: float) -> float:
    """C = 6·N·tokens: FLOPs of training without embedding and attention terms (Kaplan et al. 2020, section 2.1)."""
    return 6.0 * parameters * tokens


def bits_per_byte(loss: float, bytes_per_token: float) -> float:
    """A loss in nats per token as bits per byte of the text that the tokens stand for."""
    return loss / NATS_PER_BIT / bytes_per_token


def readable(count: float) -> str:
    """A count in at most four characters and a letter: 768, 40k, 1.3M, 22M, 1.5B, 2T."""
    for limit, divisor, letter in (
        (1e3, 1.0, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M"), (1e12, 1e9, "B"), (math.inf, 1e12, "T"),
    ):  # fmt: skip
        if count < limit * 0.9995:
            scaled = count / divisor
            return f"{scaled:.3g}{letter}" if scaled < 999.5 else f"{scaled:.0f}{letter}"
    raise AssertionError


def total_parameters(parameters: npt.ArrayLike, embedding_factor: float = PEARCE_SONG) -> Array:
    """Parameters with embeddings, from those without."""
    parameters = np.asarray(parameters, float)
    return parameters + embedding_factor * np.cbrt(parameters)


def non_embedding_parameters(total: npt.ArrayLike, embedding_factor: float = PEARCE_SONG) -> Array:
    """Parameters without embeddings: the real root of N + factor·N^(1/3) = total, by Cardano's formula."""
    total = np.asarray(total, float)
    third, half = embedding_factor / 3, total / 2
    root = np.sqrt(third**3 + half**2)
    # The small term of Cardano's sum cancels; written as a quotient it keeps its digits.
    large = np.cbrt(half + root)
    return np.asarray((large - third / large) ** 3)
