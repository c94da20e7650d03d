"""Updates that are captured as CUDA graphs: what decides on a GPU by itself, and with a GPU the whole."""

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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
from scalelaws.training.state import initial_state

from .test_loop import RUN, tokens, trained  # noqa: F401

pytest.importorskip("triton", reason="needs Triton, which `make test` installs beside the environment")
from scalelaws.training import captured

HAS_GPU = torch.cuda.is_available()
GPU = torch.device("cuda" if HAS_GPU else "cpu")
on_gpu = pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
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


def gpu_engine(run) -> Engine:
    return Engine(run, initial_state(run.shape, run.seed).to(GPU), GPU)


@pytest.fixture
def plain_loop():
    spec = importlib.util.spec_from_file_location("plain_loop", Path(__file__).parents[2] / "benchmarks/plain_loop.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PlainLoop


@on_gpu
def test_captured_updates_have_the_plain_loop_s_losses(tokens, plain_loop):  # noqa: F811
    run = replace(RUN, precision="float32", averaging=0.0)
    ids = tokens["pages", "train"].ids
    batches = [batch(ids, step, run.batch_tokens, run.context, run.seed) for step in range(1, 41)]
    engine, oracle = gpu_engine(run), plain_loop(run, device="cuda")
    assert engine.captured is not None
    losses = [engine.update(*pair) for pair in batches]
    assert losses == pytest.approx([oracle.update(*pair) for pair in batches], abs=2e-3)


@on_gpu
def test_queued_updates_leave_the_state_of_those_that_are_waited_for(tokens):  # noqa: F811
    ids = tokens["pages", "train"].ids
    queued, waited = gpu_engine(RUN), gpu_engine(RUN)
    for step in range(1, 51):
        pair = batch(ids, step, RUN.batch_tokens, RUN.context, RUN.seed)
        waited.update(*pair)
        queued.queue(*pair)
        assert queued.step == step
        if not queued.has_room:
            queued.settle()
    queued.settle()
    assert queued.state.recent_losses == pytest.approx(waited.state.recent_losses, abs=1e-3)
    assert queued.state.squares == pytest.approx(waited.state.squares, rel=0.05)
    torch.testing.assert_close(queued.state.average, waited.state.average, rtol=0.05, atol=5e-3)


@on_gpu
def test_a_spike_is_left_out_and_a_loss_that_is_no_number_changes_nothing(tokens):  # noqa: F811
    run = replace(RUN, steps=1000, precision="float32")
    ids = tokens["pages", "train"].ids
    engine = gpu_engine(run)
    for step in range(1, 101):
        inputs, targets = batch(ids, step, run.batch_tokens, run.context, run.seed)
        engine.update(inputs, targets)
    before = engine.state.weights.clone()
    engine.update(inputs, (targets + 7) % run.vocabulary)
    assert (engine.state.spikes, engine.state.step) == (1, 101)
    assert torch.equal(engine.state.weights, before)
    engine.weights["token_embedding"].data[0] = math.nan
    before = engine.state.weights.clone()
    for _ in range(3):
        engine.queue(inputs, targets)
    assert math.isnan(engine.settle())
    assert (engine.state.status, engine.state.step) == ("diverged", 101)
    assert torch.equal(engine.state.weights.nan_to_num(), before.nan_to_num())


@on_gpu
def test_a_run_goes_on_from_its_state_to_nearly_the_same_losses(tokens, tmp_path):  # noqa: F811
    straight = trained(RUN, tokens, tmp_path / "straight")
    engine, ids = gpu_engine(RUN), tokens["pages", "train"].ids[: RUN.dataset_tokens]
    for step in range(1, 31):
        engine.update(*batch(ids, step, RUN.batch_tokens, RUN.context, RUN.seed))
    resumed = Engine(RUN, engine.state, GPU)
    for step in range(31, RUN.steps + 1):
        resumed.update(*batch(ids, step, RUN.batch_tokens, RUN.context, RUN.seed))
    assert resumed.state.recent_losses == pytest.approx(straight.recent_losses, abs=0.02)
