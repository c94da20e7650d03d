"""Which documents are duplicates, told from keys and signatures on disk: equal ones first, then near ones band by band.

Documents before `fixed` belong to another corpus: they are never removed, and win over every other. Among the rest the
longest of a group survives, ties by id, text and the rest, so that who survives depends on the documents and not on
their order. About 50 bytes a document are in memory, whatever its length: a few numbers, and the keys of one band.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scalelaws.corpus.minhash import MinHash, Signatures
from scalelaws.corpus.ngrams import Hashes
from scalelaws.corpus.spool import part_of

KEYS = np.dtype([("id", "<u8", 2), ("text", "<u8", 2), ("bytes", "<i8"), ("rest", "<u8")])
"""What identifies a document: 128-bit hashes of its id and of its text, its length, and a hash of all the rest."""

REASONS = ("", "exact_duplicate", "same_page", "near_duplicate", "in_training_corpus")
PART = 1 << 22
"""Documents that are sorted at a time."""
ALL_PAIRS = 64
ANCHORS = 64
"""In a bucket up to ALL_PAIRS documents each pair is compared; in a larger one the first ANCHORS with all others."""


def duplicates(
    keys: NDArray, signatures: Signatures, bands: list[Hashes], minhash: MinHash, fixed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """For each document the index of its survivor, and the reason (index into REASONS; 0 for a survivor itself).

    `keys` is (documents,) of KEYS, `signatures` (documents, functions) and each of `bands` (documents,): all may be
    memory-mapped. The first `fixed` documents are another corpus's.
    """
    best = np.arange(len(keys))
    reason = np.zeros(len(keys), np.int8)
    for code, field in ((1, "text"), (2, "id")):
        for group in _groups(np.asarray(keys[field][:, 0]), reason == 0, keys, field, fixed):
            best[group[1:]], reason[group[1:]] = group[0], code
        reason[:fixed] = 0
    _join_near(keys, signatures, bands, minhash, fixed, best, reason)
    while not np.array_equal(best, following := best[best]):  # who lost to one that lost in turn follows it
        best = following
    reason[fixed:][best[fixed:] < fixed] = REASONS.index("in_training_corpus")
    return best, reason


def worth_order(members: NDArray[np.int64], keys: NDArray, fixed: int) -> NDArray[np.int64]:
    """The members, the one that is to survive first."""
    rows = keys[members]
    order = np.lexsort((rows["rest"], *rows["text"].T, *rows["id"].T, -rows["bytes"], members >= fixed))
    return members[order]


def _groups(
    hashes: Hashes, alive: NDArray[np.bool_], keys: NDArray, field: str, fixed: int
) -> Iterator[NDArray[np.int64]]:
    """Groups of documents whose field is equal, each in the order of worth."""
    for bucket in _buckets(hashes, alive):
        _, number = np.unique(keys[field][bucket], axis=0, return_inverse=True)
        for group in range(number.max() + 1):
            if (members := bucket[number == group]).size > 1:
                yield worth_order(members, keys, fixed)


def _buckets(hashes: Hashes, alive: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """Indices of documents with equal hashes, where there are two or more, one part of the hashes sorted at a time."""
    parts = 1 + len(hashes) // PART
    place = part_of(hashes, parts) if parts > 1 else np.zeros(len(hashes), np.int64)
    for part in range(parts):
        members = np.flatnonzero((place == part) & alive)
        members = members[np.argsort(hashes[members], kind="stable")]
        bounds = np.flatnonzero(np.diff(hashes[members])) + 1
        starts, ends = np.r_[0, bounds], np.r_[bounds, len(members)]
        for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
            yield members[start:end]


def _join_near(
    keys: NDArray,
    signatures: Signatures,
    bands: list[Hashes],
    minhash: MinHash,
    fixed: int,
    best: NDArray[np.int64],
    reason: NDArray[np.int8],
) -> None:
    """Join near-duplicates among the survivors so far into components (union-find), whose best member survives."""
    parent = np.arange(len(keys))
    alive = reason == 0

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = int(parent[index])
        return index

    for band in bands:
        for bucket in _buckets(np.asarray(band), alive):
            if bucket[-1] < fixed or len({root(index) for index in bucket.tolist()}) == 1:
                continue
            for one, other in near_pairs(worth_order(bucket, keys, fixed), signatures, minhash.threshold, fixed):
                if (a := root(one)) != (b := root(other)):
                    first, second = worth_order(np.array([a, b]), keys, fixed).tolist()
                    parent[second] = first
    roots = np.array([root(index) for index in range(len(keys))], np.int64)
    lost = alive & (roots != np.arange(len(keys)))
    lost[:fixed] = False
    best[lost], reason[lost] = roots[lost], REASONS.index("near_duplicate")


def near_pairs(
    bucket: NDArray[np.int64], signatures: Signatures, threshold: float, fixed: int
) -> Iterator[tuple[int, int]]:
    """Pairs in a bucket, given in the order of worth, that are near-duplicates; not those of another corpus."""
    anchors = len(bucket) - 1 if len(bucket) <= ALL_PAIRS else ANCHORS
    members = signatures[bucket]
    first_own = int(np.searchsorted(bucket >= fixed, True))
    for place in range(anchors):
        start = max(place + 1, first_own)
        similarity = (members[start:] == members[place]).mean(axis=1)
        for other in np.flatnonzero(similarity >= threshold):
            yield int(bucket[place]), int(bucket[start + other])
