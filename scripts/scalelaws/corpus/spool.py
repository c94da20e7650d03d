"""Records on disk, in parts that each fit in memory: equal keys come into the same part."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

MOST_PARTS = 256
"""Files that are open at a time."""


class Spool:
    """Takes records of one dtype and gives them back part by part, a part being a range of 64-bit keys."""

    def __init__(self, folder: Path, dtype: np.dtype, parts: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.dtype = dtype
        self.paths = [folder / f"{part:03}" for part in range(min(max(parts, 1), MOST_PARTS))]
        self._files = [path.open("wb") for path in self.paths]

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file, path in zip(self._files, self.paths, strict=True):
            file.close()
            path.unlink(missing_ok=True)

    def add(self, records: NDArray, keys: NDArray[np.uint64]) -> None:
        """Put records, (n,), into the parts that their keys, (n,), belong to."""
        part = part_of(keys, len(self.paths))
        order = np.argsort(part, kind="stable")
        bounds = np.searchsorted(part[order], np.arange(len(self.paths) + 1))
        ordered = np.ascontiguousarray(records[order])
        for file, start, end in zip(self._files, bounds[:-1], bounds[1:], strict=True):
            if end > start:
                file.write(ordered[start:end].tobytes())

    def parts(self) -> Iterator[NDArray]:
        """The records, one part at a time, each in the order in which they came."""
        for file, path in zip(self._files, self.paths, strict=True):
            file.flush()
            yield np.fromfile(path, self.dtype)


def part_of(keys: NDArray[np.uint64], parts: int) -> NDArray[np.int64]:
    """The part of each 64-bit key, by equal ranges of its upper half."""
    return ((keys >> np.uint64(32)) * np.uint64(parts) >> np.uint64(32)).astype(np.int64)
