"""Documents brought into the order of their ids, on disk: the same order, however they come."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scalelaws.corpus.documents import SCHEMA, Document

BYTES_PER_PART = 32 << 20
"""Text that is sorted in memory at a time."""
MOST_PARTS = 4096
BUFFERED_BYTES = 64 << 20
"""Text held back, over all parts together, before it is written."""

INDEXED = SCHEMA.append(pa.field("index", pa.int64()))


def in_order_of_id(
    numbered: Iterable[tuple[int, Document]], scratch: Path, text: int
) -> Iterator[tuple[int, Document]]:
    """The (number, document) pairs by the documents' ids, which are hexadecimal digits and differ.

    They go through files in `scratch`, cut by the ids' beginnings into parts of about 32 MB of the `text` bytes.
    """
    parts = min(1 + text // BYTES_PER_PART, MOST_PARTS)
    waiting: list[list[dict]] = [[] for _ in range(parts)]
    written = [0] * parts
    held = 0
    for number, document in numbered:
        waiting[int(document.id[:8], 16) * parts >> 32].append(asdict(document) | {"index": number})
        held += len(document.text)
        if held > BUFFERED_BYTES:
            _write(waiting, written, scratch)
            held = 0
    for part in range(parts):
        rows = waiting[part]
        for piece in range(written[part]):
            rows += pq.read_table(path := _path(scratch, part, piece)).to_pylist()
            path.unlink()
        for row in sorted(rows, key=lambda row: row["id"]):
            yield row.pop("index"), Document(**row)
        waiting[part] = []


def _write(waiting: list[list[dict]], written: list[int], scratch: Path) -> None:
    for part, rows in enumerate(waiting):
        if rows:
            table = pa.Table.from_pylist(rows, INDEXED)
            pq.write_table(table, _path(scratch, part, written[part]), compression="zstd")
            written[part] += 1
            rows.clear()


def _path(scratch: Path, part: int, piece: int) -> Path:
    return scratch / f"part-{part:04}-{piece:05}.parquet"
