"""What must be known of all documents of a corpus before any of them is judged."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from scalelaws.corpus.boilerplate import boilerplate
from scalelaws.corpus.documents import read_documents
from scalelaws.corpus.ngrams import Hashes
from scalelaws.io import atomic_path, scratch_folder
from scalelaws.workers import Show

LAST_PLACE = 2**64 - 1


@dataclass(frozen=True)
class Survey:
    """Of all documents of a corpus."""

    last: int
    """The place, of the seeded order, of the last document within `max_bytes`."""
    common: Hashes
    """Sorted hashes of the paragraphs that are boilerplate."""


def survey(
    documents: Path, settings: Mapping[str, Any], seed: int, scratch: Path, processes: int, show: Show
) -> Survey:
    """Survey the documents of a folder. `settings`: max_bytes and boilerplate, as for `clean`; `scratch`: for files."""
    last, rule = _last_place(documents, settings["max_bytes"], seed), settings["boilerplate"]
    if not rule:
        return Survey(last, np.zeros(0, np.uint64))
    with scratch_folder(scratch / "paragraphs") as folder:
        return Survey(last, boilerplate(documents, rule, folder, processes, show))


def write_survey(found: Survey, path: Path) -> None:
    """Write a survey as .npz."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, last=np.uint64(found.last), common=found.common)


def read_survey(path: Path) -> Survey:
    """The survey in a file."""
    with np.load(path) as arrays:
        return Survey(int(arrays["last"]), arrays["common"])


def place(identity: str, seed: int) -> int:
    """Where a document stands, from 0 to 2^64 - 1, in a seeded order that does not depend on which others there are."""
    return xxhash.xxh3_64_intdigest(identity.encode(), seed)


def _last_place(documents: Path, max_bytes: float | None, seed: int) -> int:
    """The place up to which the documents, taken in the seeded order, hold at most `max_bytes` of text."""
    if max_bytes is None:
        return LAST_PLACE
    kept, lengths = array("Q"), array("q")
    for document in read_documents(documents):
        kept.append(place(document.id, seed))
        lengths.append(document.bytes)
    places, sizes = np.frombuffer(kept, np.uint64), np.frombuffer(lengths, np.int64)
    order = np.lexsort((sizes, places))
    size = np.cumsum(sizes[order])
    within = int(np.searchsorted(size, max_bytes, "right"))
    return int(places[order[max(within, 1) - 1]]) if within < len(sizes) else LAST_PLACE
