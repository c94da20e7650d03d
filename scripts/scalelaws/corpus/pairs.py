"""Pairs of texts, such as a question and its answer: each is one document, its source, BOUND, and its target."""

from collections.abc import Mapping
from typing import Any

BOUND = "\x1f"
"""Between the halves of a pair: Unicode's unit separator, which no other text of a document has (documents.normalized).
To whoever splits words it is white space, to whoever splits lines nothing, so that a pair is cleaned, compared and held
out as any document."""


def of_pairs(source: Mapping[str, Any]) -> bool:
    """Whether a corpus's source, as it is declared, holds pairs."""
    return "target_field" in source or source.get("content") == "translations"


def any_of_pairs(corpora: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether any source of a study's corpora holds pairs."""
    return any(of_pairs(source) for corpus in corpora.values() for source in corpus["sources"])


def halves(text: str) -> list[str]:
    """The source and the target of a pair; of a text that is no pair itself alone."""
    return text.split(BOUND, 1)
