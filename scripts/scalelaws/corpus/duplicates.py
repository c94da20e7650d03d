"""Which documents are duplicates, told from their keys and signatures on disk.

In rounds, each over what the ones before have left: equal texts, other versions of one page, near-duplicates. A round
falls into parts by a hash that equal ones share, so that each part may be a job of its own; in memory are the hashes of
one part, and of every duplicate a few numbers.

The first `fixed` documents belong to another corpus: they are never removed, and win over every other. Among the rest
the longest of a group survives, ties by id, text and the rest, so that who survives depends on the documents and not on
their order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scalelaws.corpus.minhash import MinHash
from scalelaws.corpus.parts import WHOLE, Part
from scalelaws.corpus.settings import ROUNDS
from scalelaws.corpus.signatures import Rows, Signed
from scalelaws.corpus.spool import part_of

REASONS = {"text": "exact_duplicate", "id": "same_page", "near": "near_duplicate"}
IN_TRAINING = "in_training_corpus"
PAIR = np.dtype([("one", "<i8"), ("other", "<i8")])
"""Two documents by their places. Of the rounds of equal ones: who is lost, to whom; of near ones: who are joined."""
PART = 1 << 24
"""Documents whose hashes are sorted at a time."""
ALL_PAIRS = 64
ANCHORS = 64
COMPARED = 4096
"""In a bucket up to ALL_PAIRS documents each pair is compared; in a larger one the first ANCHORS with all others."""


@dataclass(frozen=True)
class Lost:
    """The duplicates among some documents, by their places: (duplicates,) int64, ascending, and to whom each is lost.

    `round` is the number of the one, of ROUNDS, that found each.
    """

    places: NDArray[np.int64]
    survivors: NDArray[np.int64]
    round: NDArray[np.int8]


def pairs_of(name: str, signed: Signed, gone: NDArray[np.int64], minhash: MinHash, part: Part = WHOLE) -> NDArray:
    """What a round finds in one part of the hashes: (pairs,) of PAIR. `gone`: who is lost already, ascending."""
    if name == "near":
        return _as_pairs(_near(signed, gone, minhash, part))
    return _as_pairs(_equal(signed, name, gone, part))


def lost_of(found: Sequence[NDArray], signed: Signed) -> Lost:
    """Who is lost, and to whom in the end, of the pairs that each of the first rounds has found, all parts together."""
    rounds = [
        _of_components(pairs, signed) if name == "near" else pairs for name, pairs in zip(ROUNDS, found, strict=False)
    ]
    number = np.repeat(np.arange(len(rounds), dtype=np.int8), [len(pairs) for pairs in rounds])
    pairs = np.concatenate([np.empty(0, PAIR), *rounds])
    order = np.argsort(pairs["one"])
    places, survivors = pairs["one"][order], pairs["other"][order].copy()
    while len(places):  # who lost to one that lost in turn follows it
        place = np.searchsorted(places, survivors).clip(max=len(places) - 1)
        follows = places[place] == survivors
        if not follows.any():
            break
        survivors[follows] = survivors[place[follows]]
    return Lost(places, survivors, number[order])


def worth_order(members: NDArray[np.int64], signed: Signed) -> NDArray[np.int64]:
    """The members, the one that is to survive first."""
    return members[np.lexsort(_worth(members, signed))]


def _worth(members: NDArray[np.int64], signed: Signed) -> tuple[NDArray, ...]:
    rows = signed.keys[members]
    return rows["rest"], *rows["text"].T, *rows["id"].T, -rows["bytes"], members >= signed.fixed


def _equal(signed: Signed, field: str, gone: NDArray[np.int64], part: Part) -> Iterator[tuple[int, int]]:
    """Every document whose field is that of a better one, and the best of these."""
    for bucket in _buckets(signed.keys, field, gone, part):
        _, number = np.unique(signed.keys[bucket][field], axis=0, return_inverse=True)
        for group in range(number.max() + 1):
            best, *others = worth_order(bucket[number == group], signed).tolist()
            yield from ((other, best) for other in others if other >= signed.fixed)


def _near(signed: Signed, gone: NDArray[np.int64], minhash: MinHash, part: Part) -> Iterator[tuple[int, int]]:
    """Pairs that join the near-duplicates of this part: of each group as many as it takes."""
    parent: dict[int, int] = {}

    def root(place: int) -> int:
        while (above := parent.get(place, place)) != place:
            parent[place] = place = parent.get(above, above)
        return place

    for band in signed.bands:
        for bucket in _buckets(band, None, gone, part):
            if bucket[-1] < signed.fixed or len({root(place) for place in bucket.tolist()}) == 1:
                continue
            for pair in near_pairs(worth_order(bucket, signed), signed, minhash.threshold, root):
                one, other = map(root, pair)
                if one != other:
                    parent[other] = one
                    yield pair


def near_pairs(
    bucket: NDArray[np.int64], signed: Signed, threshold: float, root: Callable[[int], int]
) -> Iterator[tuple[int, int]]:
    """Pairs in a bucket, given in the order of worth, that are near-duplicates; not those of another corpus.

    Some thousand documents are looked at at a time, and none any more once all have one `root`: whoever takes the pairs
    gives the documents of each one root.
    """
    anchors = len(bucket) - 1 if len(bucket) <= ALL_PAIRS else ANCHORS
    leaders = signed.signatures[bucket[:anchors]]
    first_own = int(np.searchsorted(bucket >= signed.fixed, True))
    for place in range(anchors):
        found = False
        for start in range(max(place + 1, first_own), len(bucket), COMPARED):
            others = bucket[start : start + COMPARED]
            similarity = (signed.signatures[others] == leaders[place]).mean(axis=1)
            for other in others[similarity >= threshold].tolist():
                found = True
                yield int(bucket[place]), other
        if found and all(root(member) == root(int(bucket[0])) for member in bucket.tolist()):
            return


def _of_components(pairs: NDArray, signed: Signed) -> NDArray:
    """Of pairs that are joined, (pairs,) of PAIR, every document but the best of its component, and that one."""
    if not len(pairs):
        return pairs
    members, ends = np.unique(np.stack([pairs["one"], pairs["other"]]), return_inverse=True)
    graph = coo_array((np.ones(len(pairs), bool), ends.reshape(2, -1)), shape=(len(members), len(members)))
    _, component = connected_components(graph, directed=False)
    order = np.lexsort((*_worth(members, signed), component))
    first = np.r_[True, np.diff(component[order]) > 0]
    best = members[order[first]][component[order]]
    lost = ~first & (members[order] >= signed.fixed)
    return _as_pairs(zip(members[order[lost]].tolist(), best[lost].tolist(), strict=True))


def _buckets(rows: Rows, field: str | None, gone: NDArray[np.int64], part: Part) -> Iterator[NDArray[np.int64]]:
    """Places, ascending, of documents with equal hashes, where two or more are left, as many as PART sorted at a time.

    The hashes are the rows, or the first number of a field of theirs.
    """
    pieces = 1 + len(rows) // part.of // PART
    for piece in range(part.number * pieces, (part.number + 1) * pieces):
        places, hashes = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
        for start, block in rows.blocks(field):
            here = part_of(block, part.of * pieces) == piece
            within = gone[np.searchsorted(gone, start) : np.searchsorted(gone, start + len(block))]
            here[within - start] = False
            places.append(start + np.flatnonzero(here))
            hashes.append(block[here])
        members, keys = np.concatenate(places), np.concatenate(hashes)
        order = np.argsort(keys, kind="stable")
        members, keys = members[order], keys[order]
        bounds = np.flatnonzero(np.diff(keys)) + 1
        starts, ends = np.r_[0, bounds], np.r_[bounds, len(members)]
        for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
            yield members[start:end]


def _as_pairs(pairs: Iterator[tuple[int, int]]) -> NDArray:
    return np.fromiter(pairs, PAIR)
