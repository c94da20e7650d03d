"""Keys, signatures and band keys of documents as files: what duplicates are told from, without a text being read."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalelaws.corpus.documents import Digest
from scalelaws.corpus.minhash import MinHash, Signatures
from scalelaws.corpus.ngrams import Hashes
from scalelaws.errors import InputError
from scalelaws.io import read_json, write_json

KEYS = np.dtype([("id", "<u8", 2), ("text", "<u8", 2), ("bytes", "<i8"), ("rest", "<u8")])
"""What identifies a document: 128-bit hashes of its id and of its text, its length, and a hash of all the rest."""

BLOCK = 1 << 14
"""Documents copied at a time."""
READ = 1 << 20
"""Rows looked through at a time."""


class Rows:
    """Arrays that stand in several files as if they were one, of which only what is asked for is read."""

    def __init__(self, arrays: Sequence[NDArray]) -> None:
        self.arrays = arrays
        self._starts = np.cumsum([0, *map(len, arrays)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, places: NDArray[np.int64]) -> NDArray:
        if len(self.arrays) == 1:
            return self.arrays[0][places]
        array = np.searchsorted(self._starts, places, side="right") - 1
        found = np.empty((len(places), *self.arrays[0].shape[1:]), self.arrays[0].dtype)
        for number in np.unique(array):
            chosen = array == number
            found[chosen] = self.arrays[number][places[chosen] - self._starts[number]]
        return found

    def blocks(self, field: str | None = None) -> Iterator[tuple[int, NDArray]]:
        """All rows, or the first number of a field of theirs, in pieces of READ: where each begins, and the piece."""
        for first, array in zip(self._starts.tolist(), self.arrays, strict=False):
            for start in range(0, len(array), READ):
                piece = array[start : start + READ]
                yield first + start, piece if field is None else piece[field][:, 0]


@dataclass(frozen=True)
class Signed:
    """Documents as they are compared: keys (documents,), signatures (documents, functions), of each band the keys
    (documents,). The first `fixed` are another corpus's."""

    keys: Rows
    signatures: Rows
    bands: Sequence[Rows]
    fixed: int = 0

    def write_chosen(self, folder: Path, chosen: NDArray[np.int64], minhash: MinHash, digest: Digest) -> None:
        """Write what is known of some documents, and the digest of these, to a folder."""
        files = SignatureFiles(folder, minhash, len(chosen))
        for start in range(0, len(chosen), BLOCK):
            signatures = self.signatures[places := chosen[start : start + BLOCK]]
            files.add(self.keys[places], signatures, minhash.band_keys(signatures))
        files.close(digest)


class SignatureFiles:
    """A folder of the keys, signatures and band keys of a known number of documents, filled in their order."""

    def __init__(self, folder: Path, minhash: MinHash, documents: int) -> None:
        folder.mkdir()
        self._folder, self._minhash, self._filled = folder, minhash, 0
        self._keys = _new(folder / "keys.npy", KEYS, (documents,))
        self._signatures = _new(folder / "signatures.npy", np.dtype(np.uint32), (documents, minhash.functions))
        self._bands = [_new(folder / _band(n), np.dtype(np.uint64), (documents,)) for n in range(minhash.bands)]

    def add(self, keys: NDArray, signatures: Signatures, bands: Hashes) -> None:
        """Put in the next documents."""
        place = slice(self._filled, self._filled + len(keys))
        self._keys[place], self._signatures[place] = keys, signatures
        for file, column in zip(self._bands, bands.T, strict=True):
            file[place] = column
        self._filled += len(keys)

    def close(self, digest: Digest) -> None:
        """Say whose signatures these are, and how they were made."""
        write_json(self._folder / "minhash.json", asdict(self._minhash) | {"documents": str(digest)})


def open_signatures(folders: Sequence[Path], minhash: MinHash, training: Path | None = None) -> Signed:
    """The documents of some folders one after the other, those of the training corpus's, if given, before them.

    Raises InputError if that one's were made with other settings.
    """
    if training:
        found = read_json(training / "minhash.json")
        for name, wanted in asdict(minhash).items():
            if found[name] != wanted and name != "threshold":
                problem = f"{name} is {wanted} here and {found[name]} in the training corpus"
                raise InputError("corpora: duplicates", problem, "Give all corpora the same ngram, bands and rows.")
    every = [*([training] if training else []), *folders]
    keys, signatures, *bands = (
        Rows([np.load(folder / name, mmap_mode="r") for folder in every])
        for name in ("keys.npy", "signatures.npy", *map(_band, range(minhash.bands)))
    )
    return Signed(keys, signatures, bands, len(keys.arrays[0]) if training else 0)


def signed_digest(folder: Path) -> str:
    """The digest of the documents whose signatures are in a folder."""
    return str(read_json(folder / "minhash.json")["documents"])


def _band(number: int) -> str:
    return f"band-{number}.npy"


def _new(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> NDArray:
    return np.lib.format.open_memmap(path, "w+", dtype, shape)
