"""Documents brought into the order of their ids, on disk: the same order, however they come."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import zstandard

from scalelaws.corpus.documents import Document

BYTES_PER_PART = 16 << 20
"""Text that is sorted in memory at a time."""
MOST_PARTS = 4096
BUFFERED_BYTES = 16 << 20
"""Text held back, over all parts together, before it is written."""


def in_order_of_id(
    numbered: Iterable[tuple[int, Document]], scratch: Path, text: int
) -> Iterator[tuple[int, Document]]:
    """The (number, document) pairs by the documents' ids, which are hexadecimal digits and differ.

    They go through files in `scratch`, one for each part of the ids' beginnings, of about 16 MB of the `text` bytes.
    """
    parts = min(1 + text // BYTES_PER_PART, MOST_PARTS)
    waiting: list[list[dict]] = [[] for _ in range(parts)]
    held = 0
    for number, document in numbered:
        waiting[int(document.id[:8], 16) * parts >> 32].append(asdict(document) | {"index": number})
        held += len(document.text)
        if held > BUFFERED_BYTES:
            _append(waiting, scratch)
            held = 0
    for part in range(parts):
        path = _path(scratch, part)
        rows = [*_rows(path), *waiting[part]]
        path.unlink(missing_ok=True)
        for row in sorted(rows, key=lambda row: row["id"]):
            yield row.pop("index"), Document(**row)
        waiting[part] = []


def _append(waiting: list[list[dict]], scratch: Path) -> None:
    for part, rows in enumerate(waiting):
        if rows:
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            with _path(scratch, part).open("ab") as file:
                file.write(zstandard.compress(lines.encode()))
            rows.clear()


def _rows(path: Path) -> Iterator[dict]:
    if path.exists():
        with zstandard.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            yield from map(json.loads, lines)


def _path(scratch: Path, part: int) -> Path:
    return scratch / f"{part:04}.jsonl.zst"
