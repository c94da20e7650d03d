"""A corpus's documents mixed by weight: in every prefix of the order each source has its share of the tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from scalelaws.errors import InputError


def source_numbers(folder: str | Path) -> np.ndarray:
    """The number, from 0, of the source that each document in a folder of parquet shards came from: (documents,) int64.

    Read from the column source, which ends in it, counted from 1. Raises InputError where it does not.
    """
    numbers: list[int] = []
    for shard in sorted(Path(folder).glob("*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(4096, columns=["source"]):
            names = batch["source"].dictionary_encode()
            ends = [str(name).rpartition(" ")[2] for name in names.dictionary.to_pylist()]
            if not all(map(str.isdigit, ends)):
                problem = "the column source does not end in the number of a source"
                raise InputError(str(shard), problem, "Make the corpus again: rerun its rules.")
            numbers += np.array([int(end) - 1 for end in ends], np.int64)[np.from_dlpack(names.indices)].tolist()
    return np.array(numbers, np.int64)


def mixed_order(order: np.ndarray, lengths: np.ndarray, sources: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """The documents of a seeded order, (documents,), in the order in which the sources are mixed: (chosen,) int64.

    `lengths` and `sources` are the tokens and the source of each document. Each source keeps its own order. Up to any
    document, each has had its share of the tokens to within half a document; the order ends where the first source has
    no more. Raises InputError if a weight has no source or a source no weight.
    """
    missing = sorted({*range(len(weights))} ^ {*np.unique(sources).tolist()})
    if missing:
        problem = f"{len(weights)} weights, but source {missing[0] + 1} has no documents or no weight"
        raise InputError("config: corpora: mixture", problem, "Give one weight for each source that has documents.")
    places = np.empty(len(order))
    ends = []
    for source, weight in enumerate(weights):
        members = np.flatnonzero(sources[order] == source)
        sums = np.cumsum(lengths[order[members]])
        places[members] = (sums - lengths[order[members]] / 2) / weight
        ends.append(sums[-1] / weight)
    mixed = np.argsort(places, kind="stable")
    return order[mixed[: np.searchsorted(places[mixed], min(ends))]]


def shares(
    order: np.ndarray, lengths: np.ndarray, sources: np.ndarray, weights: Sequence[float]
) -> list[dict[str, Any]]:
    """Weight, documents and tokens of each source in a mixed order."""
    chosen = sources[order]
    return [
        {
            "weight": weight,
            "documents": int((chosen == source).sum()),
            "tokens": int(lengths[order[chosen == source]].sum()),
        }
        for source, weight in enumerate(weights)
    ]
