"""What a source yields before extraction, and the streams it is read from."""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

LONGEST_WINDOW = 2**31
"""zstd archives of the web are packed with `--long`: the reader must allow their windows (2 GB at most)."""


@dataclass(frozen=True)
class Raw:
    """One page or text as a source has it: HTML (bytes, or text that was decoded already) or plain text.

    `url_is_identity` is False where `url` only names a place in a file, so that the text is what identifies it.
    """

    url: str
    source: str
    html: bytes | str | None = None
    text: str | None = None
    title: str = ""
    content_type: str = ""
    url_is_identity: bool = True


def open_stream(path: Path) -> BinaryIO:
    """A file's bytes, decompressed where its name ends in .gz or .zst, streamed."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix == ".zst":
        reader = zstandard.ZstdDecompressor(max_window_size=LONGEST_WINDOW)
        return cast(
            BinaryIO, io.BufferedReader(reader.stream_reader(path.open("rb"), read_across_frames=True), 1 << 20)
        )
    return path.open("rb")


def format_of(path: Path) -> str:
    """The suffix that says what a file holds, below its compression: `.jsonl` for pages.jsonl.zst."""
    return path.with_suffix("").suffix if path.suffix in (".gz", ".zst") else path.suffix
