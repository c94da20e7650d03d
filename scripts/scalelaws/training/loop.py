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

from scalelaws.job import Progress
from scalelaws.tokens.store import TokenFile
from scalelaws.tokens.subset import subset
from scalelaws.training.batches import batch
from scalelaws.training.engine import Engine
from scalelaws.training.evaluate import EvaluationSet, evaluate, evaluation_sets
from scalelaws.training.memory import keep_freed_memory
from scalelaws.training.run import Run
from scalelaws.training.schedule import check_steps, evaluation_steps
from scalelaws.training.spikes import has_diverged
from scalelaws.training.state import State, initial_state, read_checkpoint, write_checkpoint

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
) -> State:
    """Train one run to its end and return its final state; every (corpus, split) of `tokens` is evaluated.

    A checkpoint of the same `owner` in the folder `checkpoints` is taken up, and gives the same result, bit for bit on
    one CPU, as a run that was never stopped. SIGTERM writes a checkpoint and leaves with status 143.

    Early stopping (run.patience > 0): after the first epoch, within which nothing can be overfitted, the held-out loss
    is checked at steps 10% apart; `patience` checks in a row without a new minimum end the run, whose result is the
    step of the minimum.
    """
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    state = read_checkpoint(checkpoints, owner) or initial_state(run.shape, run.seed, run.optimizer)
    if state.step:
        progress.say(f"goes on from step {state.step:,} of {run.steps:,}")
    engine = Engine(run, state)
    sets = evaluation_sets(run, tokens, train_corpus)
    held_out = next(s for s in sets if (s.corpus, s.split) == (train_corpus, "test"))
    ids = subset(tokens[train_corpus, "train"], run.dataset_tokens)
    full = set(evaluation_steps(run.steps, run.evaluations))
    checks = set(check_steps(run.steps, run.dataset_tokens / run.batch_tokens))
    started = time.monotonic()
    next_checkpoint = started + CHECKPOINT_SECONDS
    earlier_seconds, counted_from = state.seconds, None
    with _terminated() as terminated:
        while state.status == "running":
            loss = engine.update(*batch(ids, state.step + 1, run.batch_tokens, run.context, run.seed))
            if not np.isfinite(loss) or has_diverged(state.recent_losses, state.spikes_in_a_row, run.vocabulary):
                state.status = "diverged"
                break
            if state.step in checks:
                _check(engine, held_out, run.patience)
            if state.step in full:
                _record(engine, [s for s in sets if s is not held_out or state.step not in checks])
            if state.step == run.steps and state.status == "running":
                state.status = "finished"
            now = time.monotonic()
            state.seconds = earlier_seconds + now - started
            if now > next_checkpoint or terminated():
                write_checkpoint(checkpoints, state, owner)
                written = time.monotonic()
                next_checkpoint = written + max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * (written - now))
            if terminated():
                raise SystemExit(143)
            if counted_from is None:  # the first step also compiles the layer and says nothing about the others
                counted_from, progress.started = state.step, now
            else:
                speed = (state.step - counted_from) * run.batch_tokens / (now - progress.started)
                note = f"loss {loss:.3f}  {speed / 1e3:,.0f}k tokens/s"
                progress.show(state.step, run.steps, note, before=counted_from)
    _record_result(engine, sets)
    state.seconds = earlier_seconds + time.monotonic() - started
    return state


def run_record(run: Run, state: State, train_corpus: str, threads: int) -> dict[str, Any]:
    """The run's row of the runs table, and what else its plan said."""
    return {
        **{key: value for key, value in asdict(run).items() if key != "steps"},
        "train_corpus": train_corpus,
        "status": state.status,
        "planned_steps": run.steps,
        "steps": state.step,
        "result_step": state.best_step,
        "tokens": state.step * run.batch_tokens,
        "flops": run.flops_of(state.step * run.batch_tokens),
        "flops_total": state.flops_total + 3 * run.shape.forward_flops * state.step * run.batch_tokens,
        "seconds": state.seconds,
        "hardware": f"{_processor()}, {threads} {'thread' if threads == 1 else 'threads'}",
    }


def _check(engine: Engine, held_out: EvaluationSet, patience: int) -> None:
    """Record the held-out loss, remember the best, and stop the run when there has been no gain for too long."""
    state = engine.state
    (row,) = _record(engine, [held_out])
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
    at = step or state.step
    rows = []
    for chosen in sets:
        measured = evaluate(chosen, hidden, embedding, engine.sequences_at_once)
        tokens = at * run.batch_tokens
        rows.append({"run": run.run, "step": at, "tokens": tokens, "flops": run.flops_of(tokens), **measured})
        state.flops_total += run.shape.forward_flops * chosen.targets.size
    state.losses += rows
    return rows


def _record_result(engine: Engine, sets: list[EvaluationSet]) -> None:
    """Evaluate every set that the result's step still lacks, and mark the result's rows."""
    state = engine.state
    if state.best_step:
        known = {(row["corpus"], row["split"]) for row in state.losses if row["step"] == state.best_step}
        _record(engine, [s for s in sets if (s.corpus, s.split) not in known], state.best, state.best_step)
    for row in state.losses:
        row["result"] = row["step"] == state.best_step


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


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
