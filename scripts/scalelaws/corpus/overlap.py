"""How much of some documents stands in others, by runs of words: what decontamination and its report go by."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalelaws.corpus.documents import Document, batches, count_documents
from scalelaws.corpus.ngrams import Hashes, ngram_hashes, word_hashes
from scalelaws.workers import Show, ordered_map, sure

NGRAMS_AT_ONCE = 1 << 26
"""n-grams that are looked for at a time (half a gigabyte); the other documents are read once for each such number."""

STEPS = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)
"""The report counts documents by these bounds of their share."""


@dataclass(frozen=True)
class Overlap:
    """For each document how many n-grams it has, and how many of them the other documents have: (documents,) each."""

    n: int
    ngrams: NDArray[np.int64]
    found: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """The share of each document's n-grams that was found; 0 where it has fewer than n words."""
        return self.found / np.maximum(self.ngrams, 1)

    def as_dict(self) -> dict[str, Any]:
        """Totals, and how many documents have a share up to each of STEPS and above the one before."""
        places = np.searchsorted(STEPS, self.shares)
        return {
            "ngram": self.n,
            "ngrams": int(self.ngrams.sum()),
            "in_training": int(self.found.sum()),
            "share": round(float(self.found.sum() / max(self.ngrams.sum(), 1)), 6),
            "too_short_to_tell": int((self.ngrams == 0).sum()),
            "documents_up_to": {f"{step:g}": int((places == k).sum()) for k, step in enumerate(STEPS)},
        }


def overlap(documents: Callable[[], Iterable[Document]], others: Path, n: int, processes: int, show: Show) -> Overlap:
    """How many n-grams of each of the documents, which are read several times, stand in the folder `others`."""
    counts: list[int] = []
    found: list[int] = []
    for start, stop, grams in _pieces(documents(), n):
        seen = _seen(grams, others, n, processes, show)
        for document in islice(documents(), start, stop):
            own = ngrams_of(document.text, n)
            counts.append(len(own))
            found.append(int(seen[np.searchsorted(grams, own)].sum()))
    return Overlap(n, np.array(counts, np.int64), np.array(found, np.int64))


def _pieces(documents: Iterable[Document], n: int) -> Iterator[tuple[int, int, Hashes]]:
    """Pieces of the documents, each of little more than NGRAMS_AT_ONCE n-grams: start, stop and the sorted n-grams."""
    start = held = index = 0
    parts: list[Hashes] = [np.zeros(0, np.uint64)]
    for index, document in enumerate(documents, 1):
        parts.append(np.unique(ngrams_of(document.text, n)))
        held += len(parts[-1])
        if held >= NGRAMS_AT_ONCE:
            yield start, index, np.unique(np.concatenate(parts))
            start, held, parts = index, 0, [np.zeros(0, np.uint64)]
    if index > start:
        yield start, index, np.unique(np.concatenate(parts))


def _seen(grams: Hashes, others: Path, n: int, processes: int, show: Show) -> NDArray[np.bool_]:
    """Which of the sorted n-grams occur in a folder's documents."""
    seen = np.zeros(len(grams), bool)
    if len(grams):
        total, done = count_documents(others), 0
        for batch, hits in sure(ordered_map(partial(_hits, grams=grams, n=n), batches(others), processes)):
            seen[hits] = True
            done += len(batch)
            show(done, total, "searching the training text")
    return seen


def _hits(batch: list[Document], grams: Hashes, n: int) -> NDArray[np.int64]:
    """Places in the sorted `grams` of those that occur in a batch."""
    found = np.unique(np.concatenate([ngrams_of(document.text, n) for document in batch]))
    places = np.minimum(np.searchsorted(grams, found), len(grams) - 1)
    return places[grams[places] == found]


def ngrams_of(text: str, n: int) -> Hashes:
    """A hash for each run of n words; none where there are fewer words."""
    words = word_hashes(text)
    return ngram_hashes(words, n) if len(words) >= n else np.zeros(0, np.uint64)
