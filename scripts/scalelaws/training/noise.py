"""The gradient noise scale, measured in passing (McCandlish et al. 2018, appendix A.1)."""

from collections.abc import Sequence

from scalelaws.training.schedule import average_weight

NOISE_SPACING = 8
"""Every eighth update measures."""
NOISE_SHARE = 8
"""The small batch is this part of the update's own: with the spacing, 2 to 3% of the time."""
NOISE_AVERAGING = 0.5
"""Squares are averaged over about this last fraction of the updates."""


def averaged_squares(squares: Sequence[float], newest: Sequence[float], step: int) -> list[float]:
    """Running averages of the squared gradient norms of the small and the large batch, after update `step`."""
    weight = average_weight(step // NOISE_SPACING, NOISE_AVERAGING)
    return [old + weight * (new - old) for old, new in zip(squares, newest, strict=True)]


def noise_scale(squares: Sequence[float], small_tokens: int, large_tokens: int) -> float | None:
    """B_noise = tr(Σ)/|G|² in tokens, or None where the measured squares do not allow one yet.

    A batch of B tokens has E|G_B|² = |G|² + tr(Σ)/B, so two sizes give unbiased estimates of both.
    """
    small, large = squares
    noise = (small - large) / (1 / small_tokens - 1 / large_tokens)
    signal = (large_tokens * large - small_tokens * small) / (large_tokens - small_tokens)
    return noise / signal if noise > 0 and signal > 0 else None
