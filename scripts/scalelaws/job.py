"""What every workflow script does around its one library call: log to a file, say to the user how far it is."""

import errno
import io
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TextIO, TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 5.0
BOOKKEEPING = (
    "Select jobs",
    "Execute ",
    "Using shell",
    "Conda env",
    "Assuming",
    "Provided",
    "Rules claim",
    "Finished job",
    "Singularity containers",
)
"""How the lines of Snakemake begin that tell its user nothing: jobs speak for themselves."""


@contextmanager
def logged(log: str | Path, title: str) -> Iterator["Progress"]:
    """Send file descriptors 1 and 2 to `log`, so that tracebacks and child processes' output land there too.

    Yields a Progress that writes to the user's terminal and to the log: jobs on a cluster have no other. The closing
    line says how long the job took, or, after a failure, the error's own words and where the log is. SIGTERM and
    SIGUSR1 (a cluster's warning) end the job as an exception does: with status 143, and without half-written files.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with _unbuffered(os.dup(2)) as terminal, _unbuffered(log) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        progress = Progress(title, terminal, file)
        started = time.monotonic()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, _leave)
        try:
            yield progress
        except SystemExit:
            progress.say("stopped by a signal; the same command goes on")
            raise
        except BaseException as error:
            progress.say(f"failed: {_words(error)}  (log: {log})")
            raise
        progress.say(f"done in {clock(time.monotonic() - started)}")


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)


def _unbuffered(file: str | Path | int) -> TextIO:
    """A file to write lines to that keeps none back: what a full disk refuses is lost, not tried again at the end."""
    return io.TextIOWrapper(io.FileIO(file, "w"), encoding="utf-8", write_through=True)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full; make room, and the same command goes on ({error})"
    return str(error) or type(error).__name__


class Progress:
    """A job's voice: whole lines, so that jobs side by side do not overwrite each other; on stderr if nowhere else."""

    def __init__(self, title: str, *streams: TextIO) -> None:
        self.title = title
        self.streams = streams or (sys.stderr,)
        self.started = time.monotonic()
        self.last_line = self.started

    def say(self, text: str) -> None:
        """Write one line under the job's title; one that finds the disk full is lost, and ends no job."""
        for stream in self.streams:
            with suppress(OSError):
                stream.write(f"{self.title:<34} {text}\n")

    def show(self, done: float, total: float, note: str = "", before: float = 0) -> None:
        """Say how much of `total` is done, with an estimate of what is left; at most one line in five seconds.

        Without a total, which is 0 where it is not known beforehand, the note stands alone. `before` is how much was
        done before the clock started, by an earlier job that this one goes on with.
        """
        now = time.monotonic()
        if now - self.last_line < SECONDS_BETWEEN_LINES or (total and done <= before):
            return
        self.last_line = now
        if not total:
            self.say(note)
            return
        share = min(done / total, 1.0)
        left = (now - self.started) * max(0.0, total - done) / (done - before)
        bar = "█" * round(20 * share) + "░" * (20 - round(20 * share))
        self.say(f"{bar} {share:4.0%}  {clock(left)} left  {note}".rstrip())

    def over(self, items: Iterable[T], total: int, note: str = "") -> Iterator[T]:
        """Yield `items`, showing progress against `total`."""
        for done, item in enumerate(items, 1):
            yield item
            self.show(done, total, note)


def clock(seconds: float) -> str:
    """A duration as people say it: 8s, 1m05s, 2h03m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def hush_bookkeeping(before_jobs: Callable[[], object] = lambda: None) -> None:
    """Keep Snakemake's bookkeeping off the terminal; what it says of progress, warnings and errors stays.

    `before_jobs` is called once, when Snakemake knows which jobs it is about to run, in a dry run too.
    """
    asked: list[bool] = []

    def stays(record: logging.LogRecord) -> bool:
        if getattr(record, "event", None) == "run_info" and not asked:
            asked.append(True)
            before_jobs()
        return not record.getMessage().startswith(BOOKKEEPING)

    logging.getLogger("snakemake.logging").addFilter(stays)
