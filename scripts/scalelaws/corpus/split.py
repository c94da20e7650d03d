"""Split a corpus into training and test documents, and keep from the test side whatever the training side contains."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from scalelaws.corpus.dataset_card import dataset_readme
from scalelaws.corpus.documents import Digest, Document, DocumentWriter, count_documents, digested, read_documents
from scalelaws.corpus.funnel import Funnel
from scalelaws.corpus.overlap import overlap
from scalelaws.corpus.pairs import BOUND
from scalelaws.corpus.survey import place
from scalelaws.errors import InputError
from scalelaws.io import atomic_path, write_json
from scalelaws.recipe import provenance
from scalelaws.workers import Show


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
    """Write `folder`/train and `folder`/test (parquet shards) and `folder`/README.md, which make it a data set that
    `datasets` loads and the hub shows; and the counts to `report` (JSON), with how much of the tests is in training.

    `training` is None for the corpus that is trained on, which is split by hash; for any other it is the folder of the
    training documents, and all documents are for testing. `settings`: test_share, overlap_ngram (words), and
    max_overlap: a test document is dropped if a larger share of its n-grams occurs in the training documents.
    """
    funnel = Funnel("split")
    held_out = (lambda _: True) if training else partial(is_test, share=settings["test_share"], seed=seed)
    where = f"{folder.parent.name}: split"
    with atomic_path(folder) as temporary:
        counts = {"train": Count(), "test": Count()}
        if training is None:
            with DocumentWriter(temporary / "train", "train") as writer:
                for document in read_documents(documents):
                    if not held_out(document):
                        writer.write(document)
                        funnel.keep(document)
                        counts["train"].add(document)
            counts["train"].digest = str(writer.digest)
            _require(counts["train"], documents, settings, "train")

        def candidates() -> Iterator[Document]:
            return (document for document in read_documents(documents) if held_out(document))

        leaks = overlap(candidates, training or temporary / "train", settings["overlap_ngram"], processes, show)
        if len(leaks.ngrams) and not leaks.ngrams.sum():
            problem = f"none of {len(leaks.ngrams)} test documents has the {leaks.n} words of an n-gram to look for"
            raise InputError(where, problem, "Lower split.overlap_ngram, or give it longer documents.")
        with DocumentWriter(temporary / "test", "test") as writer:
            for document, leaked in zip(candidates(), leaks.shares.tolist(), strict=True):
                if leaked > settings["max_overlap"]:
                    funnel.drop(document, "in_training_text", f"{leaked:.0%} of its {leaks.n}-grams")
                else:
                    writer.write(document)
                    funnel.keep(document)
                    counts["test"].add(document)
        counts["test"].digest = str(writer.digest)
        funnel.require_documents(where)
        _require(counts["test"], documents, settings, "test")
        left = Digest()
        for _ in digested(read_documents(documents), funnel.entered):
            pass
        left.add(*(count.digest for count in counts.values()))
        splits = {name: count.as_dict() for name, count in counts.items() if count.documents}
        readme = dataset_readme(folder.parent.name, splits)
        (temporary / "README.md").write_text(readme, encoding="utf-8")
        inputs = [documents, *([training] if training else [])]
        made_with = provenance(recipe, seed, settings, inputs, ["numpy", "pyarrow", "xxhash"])
        overlaps = {"overlap": leaks.as_dict()}
        write_json(report, funnel.as_dict(left) | {"splits": splits} | overlaps | {"provenance": made_with})


def is_test(document: Document, share: float, seed: int) -> bool:
    """Whether a document is held out: decided by its id alone, so that the split stays as it is when a corpus grows."""
    return place(document.id, seed + 1) < share * 2**64


class Count:
    """Documents, bytes, and words as `wc -w` counts them: runs of anything but white space."""

    def __init__(self) -> None:
        self.documents = self.bytes = self.words = 0
        self.digest = ""

    def add(self, document: Document) -> None:
        """Count one document."""
        encoded = document.text.encode()
        self.documents += 1
        self.bytes += len(encoded)
        self.words += len(encoded.replace(BOUND.encode(), b" ").split())

    def as_dict(self) -> dict[str, Any]:
        """The three counts by name, and the digest of the documents."""
        return {"documents": self.documents, "bytes": self.bytes, "words": self.words, "digest": self.digest}


def _require(count: Count, documents: Path, settings: Mapping[str, Any], name: str) -> None:
    if not count.documents:
        problem = f"of {count_documents(documents)} documents none is left for {name}"
        remedy = (
            f"Give it more documents, or change split.test_share ({settings['test_share']:g}) or split.max_overlap."
        )
        raise InputError(f"{documents.parent.name}: split", problem, remedy)
