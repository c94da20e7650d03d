"""Which tokens each step sees: a pure function of subset, seed and step, so that resuming needs no state."""

from functools import lru_cache

import numpy as np

from scalelaws.training.targets import asked_for

Marks = tuple[int, int] | None
"""Of a stream of pairs, the ids before a target and at a document's end (Shape.marks)."""


def batch(
    ids: np.ndarray, step: int, batch_tokens: int, context: int, seed: int, marks: Marks = None
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of update `step` (1, 2, …): two int64 arrays (sequences, context).

    The subset is cut into sequences of `context` predictions; every epoch goes through all of them in a new seeded
    order, and a batch may end one epoch and begin the next. With `marks` only targets' tokens are to be predicted.
    """
    per_epoch = sequences_in(len(ids), context)
    count = batch_tokens // context
    first = (step - 1) * count
    places = np.arange(first, first + count)
    starts = np.empty(count, dtype=np.int64)
    for epoch in range(first // per_epoch, (first + count - 1) // per_epoch + 1):
        inside = places // per_epoch == epoch
        starts[inside] = _order(per_epoch, seed, epoch)[places[inside] % per_epoch] * context
    return sequences(ids, starts, context, marks)


def seen_starts(tokens: int, processed: int, count: int, context: int, seed: int) -> np.ndarray:
    """Where `count` of the sequences start, or all, that a run over so many tokens has seen after `processed` of them.

    They are spread evenly over what it has seen: (starts,) int64, ascending. After one epoch that is everything, and
    they are the same for every seed.
    """
    per_epoch = sequences_in(tokens, context)
    seen = np.arange(per_epoch)
    if processed // context < per_epoch:
        seen = np.sort(_order(per_epoch, seed, 0)[: processed // context])
    count = min(count, len(seen))
    return seen[np.arange(count) * len(seen) // count] * context


def sequences_in(tokens: int, context: int) -> int:
    """How many sequences of `context` predictions so many tokens are cut into."""
    return (tokens - 1) // context


def sequences(ids: np.ndarray, starts: np.ndarray, context: int, marks: Marks = None) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ids[s : s + context] and targets one further, for every start: two int64 arrays (starts, context).

    With `marks`, of a stream of pairs, targets are as of `asked_for`.
    """
    rows = ids[starts[:, None] + np.arange(context + 1)].astype(np.int64)
    inputs, targets = rows[:, :-1], rows[:, 1:]
    return inputs, targets if marks is None else asked_for(ids, starts, inputs, targets, marks)


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)
