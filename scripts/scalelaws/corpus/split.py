"""Split a corpus into training and test documents, and keep from the test side whatever the training side contains."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalelaws.corpus.clean import place
from scalelaws.corpus.documents import Document, DocumentWriter, batches, count_documents, read_documents
from scalelaws.corpus.funnel import Funnel
from scalelaws.corpus.ngrams import Hashes, ngram_hashes, word_hashes
from scalelaws.corpus.workers import Failure, Show, ordered_map
from scalelaws.errors import InputError
from scalelaws.io import atomic_path, write_json
from scalelaws.recipe import provenance


def split(
    documents: Path,
    training: Path | None,
    folder: Path,
    report: Path,
    settings: Mapping[str, Any],
    seed: int,
    recipe: str,
    processes: int,
    show: Show,
) -> None:
    """Write `folder`/train and `folder`/test (parquet shards), and the counts to `report` (JSON).

    `training` is None for the corpus that is trained on, which is split by hash; for any other it is the folder of the
    training documents, and all documents are for testing. `settings`: test_share, overlap_ngram (words), and
    max_overlap: a test document is dropped if a larger share of its n-grams occurs in the training documents.
    """
    funnel = Funnel("split")
    with atomic_path(folder) as temporary:
        counts = {"train": Count(), "test": Count()}
        if training is None:
            with DocumentWriter(temporary / "train", "train") as writer:
                for document in read_documents(documents):
                    if not is_test(document, settings["test_share"], seed):
                        writer.write(document)
                        funnel.keep(document)
                        counts["train"].add(document)
            _require(counts["train"], documents, settings, "train")

        def candidates() -> Iterable[Document]:
            chosen = read_documents(documents)
            return chosen if training else (d for d in chosen if is_test(d, settings["test_share"], seed))

        n = int(settings["overlap_ngram"])
        seen = Overlap(candidates(), n)
        seen.mark(training or temporary / "train", processes, show)
        with DocumentWriter(temporary / "test", "test") as writer:
            for document in candidates():
                overlap = seen.share(document)
                if overlap > settings["max_overlap"]:
                    funnel.drop(document, "in_training_text", f"{overlap:.0%} of its {n}-grams")
                else:
                    writer.write(document)
                    funnel.keep(document)
                    counts["test"].add(document)
        funnel.require_documents(f"{folder.parent.name}: split")
        _require(counts["test"], documents, settings, "test")
        splits = {name: count.as_dict() for name, count in counts.items() if count.documents}
        inputs = [documents, *([training] if training else [])]
        made_with = provenance(recipe, seed, settings, inputs, ["numpy", "pyarrow", "xxhash"])
        write_json(report, funnel.as_dict() | {"splits": splits, "provenance": made_with})


def is_test(document: Document, share: float, seed: int) -> bool:
    """Whether a document is held out: decided by its id alone, so that the split stays as it is when a corpus grows."""
    return place(document.id, seed + 1) < share * 2**64


class Overlap:
    """The n-grams of some documents, and which of them occur in others. Memory grows with the former only."""

    def __init__(self, documents: Iterable[Document], n: int) -> None:
        self.n = n
        parts = [np.unique(_grams(document.text, n)) for document in documents]
        self.grams: Hashes = np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)
        self.found = np.zeros(len(self.grams), bool)

    def mark(self, folder: Path, processes: int, show: Show) -> None:
        """Note which n-grams occur in a folder's documents."""
        total, done = count_documents(folder), 0
        for batch, hits in ordered_map(partial(_hits, grams=self.grams, n=self.n), batches(folder), processes):
            if isinstance(hits, Failure):
                raise RuntimeError(f"a process died while it searched {batch[0].url} and the {len(batch) - 1} after it")
            self.found[hits] = True
            done += len(batch)
            show(done, total, "searching the training text")

    def share(self, document: Document) -> float:
        """The share of a document's n-grams that were found; 0 where it has fewer than n words."""
        grams = _grams(document.text, self.n)
        return float(self.found[np.searchsorted(self.grams, grams)].mean()) if len(grams) else 0.0


class Count:
    """Documents, bytes, and words as `wc -w` counts them: runs of anything but white space."""

    def __init__(self) -> None:
        self.documents = self.bytes = self.words = 0

    def add(self, document: Document) -> None:
        """Count one document."""
        encoded = document.text.encode()
        self.documents += 1
        self.bytes += len(encoded)
        self.words += len(encoded.split())

    def as_dict(self) -> dict[str, int]:
        """The three counts by name."""
        return {"documents": self.documents, "bytes": self.bytes, "words": self.words}


def _grams(text: str, n: int) -> Hashes:
    words = word_hashes(text)
    return ngram_hashes(words, n) if len(words) >= n else np.zeros(0, np.uint64)


def _hits(batch: list[Document], grams: Hashes, n: int) -> NDArray[np.int64]:
    """Places in the sorted `grams` of those that occur in a batch."""
    if not len(grams):
        return np.zeros(0, np.int64)
    found = np.unique(np.concatenate([_grams(document.text, n) for document in batch]))
    places = np.minimum(np.searchsorted(grams, found), len(grams) - 1)
    return places[grams[places] == found]


def _require(count: Count, documents: Path, settings: Mapping[str, Any], name: str) -> None:
    if not count.documents:
        problem = f"of {count_documents(documents)} documents none is left for {name}"
        remedy = (
            f"Give it more documents, or change split.test_share ({settings['test_share']:g}) or split.max_overlap."
        )
        raise InputError(f"{documents.parent.name}: split", problem, remedy)
