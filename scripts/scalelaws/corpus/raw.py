"""What a source yields before extraction, and the streams it is read from."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from scalelaws.errors import InputError

LONGEST_WINDOW = 2**31
"""zstd archives of the web are packed with `--long`: the reader must allow their windows (2 GB at most)."""

Seen = Callable[[int], None]
"""Told how many bytes of a file, as it lies on the disk, were read."""

PYTHONS_OWN: dict[str, Callable[[BinaryIO], object]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
"""What reading a file raises that is not there, not what its name says, or cut short."""

PIECE = 4096
"""Bytes of zstd decompressed at a time: a block of 4 bytes can stand for 128 KiB, so a bomb takes 128 MiB at most."""


@dataclass(frozen=True)
class Raw:
    """One page or text as a source has it: HTML (bytes, or text that was decoded already) or plain text; of a pair its
    source and its `target`.

    `url_is_identity` is False where `url` only names a place in a file, so that the text is what identifies it. What
    was `refused`, for this reason, has neither.
    """

    url: str
    source: str
    html: bytes | str | None = None
    text: str | None = None
    target: str | None = None
    title: str = ""
    content_type: str = ""
    url_is_identity: bool = True
    refused: str = ""


class _Counted(io.FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, seen: Seen) -> None:
        super().__init__(path)
        self._seen = seen

    def readinto(self, buffer: Any) -> int:
        size = super().readinto(buffer)
        self._seen(size)
        return size

    def readall(self) -> bytes:
        content = super().readall()
        self._seen(len(content))
        return content


class _Zstd(io.RawIOBase):
    """Frames of zstd, decompressed. Unlike the library's reader it raises EOFError where the last one is cut short."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._library = zstandard.ZstdDecompressor(max_window_size=LONGEST_WINDOW)
        self._frame = self._library.decompressobj()
        self._started = False
        self._rest = b""
        self._ready = memoryview(b"")
        self._place = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._rest or self._packed.read(PIECE)
            if not data:
                if self._started:
                    raise EOFError("the last zstd frame is cut short")
                return 0
            self._ready = memoryview(self._frame.decompress(data))
            self._rest, self._started = self._frame.unused_data, not self._frame.eof
            if self._frame.eof:
                self._frame = self._library.decompressobj()
        target = memoryview(buffer)
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        self._place += size
        return size

    def tell(self) -> int:
        return self._place

    def close(self) -> None:
        self._packed.close()
        super().close()


def unseen(size: int) -> None:
    """A Seen that tells nobody."""


@contextmanager
def reading(path: Path, seen: Seen = unseen) -> Iterator[BinaryIO]:
    """A file's bytes, decompressed where its name ends in .gz, .bz2, .xz or .zst, streamed.

    Raises InputError where the file is not there, or cannot be read to its end. Whatever of UNREADABLE is raised within
    the block counts as the file's, so nothing else should be done there.
    """
    try:
        with ExitStack() as files:
            packed = files.enter_context(io.BufferedReader(_Counted(path, seen), 1 << 17))
            yield files.enter_context(_unpacked(path.suffix, packed))
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def _unpacked(suffix: str, packed: BinaryIO) -> BinaryIO:
    if suffix in PYTHONS_OWN:
        return cast(BinaryIO, PYTHONS_OWN[suffix](packed))
    return cast(BinaryIO, io.BufferedReader(_Zstd(packed), 1 << 20)) if suffix == ".zst" else packed


def unreadable(path: Path, error: Exception) -> InputError:
    """What to say of a file that cannot be read to its end."""
    if isinstance(error, FileNotFoundError):
        return InputError(str(path), "there is no such file", "Name an existing one, or leave it out.")
    problem = f"not readable ({' '.join(str(error).split())})"
    return InputError(str(path), problem, "It may be cut short: copy it again, or leave it out.")


def gzip_stream(packed: BinaryIO) -> BinaryIO:
    """The members of a gzip stream, unpacked. Raises EOFError where the last one is cut short."""
    return cast(BinaryIO, gzip.GzipFile(fileobj=packed))


def format_of(path: Path) -> str:
    """The suffix that says what a file holds, below its compression: `.jsonl` for pages.jsonl.zst."""
    return path.with_suffix("").suffix if path.suffix in (*PYTHONS_OWN, ".zst") else path.suffix
