"""The rules that FineWeb adds to Gopher's and C4's (Penedo et al. 2024, section 3.6): pages that are lists or menus."""

from scalelaws.corpus.gopher import Measure
from scalelaws.corpus.texts import Text, repeats, share

ENDS = (".", "!", "?", "。", "！", "？", "।", "؟", "۔")
SHORT_LINE = 30
"""Characters up to which a line is short."""


def _lines(text: Text) -> list[str]:
    return [line for line in text.text.split("\n") if line.strip()]


def finished_lines(text: Text) -> float:
    """Share of the lines that end in a mark that ends a sentence."""
    return share(line.endswith(ENDS) for line in _lines(text))


def short_lines(text: Text) -> float:
    """Share of the lines with at most 30 characters."""
    return share(len(line) <= SHORT_LINE for line in _lines(text))


def repeated_line_characters(text: Text) -> float:
    """Share of the characters that stand in a line that came before."""
    return repeats(_lines(text))[1] / max(len(text.text.replace("\n", "")), 1)


def line_ends(text: Text) -> float:
    """Line ends per word."""
    return text.text.count("\n") / max(len(text.words), 1)


FINEWEB: dict[str, tuple[str, Measure]] = {
    "min_finished_lines": ("lines_not_sentences", finished_lines),
    "max_short_lines": ("mostly_short_lines", short_lines),
    "max_line_characters": ("lines_come_again", repeated_line_characters),
    "max_line_ends": ("mostly_line_ends", line_ends),
}
"""Threshold in the config -> the reason it gives, and what is measured."""
