"""What must never lose a run: a kill at any moment, a full disk, a bad batch, too little memory."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scalelaws.errors import InputError
from scalelaws.training import loop
from scalelaws.training.batches import batch
from scalelaws.training.engine import Engine
from scalelaws.training.memory import available_bytes, needed_bytes
from scalelaws.training.spikes import SPIKE_WINDOW, SPIKES_TO_DIVERGE, has_diverged, is_spike
from scalelaws.training.state import initial_state, read_checkpoint

from .test_loop import RUN, result_loss, tokens, trained  # noqa: F401  (tokens is a fixture)

TRAINER = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from training import test_loop
from scalelaws.training import loop
loop.CHECKPOINT_SECONDS = loop.CHECKPOINT_SHARE = 0.0
parts = np.load(sys.argv[1] + "/parts.npz")
tokens = {tuple(name.split(".")): test_loop.token_file(ids) for name, ids in parts.items()}
test_loop.trained(test_loop.replace(test_loop.RUN, steps=400, dropout=0.1), tokens, loop.Path(sys.argv[1]) / "run")
"""


def test_a_run_killed_at_any_moment_goes_on_to_the_same_losses_bit_for_bit(tokens, tmp_path):  # noqa: F811
    run = replace(RUN, steps=400, dropout=0.1)
    np.savez(tmp_path / "parts.npz", **{".".join(key): file.ids for key, file in tokens.items()})
    undisturbed = trained(run, tokens, tmp_path / "undisturbed")
    draw = random.Random(os.getpid())
    command = [sys.executable, "-c", TRAINER, str(tmp_path), str(Path(__file__).parents[1])]
    steps = []
    for _ in range(2):
        with subprocess.Popen(command) as process:
            before, limit = newest_step(tmp_path / "run"), time.monotonic() + 100
            while newest_step(tmp_path / "run") <= before and process.poll() is None and time.monotonic() < limit:
                time.sleep(0.01)
            time.sleep(draw.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
        steps.append(newest_step(tmp_path / "run"))
    assert 0 < steps[0] < steps[1] < 400, "the kills came while the run was under way"
    resumed = trained(run, tokens, tmp_path / "run")
    assert torch.equal(resumed.weights, undisturbed.weights)
    assert resumed.losses == undisturbed.losses


def newest_step(folder):
    return max((int(path.name.split("-")[0]) for path in folder.glob("*.safetensors")), default=0)


@pytest.mark.parametrize("schedule", ["constant", "trunk"])
def test_a_full_disk_costs_a_checkpoint_and_not_the_run(tokens, tmp_path, monkeypatch, schedule):  # noqa: F811
    run = replace(RUN, schedule=schedule)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 0.0)
    undisturbed = trained(run, tokens, tmp_path / "whole")
    plain_queue = Engine.queue
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def disk_full_from_step_20(engine, inputs, targets):
        if engine.state.step == 20:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        return plain_queue(engine, inputs, targets)

    monkeypatch.setattr(Engine, "queue", disk_full_from_step_20)
    try:
        state = trained(run, tokens, tmp_path / "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert state.losses == undisturbed.losses
    assert newest_step(tmp_path / "full") == 20
    assert read_checkpoint(tmp_path / "full", "me").step == 20
    assert not list((tmp_path / "full").glob(".*"))


def test_a_spike_is_left_out_and_counted(tokens):  # noqa: F811
    run = replace(RUN, steps=1000, warmup_steps=5, precision="float32")
    ids = tokens["pages", "train"].ids[: run.dataset_tokens]
    engine = Engine(run, initial_state(run.shape, run.seed))
    for step in range(1, 201):
        inputs, targets = batch(ids, step, run.batch_tokens, run.context, run.seed)
        engine.update(inputs, targets)
    before = engine.state.weights.clone()
    loss = engine.update(inputs, (targets + 7) % run.vocabulary)
    assert is_spike(engine.state.recent_losses, loss)
    assert torch.equal(engine.state.weights, before)
    assert (engine.state.step, engine.state.spikes, engine.state.spikes_in_a_row) == (201, 1, 1)
    engine.update(inputs, targets)
    assert not torch.equal(engine.state.weights, before)
    assert (engine.state.spikes, engine.state.spikes_in_a_row) == (1, 0)


def test_ordinary_losses_are_no_spikes_and_lost_runs_are_seen():
    draw = np.random.default_rng(0)
    falling = list(np.linspace(5, 3, SPIKE_WINDOW) + draw.normal(size=SPIKE_WINDOW) * 0.1)
    assert not is_spike(falling, 5.2)
    assert is_spike(falling, 9.0)
    assert not is_spike([3.0] * SPIKE_WINDOW, 3.4)
    assert is_spike([3.0] * SPIKE_WINDOW, 3.6)
    assert not is_spike([3.0] * 10, 9.0)
    assert not has_diverged(falling, SPIKES_TO_DIVERGE - 1, 40_000)
    assert has_diverged(falling, SPIKES_TO_DIVERGE, 40_000)
    assert has_diverged([12.0] * SPIKE_WINDOW, 0, 40_000)  # ln 40,000 = 10.6


def test_a_run_whose_losses_explode_without_overflow_is_marked_diverged(tokens, tmp_path):  # noqa: F811
    state = trained(replace(RUN, learning_rate=300.0, weight_decay=0.0, steps=400), tokens, tmp_path)
    assert state.status == "diverged"
    assert state.step < 400


def test_a_run_whose_held_out_loss_is_no_number_is_marked_diverged_and_what_was_good_before_it_kept(
    tokens,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 0.0)
    plain_queue = Engine.queue

    def broken_from_step_30(engine, inputs, targets):
        loss = plain_queue(engine, inputs, targets)
        if engine.state.step == 30:
            engine.state.average.fill_(torch.nan)
        return loss

    monkeypatch.setattr(Engine, "queue", broken_from_step_30)
    state = trained(RUN, tokens, tmp_path)
    assert state.status == "diverged"
    assert 0 < state.best_step < 30 <= state.step < 60
    assert newest_step(tmp_path) == state.step - 1
    assert torch.isfinite(state.best).all()
    assert np.isfinite(state.best_loss)


def test_a_run_that_could_not_write_its_results_is_not_trained_again(tokens, tmp_path, monkeypatch):  # noqa: F811
    undisturbed = trained(RUN, tokens, tmp_path)
    assert newest_step(tmp_path) == RUN.steps
    monkeypatch.setattr(Engine, "queue", None)
    again = trained(RUN, tokens, tmp_path)
    assert (again.losses, again.positions) == (undisturbed.losses, undisturbed.positions)


def test_a_run_that_cannot_fit_says_so_before_it_begins(tokens, tmp_path):  # noqa: F811
    huge = replace(RUN, d_model=32_768, n_layer=200, vocabulary=50_257)
    assert available_bytes(torch.device("cpu")) < needed_bytes(huge, 8, 3)
    with pytest.raises(InputError, match="GB of memory"):
        trained(huge, tokens, tmp_path)
    assert needed_bytes(RUN, 8, 3) < 1 << 30
