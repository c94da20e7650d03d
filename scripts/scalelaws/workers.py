"""Work spread over processes: results in the order of the items, and caps on the time and memory of one item."""

import multiprocessing
import resource
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Show = Callable[[float, float, str], None]
"""How long work reports: done, total, note."""

AHEAD = 32
"""Items per process that may be finished ahead of the oldest unfinished one: bounds what is held in memory."""

FORK = multiprocessing.get_context("fork")
"""Workers are forked: a spawned one would run the workflow script, which is the main module, again."""


def silent(done: float, total: float, note: str = "") -> None:
    """A Show that says nothing."""


@dataclass(frozen=True)
class Failure:
    """Stands in for the result of an item that took too much time or memory, or took its process down.

    The reason is timed_out, out_of_memory or crashed.
    """

    reason: str


@dataclass
class _Worker(Generic[Item]):
    process: Any
    pipe: Connection
    slot: "_Slot[Item] | None" = None
    served: int = 0
    deadline: float = float("inf")


@dataclass
class _Slot(Generic[Item]):
    item: Item
    done: bool = False
    result: Any = None


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    processes: int,
    seconds: float = float("inf"),
    memory: int | None = None,
    lifetime: int | None = None,
) -> Iterator[tuple[Item, Result | Failure]]:
    """(item, function(item)) for each item, in order, computed in `processes` processes.

    An item that runs longer than `seconds`, or asks for more than `memory` bytes beyond what its process began with, is
    given up: its process is killed and replaced. So is a process after `lifetime` items, for libraries that leak.
    Whether an item asks for too much is found out in a process that has served no other. An exception in the function
    is raised here, with the worker's traceback. At most AHEAD × processes items are held.
    """
    source = iter(items)
    window: deque[_Slot[Item]] = deque()
    workers: list[_Worker[Item]] = []
    idle: list[_Worker[Item]] = []
    exhausted = False
    try:
        while True:
            while window and window[0].done:
                slot = window.popleft()
                yield slot.item, slot.result
            while not exhausted and len(window) < AHEAD * processes and (idle or len(workers) < processes):
                try:
                    slot = _Slot(next(source))
                except StopIteration:
                    exhausted = True
                    break
                if not idle:
                    workers.append(_start(function, workers, memory))
                    idle.append(workers[-1])
                _assign(idle.pop(), slot, seconds)
                window.append(slot)
            busy = [worker for worker in workers if worker.slot]
            if not busy and not window and exhausted:
                return
            if window and window[0].done:
                continue
            nearest = min(worker.deadline for worker in busy)
            patience = None if nearest == float("inf") else max(nearest - time.monotonic(), 0)
            ready = wait([worker.pipe for worker in busy], patience)
            for worker in busy:
                if worker.pipe in ready:
                    outcome = _collect(worker)
                elif worker.deadline <= time.monotonic():
                    outcome = Failure("timed_out")
                else:
                    continue
                assert worker.slot
                if isinstance(outcome, Failure) and outcome.reason == "out_of_memory" and worker.served:
                    slot = worker.slot
                    _stop(worker)
                    workers.remove(worker)
                    workers.append(_start(function, workers, memory))
                    _assign(workers[-1], slot, seconds)
                    continue
                worker.slot.result, worker.slot.done, worker.slot = outcome, True, None
                worker.served += 1
                if isinstance(outcome, Failure) or worker.served == lifetime:
                    _stop(worker)
                    workers.remove(worker)
                else:
                    worker.deadline = float("inf")
                    idle.append(worker)
    finally:
        for worker in workers:
            _stop(worker)


def spread(function: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[tuple[Item, Result]]:
    """(item, function(item)) for each item, in order, none missing; with one process, in this one."""
    if processes == 1:
        return ((item, function(item)) for item in items)
    return sure(ordered_map(function, items, processes))


def sure(results: Iterable[tuple[Item, Result | Failure]]) -> Iterator[tuple[Item, Result]]:
    """The results of an ordered_map, for work in which none may be missing. Raises RuntimeError for a Failure."""
    for item, result in results:
        if isinstance(result, Failure):
            raise RuntimeError(f"a worker process {result.reason.replace('_', ' ')} at {str(item)[:200]}")
        yield item, result


def _start(function: Callable[[Item], Result], others: list[_Worker[Item]], memory: int | None) -> _Worker[Item]:
    ours, theirs = FORK.Pipe()
    inherited = [ours, *(worker.pipe for worker in others)]
    process = FORK.Process(target=_serve, args=(function, theirs, inherited, memory), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _serve(
    function: Callable[[Item], Result], pipe: Connection, inherited: list[Connection], memory: int | None
) -> None:
    for connection in inherited:  # a copy of the parent's end would keep this pipe open after the parent has died
        connection.close()
    if memory is not None:
        _limit_memory(memory)
    while True:
        try:
            item = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer: tuple[bool, Any] = (True, function(item))
        except MemoryError:
            answer = (True, Failure("out_of_memory"))
        except Exception:
            answer = (False, traceback.format_exc())
        pipe.send(answer)


def _limit_memory(memory: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def _assign(worker: _Worker[Item], slot: _Slot[Item], seconds: float) -> None:
    worker.slot = slot
    worker.deadline = time.monotonic() + seconds
    worker.pipe.send(slot.item)


def _collect(worker: _Worker[Item]) -> Any:
    try:
        succeeded, value = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        return Failure("crashed")
    if not succeeded:
        raise RuntimeError(f"in a worker process:\n{value}")
    return value


def _stop(worker: _Worker[Item]) -> None:
    worker.pipe.close()
    worker.process.kill()
    worker.process.join()
