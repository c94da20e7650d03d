"""Which tokens each step sees: a pure function of subset, seed and step, so that resuming needs no state."""

from functools import lru_cache

import numpy as np


def batch(ids: np.ndarray, step: int, batch_tokens: int, context: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of update `step` (1, 2, …): two int64 arrays (sequences, context).

    The subset is cut into sequences of `context` predictions; every epoch goes through all of them in a new seeded
    order, and a batch may end one epoch and begin the next.
    """
    per_epoch = (len(ids) - 1) // context
    count = batch_tokens // context
    first = (step - 1) * count
    places = np.arange(first, first + count)
    starts = np.empty(count, dtype=np.int64)
    for epoch in range(first // per_epoch, (first + count - 1) // per_epoch + 1):
        inside = places // per_epoch == epoch
        starts[inside] = _order(per_epoch, seed, epoch)[places[inside] % per_epoch] * context
    return sequences(ids, starts, context)


def sequences(ids: np.ndarray, starts: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ids[s : s + context] and targets one further, for every start: two int64 arrays (starts, context)."""
    rows = ids[starts[:, None] + np.arange(context + 1)].astype(np.int64)
    return rows[:, :-1], rows[:, 1:]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)
