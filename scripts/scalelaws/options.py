"""Numbers that the command is given: each kind is refused with one line where it is out of bounds."""

import argparse
import math
from collections.abc import Callable


def count(least: int, most: float = math.inf) -> Callable[[str], int]:
    """The type of an option that is a whole number from `least` to `most`."""

    def whole_number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number {_between('from', least, most)}")
        return value

    return whole_number


def positive(most: float = math.inf) -> Callable[[str], float]:
    """The type of an option that is a finite number above zero, of at most `most`."""

    def number(text: str) -> float:
        value = float(text)
        if not (0 < value <= most and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"{text} is not a finite number {_between('above', 0, most)}")
        return value

    return number


def huber_delta(text: str) -> float | None:
    """As a study's laws.huber_delta, with 0 in place of null."""
    value = float(text)
    if value and not (1e-5 <= value < math.inf):
        raise argparse.ArgumentTypeError(f"{text} is neither 0 nor a finite number from 0.00001")
    return value or None


def _between(word: str, least: float, most: float) -> str:
    return f"{word} {least:,}" if math.isinf(most) else f"{word} {least:,} to {most:,}"
