"""Remove duplicates: equal texts, other versions of the same page, and near-duplicates, one survivor for each group.

In two passes: the first keeps a signature and three numbers per document, in a file; the second writes the survivors.
Who survives depends on the documents alone, not on their order: the longest of a group, ties by id, then by text.
"""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from scalelaws.corpus.documents import Document, DocumentWriter, batches, count_documents, read_documents
from scalelaws.corpus.funnel import Funnel
from scalelaws.corpus.minhash import MinHash, Signatures, components
from scalelaws.corpus.workers import Failure, Show, ordered_map
from scalelaws.io import atomic_path, write_json
from scalelaws.recipe import provenance

REASONS = ("", "exact_duplicate", "same_page", "near_duplicate")
KEYS = np.dtype([("id", "<u8", 2), ("text", "<u8", 2), ("bytes", "<i8")])
"""What identifies a document in 40 bytes: 128-bit hashes of its id and of its text, and its length."""


def deduplicate(
    documents: Path,
    folder: Path,
    report: Path,
    settings: Mapping[str, Any],
    seed: int,
    recipe: str,
    processes: int,
    show: Show,
) -> None:
    """Write one document of each group of duplicates to `folder`, and the counts to `report` (JSON).

    `settings`: ngram (words), bands, rows, threshold (estimated Jaccard similarity from which texts are duplicates).
    """
    minhash = MinHash(**settings, seed=seed)
    funnel = Funnel("deduplicate")
    with (
        tempfile.TemporaryDirectory(prefix=".signatures-", dir=folder.parent) as scratch,
        atomic_path(folder) as temporary,
        DocumentWriter(temporary, "documents") as writer,
    ):
        keys, signatures = _signed(documents, minhash, Path(scratch), processes, show)
        survivor, reason = duplicates(keys, signatures, minhash)
        urls = _urls(documents, set(survivor[reason > 0].tolist()))
        for index, document in enumerate(read_documents(documents)):
            if reason[index]:
                funnel.drop(document, REASONS[reason[index]], f"kept instead: {urls[int(survivor[index])]}")
            else:
                writer.write(document)
                funnel.keep(document)
        funnel.require_documents(f"{folder.parent.name}: deduplicate")
        curve = {f"{s / 10:.1f}": round(minhash.candidate_probability(s / 10), 4) for s in range(3, 11)}
        made_with = provenance(recipe, seed, settings, [documents], ["numpy", "pyarrow", "xxhash"])
        write_json(report, funnel.as_dict() | {"s_curve": curve, "provenance": made_with})


def duplicates(keys: NDArray, signatures: Signatures, minhash: MinHash) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """For each document the index of its survivor, and the reason (index into REASONS; 0 for a survivor itself).

    `keys` is an array of KEYS, `signatures` documents × functions.
    """
    worth = np.lexsort((*keys["text"].T, *keys["id"].T, -keys["bytes"]))
    rank = np.empty(len(keys), np.int64)
    rank[worth] = np.arange(len(keys))
    best = np.arange(len(keys))
    reason = np.zeros(len(keys), np.int8)
    for code, field in ((1, "text"), (2, "id")):
        alive = np.flatnonzero(reason == 0)
        _, group = np.unique(keys[field][alive], axis=0, return_inverse=True)
        first = np.full(group.max(initial=-1) + 1, len(keys), np.int64)
        np.minimum.at(first, group, rank[alive])
        winner = worth[first[group]]
        best[alive], reason[alive] = winner, np.where(winner == alive, 0, code)
    alive = np.flatnonzero(reason == 0)
    alive = alive[np.argsort(rank[alive])]  # by rank, the smallest index of a component is its survivor
    group = components(len(alive), minhash.pairs(signatures[alive], np.arange(len(alive))))
    best[alive], reason[alive] = alive[group], np.where(group == np.arange(len(alive)), 0, 3)
    while not np.array_equal(best, best[best]):  # who lost to a document that lost in turn follows it
        best = best[best]
    return best, reason


def _signed(documents: Path, minhash: MinHash, scratch: Path, processes: int, show: Show) -> tuple[NDArray, Signatures]:
    """The KEYS and the signatures (memory-mapped in `scratch`) of all documents, computed in several processes."""
    total = count_documents(documents)
    keys = np.lib.format.open_memmap(scratch / "keys.npy", "w+", KEYS, (total,))
    signatures = np.lib.format.open_memmap(scratch / "signatures.npy", "w+", np.uint32, (total, minhash.functions))
    done = 0
    for batch, signed in ordered_map(partial(_sign, minhash=minhash), batches(documents), processes):
        if isinstance(signed, Failure):
            raise RuntimeError(f"a process died while it signed {batch[0].url} and the {len(batch) - 1} after it")
        keys[done : done + len(batch)], signatures[done : done + len(batch)] = signed
        done += len(batch)
        show(done, total, "signing")
    return keys, signatures


def _sign(batch: list[Document], minhash: MinHash) -> tuple[NDArray, Signatures]:
    keys = np.zeros(len(batch), KEYS)
    for row, document in zip(keys, batch, strict=True):
        for field, value in (("id", document.id), ("text", document.text)):
            row[field] = np.frombuffer(xxhash.xxh3_128_digest(value.encode()), "<u8")
        row["bytes"] = document.bytes
    return keys, np.stack([minhash.signature(document.text) for document in batch])


def _urls(documents: Path, wanted: set[int]) -> dict[int, str]:
    return {index: document.url for index, document in enumerate(read_documents(documents)) if index in wanted}
