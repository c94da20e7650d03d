"""What a job asks of a scheduler, as functions that Snakemake calls with the job's wildcards, threads and attempt; and
patterns of names."""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

Amount = float | Callable[..., float]


def growing(
    amount: Amount, per_thread: float = 0.0, shared: Amount = 0.0, most: Amount = math.inf
) -> Callable[..., int]:
    """A resource of `amount`, and `per_thread` for each thread, that doubles with each of the first attempts.

    Of what is `shared` each thread has its part: minutes of work. No more is asked for than `most`. These may be
    functions of the job's wildcards. A job that was killed for memory or time is tried again with twice as much of
    both, up to four times as much.
    """

    def asked(wildcards: object, threads: int, attempt: int) -> int:
        first, work, limit = (value(wildcards) if callable(value) else value for value in (amount, shared, most))
        return round(min((first + per_thread * threads + work / threads) * 2 ** min(attempt - 1, 2), limit))

    return asked


def for_training_text(threads: int, train_corpus: str | None) -> Callable[..., int]:
    """`threads` for the corpus that is trained on; one for the others, which are small and made side by side."""

    def asked(wildcards: Any) -> int:
        return threads if wildcards.corpus == train_corpus else 1

    return asked


def devices_given(gpus: int, nodes: int, threads: int) -> int:
    """Processes on each node of a job: one for each GPU there, or for each thread where there are none.

    Threads are cut to the cores of whoever starts the job, GPUs are given as they were asked for.
    """
    return gpus // nodes or threads


def any_of(names: Iterable[str]) -> str:
    """A wildcard's constraint: one of the names, and nothing where there is none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def parts_of(folder: str, parts: int, ending: str = "") -> list[str]:
    """What stands in a folder under the numbers of so many parts."""
    return [f"{folder}/{part:03}{ending}" for part in range(parts)]
