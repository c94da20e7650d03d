"""Updates captured as CUDA graphs; without a GPU, made anew of the same parts, with the kernels interpreted."""

import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.training import engine
from scalelaws.training.batches import batch
from scalelaws.training.engine import Engine
from scalelaws.training.spikes import (
    SPIKE_DEVIATIONS,
    SPIKE_FIRST,
    SPIKE_NATS,
    SPIKE_WINDOW,
    SPIKES_TO_DIVERGE,
    has_diverged,
    is_spike,
)
from scalelaws.training.state import BUFFERS, initial_state

from .test_loop import RUN, tokens, trained  # noqa: F401

pytest.importorskip("triton", reason="needs Triton, which `make test` installs beside the environment")
from scalelaws.training import captured

HAS_GPU = torch.cuda.is_available()
GPU = torch.device("cuda" if HAS_GPU else "cpu")
VOCABULARY = 50


class Judge:
    """What a GPU decides about one loss after the other."""

    def __init__(self):
        self.recent, self.counters = (
            torch.zeros(SPIKE_WINDOW, device=GPU),
            torch.zeros(3, dtype=torch.int32, device=GPU),
        )
        self.answers = [torch.zeros((), device=GPU) for _ in range(3)]

    def __call__(self, loss, norm=1.0):
        """Whether the update is skipped, whether its loss is a spike, and whether the run has ended."""
        numbers = torch.tensor(loss, device=GPU), torch.tensor(norm, device=GPU)
        captured._judge[(1,)](
            *numbers, self.recent, self.counters, *self.answers, math.log(VOCABULARY) + SPIKE_NATS,
            SPIKE_WINDOW, SPIKE_FIRST, SPIKE_DEVIATIONS, SPIKE_NATS, SPIKES_TO_DIVERGE,
        )  # fmt: skip
        return [bool(answer) for answer in self.answers]


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 99), spikes=st.sampled_from([0.0, 0.05, 0.6]), rise=st.sampled_from([0.0, 3.0]))
def test_a_gpu_decides_by_the_rules_of_spikes(seed, spikes, rise):
    draw, judge = np.random.default_rng(seed), Judge()
    recent, in_a_row = [], 0
    for step in range(250):
        noise = 0.1 * draw.normal() + (5.0 if draw.random() < spikes else 0.0)
        loss = float(np.float32(3.0 + noise + (rise if step > SPIKE_WINDOW else 0.0)))
        spike = is_spike(recent, loss)
        in_a_row = in_a_row + 1 if spike else 0
        recent = recent if spike else [*recent[1 - SPIKE_WINDOW :], loss]
        diverged = has_diverged(recent, in_a_row, VOCABULARY)
        assert judge(loss) == [spike, spike, diverged], step
        if diverged:
            assert judge(3.0) == [True, False, True]  # and nothing changes any more
            return


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (math.inf, 1.0), (3.0, math.nan), (3.0, math.inf)])
def test_what_is_no_number_ends_the_run_on_a_gpu_before_its_update(loss, norm):
    judge = Judge()
    assert judge(3.0) == [False, False, False]
    assert judge(loss, norm)[::2] == [True, True]
    assert judge(3.0)[::2] == [True, True]


@pytest.fixture
def engine_of(monkeypatch):
    """Engines whose updates are captured, or without a GPU made anew where they would be replayed."""
    if not HAS_GPU:
        monkeypatch.setattr(engine, "_is_captured", lambda *_: True)
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
        monkeypatch.setattr(captured.CapturedUpdates, "_capture", made_anew)
    return lambda run: Engine(run, initial_state(run.shape, run.seed).to(GPU), GPU)


def made_anew(updates, measured, _stream):
    updates.graphs[measured] = SimpleNamespace(replay=lambda: updates._update(measured))


