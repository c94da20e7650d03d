"""Every fast path against the plain loop that the benchmark races: the same losses, step by step."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scalelaws.models import parts
from scalelaws.training import engine as engine_module
from scalelaws.training.batches import sequences
from scalelaws.training.engine import Engine
from scalelaws.training.run import Run
from scalelaws.training.state import initial_state, views

PLAIN_LOOP = Path(__file__).parents[2] / "benchmarks/plain_loop.py"
RUN = Run(
    run="2L32d-test", family="transformer", parameters=24_576, embedding_parameters=0, n_layer=2, d_model=32, n_head=2,
    context=80, vocabulary=1100, positions="learned", dataset_tokens=20_000, seed=3, batch_tokens=640, steps=30,
    learning_rate=0.01, schedule="cosine", warmup_steps=5, averaging=0.0, dropout=0.0, weight_decay=0.1, patience=0,
    evaluations=6, evaluation_tokens=160, precision="float32",
)  # fmt: skip
STEPS = 12


@pytest.fixture(scope="module")
def plain_loop():
    spec = importlib.util.spec_from_file_location("plain_loop", PLAIN_LOOP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PlainLoop


@pytest.fixture(scope="module")
def batches():
    ids = np.random.default_rng(0).zipf(1.3, 20_000) % RUN.vocabulary
    count = RUN.batch_tokens // RUN.context
    starts = np.arange(STEPS * count).reshape(STEPS, count) * RUN.context
    return [sequences(ids, row, RUN.context) for row in starts]


def losses_of(loop, batches):
    return [loop.update(inputs, targets) for inputs, targets in batches]


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_in_float32_losses_and_weights_are_the_plain_loops(plain_loop, batches, positions):
    run = replace(RUN, positions=positions)
    engine, oracle = Engine(run, initial_state(run.shape, run.seed)), plain_loop(run)
    assert losses_of(engine, batches) == pytest.approx(losses_of(oracle, batches), rel=1e-5)
    exact = dict(oracle.model.state_dict())
    for name, weight in views(engine.state.weights, run.shape).items():
        torch.testing.assert_close(weight, exact[f"{name}.weight"], rtol=1e-2, atol=2e-4)


def test_embedding_as_a_gpu_does_learns_the_same(plain_loop, batches, monkeypatch):
    monkeypatch.setattr(parts, "_rows", parts._AddedRows.apply)
    engine = Engine(RUN, initial_state(RUN.shape, RUN.seed))
    assert losses_of(engine, batches) == pytest.approx(losses_of(plain_loop(RUN), batches), rel=1e-5)


def test_in_bfloat16_losses_stay_within_two_hundredths_of_a_nat(plain_loop, batches):
    engine = Engine(replace(RUN, precision="bfloat16"), initial_state(RUN.shape, RUN.seed))
    assert losses_of(engine, batches) == pytest.approx(losses_of(plain_loop(RUN), batches), abs=0.02)


def test_compiled_layers_in_bfloat16_stay_as_near(plain_loop, batches, monkeypatch):
    monkeypatch.setitem(engine_module.COMPILED_ABOVE_TOKENS, "cpu", 0)
    short = [(inputs[:, :40], targets[:, :40]) for inputs, targets in batches]  # less code to compile
    engine = Engine(replace(RUN, precision="bfloat16"), initial_state(RUN.shape, RUN.seed))
    assert losses_of(engine, short) == pytest.approx(losses_of(plain_loop(RUN), short), abs=0.02)


def test_the_plain_loop_takes_a_large_batch_in_parts_and_learns_the_same(plain_loop, batches, monkeypatch):
    whole = losses_of(plain_loop(RUN), batches)
    forwards = []
    monkeypatch.setitem(plain_loop.update.__globals__, "TOKENS_AT_ONCE", 2 * RUN.context)
    loop = plain_loop(RUN)
    loop.model.register_forward_hook(lambda *_: forwards.append(1))
    assert losses_of(loop, batches) == pytest.approx(whole, rel=1e-5)
    assert len(forwards) == STEPS * RUN.batch_tokens // RUN.context // 2


def test_batches_in_parts_give_the_plain_losses(plain_loop, batches, monkeypatch):
    monkeypatch.setitem(engine_module.TOKENS_AT_ONCE, "cpu", 2 * RUN.context)
    engine = Engine(RUN, initial_state(RUN.shape, RUN.seed))
    assert engine.sequences_at_once == 2
    assert losses_of(engine, batches) == pytest.approx(losses_of(plain_loop(RUN), batches), rel=1e-5)
