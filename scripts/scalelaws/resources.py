"""What a job asks of a scheduler, as functions that Snakemake calls with the job's wildcards, threads and attempt."""

from collections.abc import Callable
from typing import Any


def growing(amount: float | Callable[..., float], per_thread: float = 0.0) -> Callable[..., int]:
    """A resource of `amount`, and `per_thread` for each thread, that doubles with every attempt.

    `amount` may be a function of the job's wildcards. A job that was killed for memory or time is tried again with
    twice as much of both.
    """

    def asked(wildcards: object, threads: int, attempt: int) -> int:
        first = amount(wildcards) if callable(amount) else amount
        return round((first + per_thread * threads) * 2 ** (attempt - 1))

    return asked


def for_training_text(threads: int, train_corpus: str | None) -> Callable[..., int]:
    """`threads` for the corpus that is trained on; one for the others, which are small and made side by side."""

    def asked(wildcards: Any) -> int:
        return threads if wildcards.corpus == train_corpus else 1

    return asked
