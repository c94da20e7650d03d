"""Remove duplicates: equal texts, other versions of the same page, and near-duplicates, one survivor for each group.

In two passes: the first keeps a signature, band keys and three numbers per document, in files; the second writes the
survivors, ordered by id. Neither who survives nor the order depends on how the documents came.
"""

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from scalelaws.corpus.documents import (
    Digest,
    Document,
    DocumentWriter,
    batches,
    count_documents,
    read_documents,
    text_bytes,
)
from scalelaws.corpus.duplicates import KEYS, REASONS, duplicates
from scalelaws.corpus.funnel import Funnel
from scalelaws.corpus.minhash import MinHash, Signatures
from scalelaws.corpus.ngrams import Hashes
from scalelaws.corpus.shuffle import in_order_of_id
from scalelaws.corpus.signatures import SignatureFiles, open_signatures
from scalelaws.io import atomic_path, write_json
from scalelaws.recipe import provenance
from scalelaws.workers import Show, ordered_map, sure


def deduplicate(
    documents: Path,
    training: Path | None,
    folder: Path,
    signatures: Path,
    report: Path,
    settings: Mapping[str, Any],
    seed: int,
    recipe: str,
    processes: int,
    show: Show,
) -> None:
    """Write one document of each group of duplicates to `folder`, and the counts to `report` (JSON).

    The survivors' keys and signatures go to the folder `signatures`. `training` is such a folder of the training
    corpus: what is a duplicate of a document there goes too. `settings`: ngram (words), bands, rows, threshold
    (estimated Jaccard similarity from which texts are duplicates). Raises InputError if nothing is left, or if
    `training` was made with other settings.
    """
    minhash = MinHash(**settings, seed=seed)
    funnel = Funnel("deduplicate")
    others = open_signatures(training, minhash) if training else None
    with (
        tempfile.TemporaryDirectory(prefix=".signatures-", dir=folder.parent) as scratch,
        atomic_path(folder) as temporary,
        atomic_path(signatures) as kept_signatures,
        DocumentWriter(temporary, "documents") as writer,
    ):
        fixed = others.count if others else 0
        files = SignatureFiles(Path(scratch), minhash, fixed + count_documents(documents))
        if others:
            files.copy(others)
        _sign(documents, files, funnel.entered, processes, show)
        survivor, reason = duplicates(files.keys, files.signatures, files.bands, minhash, fixed)
        order: list[int] = []
        survivors = _survivors(documents, survivor[fixed:], reason[fixed:], funnel)
        for index, document in in_order_of_id(survivors, Path(scratch), text_bytes(documents)):
            writer.write(document)
            order.append(fixed + index)
        funnel.require_documents(f"{folder.parent.name}: deduplicate")
        files.write_chosen(kept_signatures, np.array(order), writer.digest)
        funnel.name_survivors(_urls(documents, funnel.notes(), fixed))
        curve = {f"{s / 10:.1f}": round(minhash.candidate_probability(s / 10), 4) for s in range(3, 11)}
        inputs = [documents, *([training] if training else [])]
        made_with = provenance(recipe, seed, settings, inputs, ["numpy", "pyarrow", "xxhash"])
        write_json(report, funnel.as_dict(writer.digest) | {"s_curve": curve, "provenance": made_with})


def _sign(documents: Path, files: SignatureFiles, entered: Digest, processes: int, show: Show) -> None:
    """Fill the files with what is told from each document's text, computed in several processes."""
    total, done = count_documents(documents), 0
    sign = partial(_signed, minhash=files.minhash)
    for batch, (keys, signatures, bands) in sure(ordered_map(sign, batches(documents, digest=entered), processes)):
        files.add(keys, signatures, bands)
        done += len(batch)
        show(done, total, "signing")


def _signed(batch: list[Document], minhash: MinHash) -> tuple[NDArray, Signatures, Hashes]:
    keys = np.zeros(len(batch), KEYS)
    for row, document in zip(keys, batch, strict=True):
        for field, value in (("id", document.id), ("text", document.text)):
            row[field] = np.frombuffer(xxhash.xxh3_128_digest(value.encode()), "<u8")
        row["bytes"] = document.bytes
        row["rest"] = xxhash.xxh3_64_intdigest("\0".join((document.url, document.source, document.title)).encode())
    signatures = np.stack([minhash.signature(document.text) for document in batch])
    return keys, signatures, minhash.band_keys(signatures)


def _survivors(
    documents: Path, survivor: NDArray[np.int64], reason: NDArray[np.int8], funnel: Funnel
) -> Iterator[tuple[int, Document]]:
    """The documents that stay, with their places; the others are counted, under the number of what is kept instead."""
    for index, document in enumerate(read_documents(documents)):
        if reason[index]:
            funnel.drop(document, REASONS[reason[index]], str(survivor[index]))
        else:
            funnel.keep(document)
            yield index, document


def _urls(documents: Path, wanted: set[str], fixed: int) -> dict[str, str]:
    """The URLs of documents by their numbers; those of another corpus stay without one."""
    urls = {number: "a document of the training corpus" for number in wanted if int(number) < fixed}
    for index, document in enumerate(read_documents(documents), fixed):
        if str(index) in wanted:
            urls[str(index)] = document.url
    return urls
