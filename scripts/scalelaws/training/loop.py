"""One run from its first step, or from its checkpoint, to its losses."""

import platform
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scalelaws.errors import InputError
from scalelaws.job import Progress
from scalelaws.tokens.store import TokenFile
from scalelaws.tokens.subset import subset
from scalelaws.training import processes
from scalelaws.training.batches import batch
from scalelaws.training.engine import Engine, sequences_at_once
from scalelaws.training.evaluate import (
    UNSEEN,
    EvaluationSet,
    evaluation_sets,
    losses_by_position,
    summary,
    window_losses,
)
from scalelaws.training.memory import check_memory, keep_freed_memory
from scalelaws.training.run import Run
from scalelaws.training.schedule import check_steps, evaluation_steps, fork_steps, passing_steps
from scalelaws.training.sharding import scattered
from scalelaws.training.speed import peak_rate
from scalelaws.training.state import KEPT, State, branched_state, initial_state, read_checkpoint, write_checkpoint

FORKS = "forks"
CHECKPOINT_SECONDS = 30.0
CHECKPOINT_SHARE = 50.0
"""A checkpoint is written at least this many seconds after the last one, and this many times what writing it took."""


def train(
    run: Run,
    tokens: Mapping[tuple[str, str], TokenFile],
    train_corpus: str,
    checkpoints: Path,
    owner: str,
    threads: int,
    progress: Progress,
    trunk: Path | None = None,
    *,
    sharded: bool = False,
) -> State:
    """Train one run to its end and return its final state; every (corpus, split) of `tokens` is evaluated,
    and so is training text that the run leaves unseen, for the result.

    A checkpoint of the same `owner` in the folder `checkpoints` is taken up, and gives the same result, bit for bit on
    one CPU, as a run that was never stopped. SIGTERM and SIGUSR1 write a checkpoint and leave with status 143.

    Early stopping (run.patience > 0): after the first epoch, within which nothing can be overfitted, the held-out loss
    is checked at steps 10% and half an epoch apart; `patience` checks in a row without a new minimum end the run, whose
    result is the step of the minimum.

    A run whose schedule is trunk saves its states in `checkpoints`/FORKS; a branch begins from such a folder, `trunk`.
    Under torchrun all processes train this one run; the first of them writes its files, and is given the whole final
    state. With `sharded` each holds only its pieces of the state. A GPU is used where there is one.
    """
    keep_freed_memory()
    processes.join()
    torch.set_num_threads(threads)
    device = processes.device()
    if device.type == "cpu":  # said in the words that, unlike use_deterministic_algorithms, do not load the compiler
        torch.set_deterministic_debug_mode("error")
    say = progress.say if processes.rank() == 0 else lambda _line: None
    pieces = processes.count() if sharded else 1
    check_memory(run, sequences_at_once(run, device, pieces), len(tokens), device, pieces)
    state = _first_state(run, checkpoints, owner, trunk, say, sharded=sharded).to(device)
    if state.step:
        say(f"goes on from step {state.step:,} of {run.steps:,}")
    engine = Engine(run, state, device, sharded=sharded)
    sets = evaluation_sets(run, tokens, train_corpus)
    held_out = next(s for s in sets if (s.corpus, s.split) == (train_corpus, "test"))
    ids = subset(tokens[train_corpus, "train"], run.stream_tokens or run.dataset_tokens)
    recorded, passing = (set(steps(run.steps, run.evaluations)) for steps in (evaluation_steps, passing_steps))
    checks = set(check_steps(run.steps, run.dataset_tokens / run.batch_tokens))
    forks = set(fork_steps(run.steps)) if run.schedule == "trunk" else set()
    stops = {run.steps, *recorded, *passing, *checks, *forks}
    peak = peak_rate(run.precision, threads, device)
    started = time.monotonic()
    next_checkpoint = started + CHECKPOINT_SECONDS
    earlier_seconds, counted_from = state.seconds, None
    with _terminated() as terminated:
        while state.status == "running":
            engine.queue(*batch(ids, engine.step + 1, run.batch_tokens, run.context, run.seed, run.shape.marks))
            if engine.has_room and engine.step not in stops:
                continue
            loss = engine.settle()
            if state.status == "diverged":
                break
            if state.step in checks:
                _check(engine, held_out, run.patience)
            elif state.step in recorded:
                _record(engine, [held_out])
            if state.step in passing:
                others = [s for s in sets if s is not held_out]
                if state.step < run.steps:
                    others = [s.in_passing() for s in others if s.split != UNSEEN]
                _record(engine, others)
            if state.status == "diverged":
                break
            if state.step == run.steps and state.status == "running":
                state.status = "finished"
            now = time.monotonic()
            state.seconds = earlier_seconds + now - started
            if state.step in forks:
                _try_to_write(checkpoints / FORKS, engine, owner, say, kept=None)
            # Only the first process knows what writing takes.
            stopping, due = processes.any_of_all(terminated(), processes.rank() == 0 and now > next_checkpoint)
            if due or stopping:
                _try_to_write(checkpoints, engine, owner, say)
                written = time.monotonic()
                next_checkpoint = written + max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * (written - now))
            if stopping:
                raise SystemExit(143)
            if counted_from is None:  # the first step also compiles the layer and says nothing about the others
                counted_from, progress.started = state.step, now
            elif processes.rank() == 0:
                speed = (state.step - counted_from) * run.batch_tokens / (now - progress.started)
                share = 3 * run.shape.forward_flops * speed / peak
                note = f"loss {loss:.3f}  {speed / 1e3:,.0f}k tokens/s  {share:.0%} of the machine's matrix products"
                progress.show(state.step, run.steps, note, before=counted_from)
    if state.status != "diverged":  # of a diverged run only good checkpoints are there
        # What follows may be killed, or find the disk full: nothing is trained again for that.
        _try_to_write(checkpoints, engine, owner, say)
    _record_result(engine, sets, held_out)
    state.seconds = earlier_seconds + time.monotonic() - started
    return engine.whole_state()


