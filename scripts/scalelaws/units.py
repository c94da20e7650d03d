"""Units and conversions that more than one stage needs."""

import math

PF_DAY = 8.64e19
"""Floating-point operations in one petaFLOP/s-day."""

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