@pytest.fixture
def plain_loop():
    spec = importlib.util.spec_from_file_location("plain_loop", Path(__file__).parents[2] / "benchmarks/plain_loop.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PlainLoop


def test_captured_updates_have_the_plain_loop_s_losses(tokens, plain_loop, engine_of):  # noqa: F811
    run = replace(RUN, precision="float32", averaging=0.0)
    ids = tokens["pages", "train"].ids
    batches = [batch(ids, step, run.batch_tokens, run.context, run.seed) for step in range(1, 41)]
    captured_run, oracle = engine_of(run), plain_loop(run, device=GPU.type)
    losses = [captured_run.update(*pair) for pair in batches]
    assert losses == pytest.approx([oracle.update(*pair) for pair in batches], abs=2e-3)


@pytest.mark.parametrize("most_tokens", [1, 1 << 21])
def test_queued_updates_leave_the_state_of_those_that_are_waited_for(tokens, engine_of, monkeypatch, most_tokens):  # noqa: F811
    monkeypatch.setattr(captured, "MOST_QUEUED_TOKENS", most_tokens)
    run = replace(RUN, precision="float32", parametrization="mup", learning_rate=0.002, batch_tokens=256)
    ids = tokens["pages", "train"].ids
    queued = engine_of(run)
    with monkeypatch.context() as plain:
        plain.setattr(engine, "_is_captured", lambda *_: False)
        waited = Engine(run, initial_state(run.shape, run.seed))
    assert (waited.captured, queued.captured.slots) == (None, 1 if most_tokens == 1 else captured.MOST_QUEUED)
    for step in range(1, 51):
        pair = batch(ids, step, run.batch_tokens, run.context, run.seed)
        waited.update(*pair)
        queued.queue(*pair)
        assert queued.step == step
        if not queued.has_room:
            queued.settle()
    queued.settle()
    assert queued.state.step == 50
    assert queued.state.recent_losses == pytest.approx(waited.state.recent_losses, abs=2e-3)
    assert queued.state.squares == pytest.approx(waited.state.squares, rel=0.02)
    assert queued.noise_scale == pytest.approx(waited.noise_scale, rel=0.1)
    for found, right in ((queued.state.average, waited.state.average), (queued.averaged, waited.averaged)):
        torch.testing.assert_close(found.cpu(), right, rtol=0.02, atol=2e-3)


def test_a_spike_is_left_out_and_a_loss_that_is_no_number_changes_nothing(tokens, engine_of):  # noqa: F811
    run = replace(RUN, steps=1000, precision="float32")
    ids = tokens["pages", "train"].ids
    captured_run = engine_of(run)
    for step in range(1, 201):
        inputs, targets = batch(ids, step, run.batch_tokens, run.context, run.seed)
        captured_run.update(inputs, targets)
    state = captured_run.state
    before = state.weights.clone(), state.average.clone(), state.first_moment.clone()
    captured_run.update(inputs, (targets + 7) % run.vocabulary)
    assert (state.spikes, state.spikes_in_a_row, state.step) == (1, 1, 201)
    assert all(map(torch.equal, before, (state.weights, state.average, state.first_moment)))
    captured_run.update(inputs, targets)
    assert (state.spikes, state.spikes_in_a_row, state.step) == (1, 0, 202)
    assert not torch.equal(before[0], state.weights)
    state.weights[0] = math.nan
    before = state.weights.clone()
    for _ in range(3):
        captured_run.queue(inputs, targets)
    assert math.isnan(captured_run.settle())
    assert (state.status, state.step, captured_run.step) == ("diverged", 202, 202)
    assert torch.equal(state.weights.nan_to_num(), before.nan_to_num())


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU: nothing else is captured")
def test_to_capture_changes_nothing(engine_of):
    state = initial_state(RUN.shape, RUN.seed)
    found = engine_of(RUN).state
    assert all(torch.equal(getattr(found, name).cpu(), getattr(state, name)) for name in BUFFERS)


def test_a_run_goes_on_from_its_state(tokens, engine_of):  # noqa: F811
    run, ids = replace(RUN, precision="float32"), tokens["pages", "train"].ids
    straight, killed = engine_of(run), engine_of(run)
    for step in range(1, 61):
        pair = batch(ids, step, run.batch_tokens, run.context, run.seed)
        straight.update(*pair)
        killed.update(*pair)
        if step == 37:
            killed = Engine(run, killed.state, GPU)
    assert killed.state.recent_losses == pytest.approx(straight.state.recent_losses, abs=2e-3)


def test_a_run_is_recorded_at_the_steps_of_one_on_a_cpu(tokens, tmp_path, engine_of, monkeypatch):  # noqa: F811
    run = replace(RUN, precision="float32", patience=3, dataset_tokens=400)
    with monkeypatch.context() as plain:
        plain.setattr(engine, "_is_captured", lambda *_: False)
        right = trained(run, tokens, tmp_path / "plain")
    found = trained(run, tokens, tmp_path / "captured")
    assert (found.status, found.step, found.best_step) == (right.status, right.step, right.best_step)
    assert len(found.losses) == len(right.losses)
    for row, other in zip(found.losses, right.losses, strict=True):
        assert (row["step"], row["corpus"], row["split"]) == (other["step"], other["corpus"], other["split"])
        assert row["loss"] == pytest.approx(other["loss"], abs=5e-3)