def _first_state(
    run: Run, checkpoints: Path, owner: str, trunk: Path | None, say: Callable[[str], None], *, sharded: bool
) -> State:
    """The state of the checkpoint, else of the trunk, else that before the first update; or this process's pieces."""
    if sharded and run.optimizer != "adamw":
        problem = f"{run.optimizer} needs whole matrices, and no device holds the whole of this model"
        raise InputError(f"run {run.run}: optimizer", problem, "Choose adamw, or GPUs with more memory.")
    state = None
    if not sharded or processes.rank() == 0:
        state = read_checkpoint(checkpoints, owner, say)
        if state is None and trunk is not None:
            state = branched_state(trunk, run.first_step, say)
        state = state or initial_state(run.shape, run.seed, run.optimizer)
    return state if state and not sharded else scattered(state, run.shape)


def run_record(run: Run, state: State, train_corpus: str, threads: int) -> dict[str, Any]:
    """The run's row of the runs table, and what else its plan said."""
    return {
        **{key: value for key, value in asdict(run).items() if key != "steps"},
        **run.shape.halves,
        "train_corpus": train_corpus,
        "status": state.status,
        "planned_steps": run.steps,
        "steps": state.step,
        "result_step": state.best_step,
        "tokens": state.step * run.batch_tokens,
        "flops": run.flops_of(state.step * run.batch_tokens),
        "first_step": state.first_step,
        "spikes": state.spikes,
        "flops_total": state.flops_total
        + 3 * run.shape.forward_flops * (state.step - state.first_step) * run.batch_tokens,
        "seconds": state.seconds,
        "hardware": _hardware(threads),
    }


def _check(engine: Engine, held_out: EvaluationSet, patience: int) -> None:
    """Record the held-out loss, remember the best, and stop the run when there has been no gain for too long, or when
    the loss is no number any more."""
    state = engine.state
    (row,) = _record(engine, [held_out])
    if not np.isfinite(row["loss"]):
        state.status = "diverged"
        return
    if patience == 0 or row["loss"] < state.best_loss:
        state.best_loss, state.best_step, state.checks_without_gain = row["loss"], state.step, 0
        state.best.copy_(engine.averaged)
        return
    state.checks_without_gain += 1
    if state.checks_without_gain >= patience:
        state.status = "early_stopped"


def _record(engine: Engine, sets: list[EvaluationSet], flat: torch.Tensor | None = None, step: int = 0) -> list[dict]:
    """Evaluate the sets with the averaged weights, or with `flat` of an earlier step, and keep the rows."""
    run, state = engine.run, engine.state
    hidden, embedding = engine.evaluator(flat)
    at, noise = (step, None) if step else (state.step, engine.noise_scale)
    rows = []
    for chosen in sets:
        losses = window_losses(chosen, hidden, embedding, engine.sequences_at_once)
        tokens = at * run.batch_tokens
        row = {"run": run.run, "step": at, "tokens": tokens, "flops": run.flops_of(tokens)}
        rows.append({**row, **summary(chosen, losses), "noise_scale": noise})
        state.flops_total += run.shape.forward_flops * chosen.targets.size
    state.losses += rows
    return rows


def _record_result(engine: Engine, sets: list[EvaluationSet], held_out: EvaluationSet) -> None:
    """Evaluate the result's step on all windows of every set, mark its rows, and record its loss at every position."""
    state = engine.state
    if state.best_step:
        if state.best_step < engine.run.steps:  # until now the others were evaluated in passing at most
            kept = (held_out.corpus, held_out.split)
            state.losses = [
                row for row in state.losses if row["step"] != state.best_step or (row["corpus"], row["split"]) == kept
            ]
            _record(engine, [s for s in sets if s is not held_out], state.best, state.best_step)
        losses = window_losses(held_out, *engine.evaluator(state.best), engine.sequences_at_once)
        state.positions = [{"run": engine.run.run, **row} for row in losses_by_position(held_out, losses)]
    for row in state.losses:
        row["result"] = row["step"] == state.best_step


def _try_to_write(
    checkpoints: Path, engine: Engine, owner: str, say: Callable[[str], None], kept: int | None = KEPT
) -> None:
    """Write a checkpoint; a full disk costs no more than this one: the last one stays, and the run goes on."""
    state = engine.whole_state()
    if processes.rank() == 0:
        try:
            write_checkpoint(checkpoints, state, owner, kept)
        except OSError as error:
            say(f"no checkpoint at step {state.step:,} ({error.strerror}); the one before it stays")


@contextmanager
def _terminated() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM or SIGUSR1 (a cluster's warning) has come since the block began."""
    seen: list[int] = []
    signals = (signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, lambda received, _frame: seen.append(received)) for number in signals}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _hardware(threads: int) -> str:
    """A run's GPU, or processor and threads, and how many of it where several processes trained the run."""
    device, count = processes.device(), processes.count()
    if device.type == "cuda":
        one = torch.cuda.get_device_name(device)
    else:
        one = f"{_processor()}, {threads} {'thread' if threads == 1 else 'threads'}"
    return one if count == 1 else f"{count} x {one}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
