"""What the command is given: numbers and folders, refused with one line before any work is done."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from scalelaws.errors import InputError


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


def name_of(table: str) -> str:
    """The name of a table's file or URL without its ending."""
    return Path(table.split("?")[0]).name.split(".")[0]


def results_to(named: Path | None, table: str, what: str) -> Path:
    """The folder named, else one called after the table. Raises InputError where a file stands in its way."""
    folder = named or Path(f"{name_of(table)}-{what}")
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise InputError(str(path), "is a file, and results go to a folder", "Name another with --out.")
    return folder


def _between(word: str, least: float, most: float) -> str:
    return f"{word} {least:,}" if math.isinf(most) else f"{word} {least:,} to {most:,}"
