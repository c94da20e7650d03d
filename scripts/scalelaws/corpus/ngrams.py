"""Hashes of every n consecutive words of a text, computed with numpy: what near-duplicates and leaks are found by."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

CHARACTER_BASE = 0x9E3779B97F4A7C15
WORD_BASE = 0xD6E8FEB86659FD93
WORD, ALONE = 1, 2
UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x9FFF),
    (0x20000, 0x3FFFF),
)
"""Scripts written without spaces (Thai, Lao, Burmese, Khmer, kana, Han): each character counts as a word."""


def word_hashes(text: str) -> Hashes:
    """A 64-bit hash per word: a run of letters and digits in lower case, or one character of an unspaced script."""
    points = np.frombuffer(text.lower().encode("utf-32-le", "replace"), np.uint32)
    kinds = _kinds()[points]
    inside = kinds > 0
    starts = inside & ((kinds == ALONE) | ~_shifted(inside, 1) | (_shifted(kinds, 1) == ALONE))
    ends = inside & ((kinds == ALONE) | ~_shifted(inside, -1) | (_shifted(kinds, -1) == ALONE))
    first, last = np.flatnonzero(starts), np.flatnonzero(ends)
    return _windows(points.astype(np.uint64) + np.uint64(1), CHARACTER_BASE, first, last + 1)


def ngram_hashes(words: Hashes, n: int) -> Hashes:
    """A hash for each of the len(words) - n + 1 runs of n words; of the whole text where it has fewer than n words."""
    if 0 < len(words) < n:
        n = len(words)
    first = np.arange(max(len(words) - n + 1, 0))
    return _windows(words, WORD_BASE, first, first + n)


def _windows(values: Hashes, base: int, first: NDArray[np.int64], end: NDArray[np.int64]) -> Hashes:
    """A polynomial hash of values[first:end] for each window: differences of prefix sums, made independent of position.

    The base is odd, so it has an inverse modulo 2^64, which takes the window's position out of its sum.
    """
    powers, inverses = _powers(base, len(values))
    with np.errstate(over="ignore"):
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values * powers, dtype=np.uint64)])
        return _mixed((sums[end] - sums[first]) * inverses[first])


def _mixed(hashes: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele et al. 2014): spreads what a polynomial leaves in the low bits."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _powers(base: int, length: int) -> tuple[Hashes, Hashes]:
    """base^i and its inverse modulo 2^64, for i up to `length`."""
    powers, inverses = _power_table(base, max(1 << 16, 1 << length.bit_length()))
    return powers[:length], inverses[: length + 1]


@cache
def _power_table(base: int, length: int) -> tuple[Hashes, Hashes]:
    inverse = pow(base, -1, 1 << 64)
    tables = []
    for factor in (base, inverse):
        table = np.full(length + 1, factor, np.uint64)
        table[0] = 1
        with np.errstate(over="ignore"):
            tables.append(np.cumprod(table, dtype=np.uint64))
    return tables[0], tables[1]


@cache
def _kinds() -> NDArray[np.uint8]:
    """For every code point: 0 between words, WORD inside one, ALONE a word by itself."""
    kinds = np.fromiter((chr(point).isalnum() for point in range(0x110000)), np.uint8, 0x110000)
    for low, high in UNSPACED:
        kinds[low : high + 1] *= ALONE
    return kinds


def _shifted(values: NDArray, by: int) -> NDArray:
    """The values moved by one place, zero coming in."""
    out = np.zeros_like(values)
    if by > 0:
        out[1:] = values[:-1]
    else:
        out[:-1] = values[1:]
    return out
