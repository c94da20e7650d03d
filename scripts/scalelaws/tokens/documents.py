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
    column: pa.StringArray
    """The texts as Arrow holds them."""
    sizes: np.ndarray
    """(documents,) int64: UTF-8 bytes of each text."""

    @property
    def texts(self) -> list[str]:
        """The texts, decoded."""
        return list(self.column.to_pylist())


def batches(folder: str | Path) -> Iterator[Batch]:
    """The documents in a folder of parquet shards (columns id and text), some at a time.

    Raises InputError for a folder without shards and for a shard without these columns.
    """
    for shard in _shards(folder):
        yield from _shard_batches(shard)


def order_of(folder: str | Path, seed: int) -> np.ndarray:
    """The seeded order of the documents in a folder, as positions in the order of the shards: (documents,) int64.

    Reads their ids alone. Raises InputError if there are none, or two share an id.
    """
    ids = (name for shard in _shards(folder) for rows in _rows(shard, "id") for name in rows["id"].to_pylist())
    order = seeded_order(ids, seed, str(folder))
    if not len(order):
        raise InputError(str(folder), "all shards are empty", "Look at the corpus card for what removed its documents.")
    return order


def text_bytes(folder: str | Path) -> int:
    """About how many bytes the texts in a folder have, from the footers of its shards."""
    columns = (
        metadata.row_group(group).column(metadata.schema.names.index("text"))
        for metadata in map(pq.read_metadata, _shards(folder))
        for group in range(metadata.num_row_groups)
    )
    return sum(column.total_uncompressed_size for column in columns)


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


def sample(folder: str | Path, seed: int, limit: int) -> tuple[int, Iterator[list[str]]]:
    """The first documents in seeded order that together have at most `limit` bytes: their bytes, and their texts.

    The texts come batch by batch in the order of the shards, so that nothing has to be held. Raises InputError if not
    even the first document fits.
    """
    order = order_of(folder, seed)
    sizes = np.concatenate([batch.sizes for batch in batches(folder)])
    sums = np.cumsum(sizes[order])
    taken = int(np.searchsorted(sums, limit, side="right"))
    if not taken:
        problem = f"no document fits into a sample of {limit:,} bytes"
        raise InputError("config: tokenizer.sample_bytes", problem, f"Raise it, or look into {folder}.")
    chosen = np.zeros(len(order), bool)
    chosen[order[:taken]] = True
    return int(sums[taken - 1]), _chosen_texts(folder, chosen)


def _chosen_texts(folder: str | Path, chosen: np.ndarray) -> Iterator[list[str]]:
    position = 0
    for batch in batches(folder):
        here = chosen[position : position + len(batch.ids)]
        yield [text for text, wanted in zip(batch.texts, here, strict=True) if wanted]
        position += len(batch.ids)


def _shards(folder: str | Path) -> list[Path]:
    shards = sorted(Path(folder).glob("*.parquet"))
    if not shards:
        raise InputError(
            str(folder), "there are no documents (*.parquet) here", "Make the corpus first: rerun its rules."
        )
    return shards


def _shard_batches(shard: Path) -> Iterator[Batch]:
    for rows in _rows(shard, "id", "text"):
        # Arrow's own to_numpy imports pandas, which takes half a second.
        sizes = np.from_dlpack(pc.binary_length(rows["text"])).astype(np.int64)
        yield Batch(rows["id"].to_pylist(), rows["text"], sizes)


def _rows(shard: Path, *columns: str) -> Iterator[pa.RecordBatch]:
    """Some columns of a shard, a few documents at a time."""
    remedy = "Make the corpus again: rerun its rules."
    try:
        with pq.ParquetFile(shard, page_checksum_verification=True) as file:
            missing = {"id", "text"} - set(file.schema_arrow.names)
            if missing:
                raise InputError(str(shard), f"the column '{min(missing)}' is missing", remedy)
            for rows in file.iter_batches(BATCH_DOCUMENTS, columns=columns):
                if any(column.null_count for column in rows.columns):
                    raise InputError(str(shard), "a document has no id or no text", remedy)
                yield rows
    except (pa.ArrowException, OSError) as error:
        raise InputError(str(shard), f"not readable as parquet ({error})", remedy) from None
