"""Learning curves as event files that TensorBoard reads, written without TensorBoard.

An event file is a series of records: the length of the data (8 bytes, little-endian), its masked CRC-32C, the data, and
their masked CRC-32C (TensorFlow's record format). The data are protocol buffers (tensorflow/core/util/event.proto).
"""

import struct
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pandas as pd

from scalelaws.errors import InputError
from scalelaws.io import atomic_path, read_json

VERSION = b"brain.Event:2"
POLYNOMIAL = 0x82F63B78
"""Castagnoli's, its bits reversed."""
VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
"""Wire types of protocol buffers."""


def write_events(study: Path) -> list[Path]:
    """Write <study>/tensorboard/<run>/events.out.tfevents for every run that has finished; returns the files.

    A run that diverged before anything was measured has none.
    """
    records = sorted(study.glob("runs/[!.]*/run.json"))
    if not records:
        raise InputError(str(study), "holds no finished run", "Name a folder results/<study> with runs in it.")
    files = []
    for record in records:
        run = read_json(record)["run"]
        losses = pd.read_parquet(record.with_name("losses.parquet"))
        if losses.empty:
            continue
        path = study / "tensorboard" / record.parent.name / "events.out.tfevents"
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"".join(framed(event) for event in events(losses, run["seconds"] / run["steps"])))
        files.append(path)
    return files


def events(losses: pd.DataFrame, seconds_per_step: float) -> Iterator[bytes]:
    """The events of one run: loss/<corpus>/<split> and bits_per_byte/<corpus>/<split> by step, then by tokens.

    TensorBoard's wall time counts the seconds that the run had taken, as if all its steps took the same.
    """
    yield event(0.0, 0, VERSION)
    for step, rows in losses.sort_values("step").groupby("step"):
        values = [
            (f"{name}/{row.corpus}/{row.split}", float(getattr(row, name)))
            for row in rows.itertuples()
            for name in ("loss", "bits_per_byte")
            if not pd.isna(getattr(row, name))
        ]
        values += [(name, float(rows[name].iloc[0])) for name in ("tokens", "flops")]
        yield event(int(step) * seconds_per_step, int(step), values)


def event(wall_time: float, step: int, content: bytes | list[tuple[str, float]]) -> bytes:
    """An Event message: the file's version, or scalars by their tags."""
    head = _field(1, DOUBLE, struct.pack("<d", wall_time)) + (_field(2, VARINT, _varint(step)) if step else b"")
    if isinstance(content, bytes):
        return head + _sized(3, content)
    scalars = [_sized(1, tag.encode()) + _field(2, FLOAT, struct.pack("<f", value)) for tag, value in content]
    return head + _sized(5, b"".join(_sized(1, scalar) for scalar in scalars))


def framed(data: bytes) -> bytes:
    """One record of an event file."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def crc32c(data: Iterable[int]) -> int:
    """Castagnoli's cyclic redundancy check of bytes."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


def _masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _field(number: int, wire: int, content: bytes) -> bytes:
    return _varint(number << 3 | wire) + content


def _sized(number: int, content: bytes) -> bytes:
    return _field(number, BYTES, _varint(len(content)) + content)


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
