"""The documents of a split as this stage reads them: a few at a time, in an order that only seed and ids decide."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scalelaws.errors import InputError

BATCH_DOCUMENTS = 256
"""Documents in memory at a time: some megabytes of web pages."""


@dataclass(frozen=True)
class Batch:
    """Some documents, in the order of the shards."""

    ids: list[str]
    texts: list[str]
    sizes: np.ndarray
    """(documents,) int64: UTF-8 bytes of each text."""


@dataclass(frozen=True)
class Ranking:
    """The documents of a folder in their seeded order."""

    order: np.ndarray
    """(documents,) int64: order[k] is the position, in the order of the shards, of the k-th document."""
    sizes: np.ndarray
    """(documents,) int64: UTF-8 bytes of each text, in the order of the shards."""


def batches(folder: str | Path) -> Iterator[Batch]:
    """The documents in a folder of parquet shards (columns id and text), some at a time.

    Raises InputError for a folder without shards and for a shard without these columns.
    """
    shards = sorted(Path(folder).glob("*.parquet"))
    if not shards:
        raise InputError(
            str(folder), "there are no documents (*.parquet) here", "Make the corpus first: rerun its rules."
        )
    for shard in shards:
        yield from _shard_batches(shard)


def seeded_order(ids: Iterable[str], seed: int, where: str) -> np.ndarray:
    """Positions of documents sorted by the hash of seed and id: (documents,) int64.

    However the documents are spread over shards, they come out in the same order; a corpus that grows keeps the order
    of the documents that it had. Raises InputError, naming `where`, if two documents share an id.
    """
    digests = bytearray()
    for name in ids:
        digests += hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest()
    keys = np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    ranked = keys[order]
    shared = int(np.all(ranked[1:] == ranked[:-1], axis=1).sum())
    if shared:
        raise InputError(where, f"{shared:,} documents have the id of another", "Give every document its own id.")
    return order


def ranking(folder: str | Path, seed: int) -> Ranking:
    """The seeded order of the documents in a folder, and their sizes. Holds less than 100 bytes a document in memory.

    Raises InputError if there are none.
    """
    sizes: list[np.ndarray] = []

    def ids() -> Iterator[str]:
        for batch in batches(folder):
            sizes.append(batch.sizes)
            yield from batch.ids

    order = seeded_order(ids(), seed, str(folder))
    if not len(order):
        raise InputError(str(folder), "all shards are empty", "Look at the corpus card for what removed its documents.")
    return Ranking(order, np.concatenate(sizes))


def sample(folder: str | Path, seed: int, limit: int) -> tuple[int, Iterator[list[str]]]:
    """The first documents in seeded order that together have at most `limit` bytes: their bytes, and their texts.

    The texts come batch by batch in the order of the shards, so that nothing has to be held. Raises InputError if not
    even the first document fits.
    """
    ranked = ranking(folder, seed)
    sums = np.cumsum(ranked.sizes[ranked.order])
    taken = int(np.searchsorted(sums, limit, side="right"))
    if not taken:
        problem = f"no document fits into a sample of {limit:,} bytes"
        raise InputError("config: tokenizer.sample_bytes", problem, f"Raise it, or look into {folder}.")
    chosen = np.zeros(len(ranked.order), bool)
    chosen[ranked.order[:taken]] = True
    return int(sums[taken - 1]), _chosen_texts(folder, chosen)


def _chosen_texts(folder: str | Path, chosen: np.ndarray) -> Iterator[list[str]]:
    position = 0
    for batch in batches(folder):
        yield [batch.texts[i] for i in np.flatnonzero(chosen[position : position + len(batch.texts)])]
        position += len(batch.texts)


def _shard_batches(shard: Path) -> Iterator[Batch]:
    remedy = "Make the corpus again: rerun its rules."
    try:
        with pq.ParquetFile(shard, page_checksum_verification=True) as file:
            missing = {"id", "text"} - set(file.schema_arrow.names)
            if missing:
                raise InputError(str(shard), f"the column '{min(missing)}' is missing", remedy)
            for rows in file.iter_batches(BATCH_DOCUMENTS, columns=["id", "text"]):
                if rows["text"].null_count:
                    raise InputError(str(shard), "a document has no text", remedy)
                sizes = pc.binary_length(rows["text"]).to_numpy().astype(np.int64)
                yield Batch(rows["id"].to_pylist(), rows["text"].to_pylist(), sizes)
    except (pa.ArrowException, OSError) as error:
        raise InputError(str(shard), f"not readable as parquet ({error})", remedy) from None
