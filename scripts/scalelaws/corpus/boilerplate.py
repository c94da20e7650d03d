"""Paragraphs that come again on page after page of a site, such as menus and notices: found first, then taken out.

A paragraph is a line of text. Which ones go depends on how many different texts of the site have them, not on their
order. A page that is met ten times, under one URL or ten, is one text: what is its own stays.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from scalelaws.corpus.blocklist import host_of
from scalelaws.corpus.documents import Document, batches, count_documents, text_bytes
from scalelaws.corpus.ngrams import Hashes
from scalelaws.corpus.spool import Spool
from scalelaws.workers import Show, ordered_map, sure

PARAGRAPH = np.dtype([("paragraph", "<u8"), ("text", "<u8")])
"""Hashes of a paragraph with its host, and of the whole text that has it."""
BYTES_PER_PART = 128 << 20
"""Text whose paragraphs are counted at a time: some millions of hashes."""


def boilerplate(documents: Path, settings: Mapping[str, Any], scratch: Path, processes: int, show: Show) -> Hashes:
    """Hashes, sorted, of the paragraphs that at least `min_pages` different texts of one host have.

    `settings`: min_pages, and min_words of a paragraph that counts. The hashes of all paragraphs go through files in
    `scratch`; one part of them is in memory at a time.
    """
    total, done = count_documents(documents), 0
    with Spool(scratch, PARAGRAPH, 1 + text_bytes(documents) // BYTES_PER_PART) as spool:
        find = partial(_paragraphs_of, min_words=settings["min_words"])
        for batch, found in sure(ordered_map(find, batches(documents), processes)):
            spool.add(found, found["paragraph"])
            done += len(batch)
            show(done, total, "looking for boilerplate")
        common = [np.zeros(0, np.uint64)]
        for part in spool.parts():
            hashes, texts = np.unique(np.unique(part)["paragraph"], return_counts=True)
            common.append(hashes[texts >= settings["min_pages"]])
    return np.sort(np.concatenate(common))


def without_boilerplate(document: Document, common: Hashes, min_words: int) -> tuple[str, int]:
    """A document's text without the paragraphs in `common`, and how many these were."""
    if not len(common):
        return document.text, 0
    lines = document.text.split("\n")
    found = paragraph_hashes(document, lines, min_words)
    places = np.minimum(np.searchsorted(common, found), len(common) - 1)
    bad = (common[places] == found) & (found != 0)
    if not bad.any():
        return document.text, 0
    kept = [line for line, gone in zip(lines, bad, strict=True) if not gone]
    return "\n".join(kept).strip("\n "), int(bad.sum())


def paragraph_hashes(document: Document, lines: list[str], min_words: int) -> Hashes:
    """A hash of host and paragraph for each line; 0 for those with fewer than `min_words` words."""
    host = host_of(document.url)
    hashes = [
        xxhash.xxh3_64_intdigest(f"{host}\0{' '.join(words)}".encode())
        if len(words := line.split()) >= min_words
        else 0
        for line in lines
    ]
    return np.array(hashes, np.uint64)


def _paragraphs_of(batch: list[Document], min_words: int) -> NDArray:
    """The paragraphs of pages that have a host, each once for each page: (paragraphs,) of PARAGRAPH."""
    parts = [np.zeros(0, PARAGRAPH)]
    for document in batch:
        if host_of(document.url):
            hashes = np.unique(paragraph_hashes(document, document.text.split("\n"), min_words))
            found = np.zeros(len(hashes), PARAGRAPH)
            found["paragraph"], found["text"] = hashes, xxhash.xxh3_64_intdigest(document.text.encode())
            parts.append(found[hashes != 0])
    return np.concatenate(parts)
