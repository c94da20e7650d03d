"""What a job asks of a scheduler, as functions that Snakemake calls with the job's threads and its attempt."""

from collections.abc import Callable


def growing(amount: float, per_thread: float = 0.0) -> Callable[..., int]:
    """A resource of `amount`, and `per_thread` for each thread, that doubles with every attempt.

    A job that was killed for memory or time is tried again with twice as much of both.
    """

    def asked(wildcards: object, threads: int, attempt: int) -> int:
        return round((amount + per_thread * threads) * 2 ** (attempt - 1))

    return asked
