"""MinHash signatures of texts, and the documents that they make near-duplicates of each other.

Broder 1997 (signatures); Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, section 3.4 (bands).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalelaws.corpus.ngrams import Hashes, ngram_hashes, word_hashes

Signatures = NDArray[np.uint32]

BLOCK = 1024
"""n-grams hashed at a time, so that the work stays in the processor's cache."""
ALL_PAIRS = 64
ANCHORS = 64
"""In a bucket up to ALL_PAIRS documents each pair is compared; in a larger one the first ANCHORS with all others."""


@dataclass(frozen=True)
class MinHash:
    """Signatures of bands × rows hash functions drawn from `seed`, over the runs of `ngram` words of a text.

    Two texts whose n-gram sets have Jaccard similarity s become candidates with probability 1 - (1 - s^rows)^bands,
    and duplicates if the share of equal signature values, an unbiased estimate of s, reaches `threshold`.
    """

    ngram: int
    bands: int
    rows: int
    threshold: float
    seed: int

    @property
    def functions(self) -> int:
        """How many hash functions a signature has."""
        return self.bands * self.rows

    def signature(self, text: str) -> Signatures:
        """The signature of a text, uint32 of length bands × rows. Texts without words all have the same one."""
        grams = (ngram_hashes(word_hashes(text), self.ngram) >> np.uint64(32)).astype(np.uint32)
        factors, offsets = self._functions()
        least = np.full(self.functions, np.iinfo(np.uint32).max, np.uint32)
        for start in range(0, len(grams), BLOCK):
            hashed = grams[None, start : start + BLOCK] * factors
            hashed += offsets
            np.minimum(least, hashed.min(axis=1), out=least)
        return least

    def candidate_probability(self, similarity: float) -> float:
        """The S-curve: how likely two texts of this Jaccard similarity are compared at all."""
        return 1 - (1 - similarity**self.rows) ** self.bands

    def pairs(self, signatures: Signatures, rank: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Pairs of rows of `signatures` (documents × functions) that are near-duplicates, band by band.

        `rank` orders the documents by what they are, not by where they came from, so that the pairs that are compared
        in a large bucket do not depend on the order of the input. One band's keys are in memory at a time.
        """
        for band in range(self.bands):
            keys = _band_keys(signatures[:, band * self.rows : (band + 1) * self.rows])
            order = np.lexsort((rank, keys))
            bounds = np.flatnonzero(np.diff(keys[order])) + 1
            starts, ends = np.r_[0, bounds], np.r_[bounds, len(order)]
            for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
                yield from self._verified(signatures, order[start:end])

    def _verified(self, signatures: Signatures, bucket: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        anchors = len(bucket) - 1 if len(bucket) <= ALL_PAIRS else ANCHORS
        members = signatures[bucket]
        for place in range(anchors):
            similarity = (members[place + 1 :] == members[place]).mean(axis=1)
            for other in np.flatnonzero(similarity >= self.threshold):
                yield int(bucket[place]), int(bucket[place + 1 + other])

    def _functions(self) -> tuple[Signatures, Signatures]:
        """Odd factors and offsets: n-gram h takes the place factor · h + offset mod 2^32, a permutation for each pair.

        In 32 bits this runs eight times as fast as in 64 (90 against 11 MB of text a second).
        """
        draws = np.random.Generator(np.random.PCG64(self.seed)).integers(0, 2**32, (2, self.functions, 1), np.uint32)
        return draws[0] | np.uint32(1), draws[1]


def components(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """For each of `count` documents the smallest index that it is connected with by `pairs` (union-find)."""
    parent = np.arange(count)

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = int(parent[index])
        return index

    for one, other in pairs:
        a, b = root(one), root(other)
        parent[max(a, b)] = min(a, b)
    return np.array([root(index) for index in range(count)], np.int64)


def _band_keys(rows: Signatures) -> Hashes:
    """One 64-bit key per document from its values in a band."""
    keys = np.zeros(len(rows), np.uint64)
    with np.errstate(over="ignore"):
        for column in rows.T:
            keys = (keys ^ column) * np.uint64(0x9E3779B97F4A7C15)
            keys ^= keys >> np.uint64(29)
    return keys
