"""The rules of C4 (Raffel et al. 2020, section 2.2, and their code): lines that are no sentences go, then pages."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from scalelaws.corpus.gopher import Measure
from scalelaws.corpus.texts import Text

CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
ENDS = (".", "?", "!", '"', "'")
SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)")
PLACEHOLDER = re.compile(r"lorem ipsum", re.IGNORECASE)


def without_bad_lines(text: str, settings: Mapping[str, Any]) -> tuple[str, Counter[str]]:
    """The text without the lines that break a rule and without citation marks, and how many lines broke which rule."""
    kept, removed = [], Counter[str]()
    phrases = settings["drop_lines_with"]
    for raw in text.splitlines():
        line = raw.strip()
        words = line.split()
        if settings["remove_citations"] and "[" in line:
            line = CITATION.sub("", line)
        if reason := _broken(line, words, phrases, settings):
            removed[reason] += bool(words)
        else:
            kept.append(line)
    return "\n".join(kept).strip(), +removed


def _broken(line: str, words: list[str], phrases: list[str], settings: Mapping[str, Any]) -> str | None:
    longest, fewest = settings["max_line_word_length"], settings["min_line_words"]
    if longest is not None and len(line) > longest and any(len(word) > longest for word in words):
        return "line_with_endless_word"
    if settings["finished_lines"] and (not line.endswith(ENDS) or line.endswith("...")):
        return "line_not_finished"
    if fewest is not None and len(words) < fewest:
        return "line_too_short"
    lowered = line.lower()
    return "line_with_phrase" if any(phrase in lowered for phrase in phrases) else None


def sentences(text: Text) -> float:
    """How many sentences there are: ends of sentences, and lines that have none."""
    return sum(max(len(SENTENCE_END.findall(line)), 1) for line in text.lines)


C4: dict[str, tuple[str, Measure]] = {
    "max_placeholders": ("placeholder_text", lambda text: len(PLACEHOLDER.findall(text.text))),
    "max_curly_brackets": ("curly_brackets", lambda text: text.text.count("{")),
    "min_sentences": ("too_few_sentences", sentences),
}
"""Threshold in the config -> the reason it gives, and what is measured, after the lines have gone."""
