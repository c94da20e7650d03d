"""The rules of Gopher (Rae et al. 2021, appendix A.1.1): what is not prose, and what repeats itself (table A1)."""

import re
from collections.abc import Callable
from functools import partial

import numpy as np

from scalelaws.corpus.texts import Text, repeats, share

STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
BULLETS = ("-", "*", "•", "‣", "▪", "–", "+")
ELLIPSES = ("...", "…")
SYMBOLS = re.compile(r"#|\.\.\.|…")

Measure = Callable[[Text], float]


def mean_word_length(text: Text) -> float:
    """Characters per word."""
    return sum(map(len, text.words)) / max(len(text.words), 1)


def symbol_ratio(text: Text) -> float:
    """Hash signs and ellipses per word."""
    return len(SYMBOLS.findall(text.text)) / max(len(text.words), 1)


def alphabetic_words(text: Text) -> float:
    """Share of the words that hold a letter."""
    return share(any(map(str.isalpha, word)) for word in text.words)


def stop_words(text: Text) -> float:
    """How many different English stop words occur."""
    return len(STOP_WORDS.intersection(word.lower() for word in text.words))


def repeated_share(text: Text, parts: str, characters: bool) -> float:
    """Share of the lines or paragraphs that came before, or of the text's characters that stand in these."""
    found = getattr(text, parts)
    count, length = repeats(found)
    return length / max(len(text.text), 1) if characters else count / max(len(found), 1)


def top_ngram(text: Text, n: int) -> float:
    """Share of the characters in the most frequent run of n tokens, spaces between them counted."""
    if len(text.tokens) < n:
        return 0.0
    places, hashes = text.recurring(n)
    _, first, counts = np.unique(hashes, return_index=True, return_counts=True)
    most = int(counts.max(initial=1))
    place = int(places[first[counts == most].min()]) if len(places) else 0
    length = text.token_ends[place + n] - text.token_ends[place] + n - 1
    return float(length * most / len(text.text))


def repeated_ngrams(text: Text, n: int) -> float:
    """Share of the characters in runs of n tokens that came before; no character counts twice."""
    seen: set[int] = set()
    free = characters = 0
    places, hashes = text.recurring(n)
    for place, run in zip(places.tolist(), hashes.tolist(), strict=True):
        if place < free:
            continue
        if run in seen:
            free = place + n
            characters += int(text.token_ends[free] - text.token_ends[place])
        seen.add(run)
    return characters / max(len(text.text), 1)


QUALITY: dict[str, tuple[str, Measure]] = {
    "min_words": ("too_few_words", lambda text: len(text.words)),
    "max_words": ("too_many_words", lambda text: len(text.words)),
    "min_word_length": ("words_too_short", mean_word_length),
    "max_word_length": ("words_too_long", mean_word_length),
    "max_symbols": ("too_many_symbols", symbol_ratio),
    "max_bullet_lines": ("mostly_bullets", lambda text: share(line.startswith(BULLETS) for line in text.lines)),
    "max_ellipsis_lines": ("lines_cut_off", lambda text: share(line.endswith(ELLIPSES) for line in text.lines)),
    "min_alphabetic_words": ("too_few_letters", alphabetic_words),
    "min_stop_words": ("too_few_stop_words", stop_words),
}
"""Threshold in the config -> the reason it gives, and what is measured."""

REPETITION: dict[str, tuple[str, Measure]] = {
    "max_paragraphs": ("repeated_paragraphs", partial(repeated_share, parts="paragraphs", characters=False)),
    "max_paragraph_characters": (
        "long_repeated_paragraphs",
        partial(repeated_share, parts="paragraphs", characters=True),
    ),
    "max_lines": ("repeated_lines", partial(repeated_share, parts="raw_lines", characters=False)),
    "max_line_characters": ("long_repeated_lines", partial(repeated_share, parts="raw_lines", characters=True)),
}

NGRAMS: dict[str, tuple[str, Callable[..., float]]] = {
    "max_top_ngrams": ("one_{n}gram_dominates", top_ngram),
    "max_repeated_ngrams": ("repeated_{n}grams", repeated_ngrams),
}
"""The same for thresholds that are lists of [n, share]."""
