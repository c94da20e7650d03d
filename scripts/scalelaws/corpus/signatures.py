"""Keys and signatures of a corpus's documents as files, so that other corpora can be compared with it unread."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalelaws.corpus.documents import Digest
from scalelaws.corpus.duplicates import KEYS
from scalelaws.corpus.minhash import MinHash, Signatures
from scalelaws.corpus.ngrams import Hashes
from scalelaws.errors import InputError
from scalelaws.io import read_json, write_json

BLOCK = 1 << 14
"""Documents copied at a time."""


@dataclass(frozen=True)
class Signed:
    """The keys (documents,) and signatures (documents, functions) of a corpus, memory-mapped."""

    keys: NDArray
    signatures: Signatures

    @property
    def count(self) -> int:
        """How many documents there are."""
        return len(self.keys)


class SignatureFiles:
    """Room on disk for the keys, signatures and band keys of a known number of documents, filled in their order."""

    def __init__(self, folder: Path, minhash: MinHash, documents: int) -> None:
        self.minhash = minhash
        self.keys = _new(folder / "keys.npy", KEYS, (documents,))
        self.signatures = _new(folder / "signatures.npy", np.dtype(np.uint32), (documents, minhash.functions))
        self.bands: list[Hashes] = [
            _new(folder / f"band-{band}.npy", np.dtype(np.uint64), (documents,)) for band in range(minhash.bands)
        ]
        self._filled = 0

    def add(self, keys: NDArray, signatures: Signatures, bands: Hashes) -> None:
        """Put in the next documents."""
        place = slice(self._filled, self._filled + len(keys))
        self.keys[place], self.signatures[place] = keys, signatures
        for file, column in zip(self.bands, bands.T, strict=True):
            file[place] = column
        self._filled += len(keys)

    def copy(self, others: Signed) -> None:
        """Put in the documents of another corpus."""
        for start in range(0, others.count, BLOCK):
            signatures = others.signatures[start : start + BLOCK]
            self.add(others.keys[start : start + BLOCK], signatures, self.minhash.band_keys(signatures))

    def write_chosen(self, folder: Path, chosen: NDArray[np.int64], digest: Digest) -> None:
        """Write keys and signatures of some documents, and the digest of these, to a folder."""
        folder.mkdir()
        for name, values in (("keys", self.keys), ("signatures", self.signatures)):
            copy = _new(folder / f"{name}.npy", values.dtype, (len(chosen), *values.shape[1:]))
            for start in range(0, len(chosen), BLOCK):
                copy[start : start + BLOCK] = values[chosen[start : start + BLOCK]]
        write_json(folder / "minhash.json", asdict(self.minhash) | {"documents": str(digest)})


def open_signatures(folder: Path, minhash: MinHash) -> Signed:
    """What `write_chosen` wrote. Raises InputError if it was made with other settings."""
    found = read_json(folder / "minhash.json")
    for name, wanted in asdict(minhash).items():
        if found[name] != wanted and name != "threshold":
            problem = f"{name} is {wanted} here and {found[name]} in the training corpus"
            raise InputError("corpora: duplicates", problem, "Give all corpora the same ngram, bands and rows.")
    keys, signatures = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("keys", "signatures"))
    return Signed(keys, signatures)


def _new(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> NDArray:
    return np.lib.format.open_memmap(path, "w+", dtype, shape)
