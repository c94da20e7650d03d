"""Which named rule a text breaks, by the sets of Gopher, C4 and FineWeb, each asked only where the config has it.

Words stand between white space. The libraries that count punctuation marks as words drop a page whose marks outnumber
a quarter of its words as one of too few letters: 42% of ordinary pages, which Gopher's paper did not mean.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from scalelaws.corpus.c4 import C4, without_bad_lines
from scalelaws.corpus.fineweb import FINEWEB
from scalelaws.corpus.gopher import NGRAMS, QUALITY, REPETITION, Measure
from scalelaws.corpus.texts import Text

SETS: dict[str, dict[str, tuple[str, Measure]]] = {
    "gopher": QUALITY,
    "repetition": REPETITION,
    "c4": C4,
    "fineweb": FINEWEB,
}
"""The sets and their rules, in the order in which they are asked: the first that is broken is the reason."""

Settings = Mapping[str, Mapping[str, Any] | None]


def judged_text(text: str, settings: Settings) -> tuple[str, tuple[str, str] | None, Counter[str]]:
    """The text, without the lines that C4's rules take out; the first broken rule, as (reason, what was measured), or
    None for good text; and how many lines went for which reason.
    """
    lines = Counter[str]()
    for name in SETS:
        thresholds = settings.get(name)
        if thresholds is None:
            continue
        if name == "c4":
            text, lines = without_bad_lines(text, thresholds)
        if broken := broken_rule(Text(text), name, thresholds):
            return text, broken, lines
    return text, None, lines


def broken_rule(text: Text, name: str, thresholds: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first rule of a set that a text breaks, as (reason, what was measured), or None."""
    for rule, reason, measure, limit in _asked(name, thresholds):
        value = float(measure(text))
        if value < limit if rule.startswith("min_") else value > limit:
            return reason, f"{value:.3g} against {name}.{rule} {limit:g}"
    return None


def _asked(name: str, thresholds: Mapping[str, Any]) -> Iterator[tuple[str, str, Measure, float]]:
    """The rules of a set that have a threshold: threshold's name, reason, measure, threshold."""
    for rule, (reason, measure) in SETS[name].items():
        if (limit := thresholds.get(rule)) is not None:
            yield rule, reason, measure, limit
    if name == "repetition":
        for rule, (form, of_ngrams) in NGRAMS.items():
            for n, limit in thresholds.get(rule) or []:
                yield rule, form.format(n=n), partial(of_ngrams, n=n), limit
