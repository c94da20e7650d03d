"""Token files: the ids of a corpus's documents, one after the other, memory-mapped, with a JSON sidecar beside them.

A pair of texts is one document: the ids of its source, the separator, those of its target. All count as tokens.
"""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scalelaws.errors import InputError

CHECKED_DOCUMENTS = 1000
"""Documents whose ends are read when a file is opened; enough to see a shifted or overwritten file, at no cost."""
PIECE_BYTES = 1 << 24
"""The sidecar holds a checksum of each piece of this length, so that a run need not read more than it trains on."""


@dataclass(frozen=True)
class TokenFile:
    """One opened token file. The arrays are read-only and memory-mapped: nothing is read before it is used."""

    path: Path
    """The JSON sidecar."""
    ids: np.ndarray
    """(tokens,) uint16 or uint32; every document is followed by `end_of_document`."""
    offsets: np.ndarray
    """(documents + 1,) int64; document i is ids[offsets[i]:offsets[i + 1]], its end id included."""
    tokens: int
    documents: int
    bytes: int
    """UTF-8 bytes of the text that the ids stand for."""
    vocabulary: int
    end_of_document: int
    tokenizer: str
    """Digest of the tokenizer.json that made the ids."""
    checksums: list[int]
    """CRC-32 of each PIECE_BYTES of the ids."""
    separator: int | None = None
    """Between the source and the target of a pair; None where the tokenizer has none."""

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text per id, end-of-document ids counted: turns nats per token into bits per byte."""
        return self.bytes / self.tokens


def id_dtype(vocabulary: int) -> np.dtype:
    """The little-endian type of ids: uint16 as long as every id fits (the largest is vocabulary - 1), else uint32."""
    return np.dtype("<u2" if vocabulary <= 1 << 16 else "<u4")


def token_paths(path: str | Path) -> dict[str, Path]:
    """The files "ids", "offsets" and "sidecar" of the token file that `path` names, with or without its .json."""
    stem = str(path).removesuffix(".json")
    return {
        name: Path(f"{stem}.{end}") for name, end in (("ids", "bin"), ("offsets", "offsets.npy"), ("sidecar", "json"))
    }


def open_tokens(path: str | Path) -> TokenFile:
    """The token file with this sidecar (the ending .json may be left out), checked against what the sidecar says.

    Reads the sidecar, the offsets and the ends of at most 1,000 documents. Raises InputError for a file that is
    missing, cut short, or does not fit its sidecar.
    """
    paths = token_paths(path)
    sidecar = _sidecar(paths["sidecar"])
    tokens, documents, vocabulary = sidecar["tokens"], sidecar["documents"], sidecar["vocabulary"]
    dtype = id_dtype(vocabulary)
    _expect_size(paths["ids"], tokens * dtype.itemsize, f"{tokens:,} {dtype.name} ids")
    ids = np.asarray(np.memmap(paths["ids"], dtype=dtype, mode="r", shape=(tokens,)))
    file = TokenFile(
        path=paths["sidecar"],
        ids=ids,
        offsets=_offsets(paths["offsets"], documents),
        tokens=tokens,
        documents=documents,
        bytes=sidecar["bytes"],
        vocabulary=vocabulary,
        end_of_document=sidecar["end_of_document"],
        tokenizer=sidecar["tokenizer"],
        checksums=sidecar["checksums"],
        separator=sidecar.get("separator"),
    )
    _check_ends(file, paths["ids"])
    return file


class Checksums:
    """Checksums of what is written piece by piece, whatever the lengths in which it comes."""

    def __init__(self) -> None:
        self._finished: list[int] = []
        self._current = self._length = 0

    def update(self, content: bytes) -> None:
        """Take what was written next."""
        rest = memoryview(content)
        while rest:
            part = rest[: PIECE_BYTES - self._length]
            self._current = zlib.crc32(part, self._current)
            self._length += len(part)
            rest = rest[len(part) :]
            if self._length == PIECE_BYTES:
                self._finished.append(self._current)
                self._current = self._length = 0

    def all(self) -> list[int]:
        """Those of all pieces, the last of which may be shorter."""
        return [*self._finished, self._current] if self._length else list(self._finished)


def check_ids(file: TokenFile, end: int, start: int = 0) -> None:
    """Raise InputError if any piece of the file with one of its ids from `start` to `end` is not as it was written.

    Reads those pieces once, 16 MiB in memory at a time.
    """
    path = token_paths(file.path)["ids"]
    first, last = start * file.ids.itemsize // PIECE_BYTES, -(-end * file.ids.itemsize // PIECE_BYTES)
    with path.open("rb") as ids:
        ids.seek(first * PIECE_BYTES)
        for number, expected in enumerate(file.checksums[first:last], first):
            if zlib.crc32(ids.read(PIECE_BYTES)) != expected:
                start = number * PIECE_BYTES // file.ids.itemsize
                raise _broken(path, f"damaged since it was written, at its ids from {start:,} on")


def _sidecar(path: Path) -> dict[str, Any]:
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        numbers = [int(sidecar[key]) for key in ("tokens", "documents", "bytes", "vocabulary", "end_of_document")]
    except FileNotFoundError:
        raise _broken(path, "there is no such token file") from None
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(path, f"not a token file's sidecar ({error!r})") from None
    if min(numbers[:3]) < 1 or "tokenizer" not in sidecar:
        raise _broken(path, "it describes no tokens")
    pieces = -(-sidecar["tokens"] * id_dtype(sidecar["vocabulary"]).itemsize // PIECE_BYTES)
    if len(sidecar.get("checksums", ())) != pieces:
        raise _broken(path, f"it has not the {pieces:,} checksums of its ids")
    return sidecar


def _offsets(path: Path, documents: int) -> np.ndarray:
    if not path.is_file():
        raise _broken(path, "the document offsets are missing")
    try:
        offsets = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise _broken(path, f"not readable as an array ({error})") from None
    if offsets.shape != (documents + 1,) or offsets.dtype != np.int64:
        raise _broken(path, f"expected {documents + 1:,} int64 offsets, found {offsets.shape} {offsets.dtype}")
    return np.asarray(offsets)


def _expect_size(path: Path, expected: int, content: str) -> None:
    if not path.is_file():
        raise _broken(path, "the ids are missing")
    size = path.stat().st_size
    if size != expected:
        raise _broken(path, f"{size:,} bytes, but its sidecar promises {content} in {expected:,} bytes")


def _check_ends(file: TokenFile, ids_path: Path) -> None:
    offsets = file.offsets
    if offsets[0] != 0 or offsets[-1] != file.tokens or np.any(np.diff(offsets) < 1):
        raise _broken(file.path, "the document offsets do not cover the ids in order")
    chosen = np.unique(np.linspace(1, file.documents, min(file.documents, CHECKED_DOCUMENTS)).astype(np.int64))
    ends = file.ids[offsets[chosen] - 1]
    if np.any(ends != file.end_of_document):
        wrong = int(chosen[np.flatnonzero(ends != file.end_of_document)[0]])
        raise _broken(ids_path, f"document {wrong} does not end with the end-of-document id {file.end_of_document}")


def _broken(path: Path, problem: str) -> InputError:
    return InputError(str(path), problem, "Make it again: rerun the rule encode (snakemake --forcerun encode).")
