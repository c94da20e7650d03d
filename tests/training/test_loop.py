import io
import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from scalelaws.job import Progress
from scalelaws.models.transformer import hidden_states, initial_weights
from scalelaws.observations.table import RUN_COLUMNS
from scalelaws.training import processes
from scalelaws.training.batches import batch
from scalelaws.training.engine import LARGEST_GRADIENT, Engine
from scalelaws.training.loop import run_record, train
from scalelaws.training.optimizers import BETA1, EPSILON
from scalelaws.training.run import Run
from scalelaws.training.schedule import evaluation_steps, learning_rate, passing_steps
from scalelaws.training.speed import native_precision
from scalelaws.training.state import initial_state, views

RUN = Run(
    run="1L16d-test", family="transformer", parameters=3072, embedding_parameters=0, n_layer=1, d_model=16, n_head=1,
    context=16, vocabulary=40, positions="learned", dataset_tokens=1200, seed=3, batch_tokens=128, steps=60,
    learning_rate=0.02, schedule="constant", warmup_steps=5, averaging=0.1, dropout=0.0, weight_decay=0.1, patience=0,
    evaluations=6, evaluation_tokens=160, precision=native_precision("auto", torch.device("cpu")),
)  # fmt: skip


def token_file(ids):
    return SimpleNamespace(ids=ids, tokens=len(ids), path="made up", bytes_per_token=4.0)


@pytest.fixture(scope="module")
def tokens():
    """A text with something to learn: each token is mostly decided by the one before it."""
    draw = np.random.default_rng(0)
    following = draw.integers(0, 40, 40)
    ids = np.empty(6000, dtype=np.uint16)
    ids[0] = 0
    for place in range(1, len(ids)):
        ids[place] = following[ids[place - 1]] if draw.random() < 0.8 else draw.integers(0, 40)
    parts = {("pages", "train"): ids[:3000], ("pages", "test"): ids[3000:4500], ("other", "test"): ids[4500:][::-1]}
    return {key: token_file(part) for key, part in parts.items()}


def trained(run, tokens, folder, owner="me", trunk=None, sharded=False):
    return train(run, tokens, "pages", folder, owner, 1, Progress("test", io.StringIO()), trunk, sharded=sharded)


def result_loss(state, corpus, split):
    (row,) = [row for row in state.losses if row["result"] and (row["corpus"], row["split"]) == (corpus, split)]
    return row["loss"]


def test_a_run_learns_and_is_evaluated_on_held_out_text_throughout_and_on_every_corpus_in_passing(tokens, tmp_path):
    state = trained(RUN, tokens, tmp_path)
    losses = pd.DataFrame(state.losses)
    assert state.status == "finished"
    assert state.step == state.best_step == RUN.steps
    steps = losses.groupby(["corpus", "split"])["step"].apply(list)
    every = evaluation_steps(RUN.steps, RUN.evaluations)
    assert set(every) <= set(steps["pages", "test"])
    for text in (("pages", "train"), ("other", "test")):
        assert steps[text] == every[2::3] == passing_steps(RUN.steps, RUN.evaluations)
    assert result_loss(state, "pages", "test") < 3.0 < np.log(40) < result_loss(state, "other", "test") + 1.0
    assert (losses["flops"] == 6 * 3072 * losses["tokens"]).all()
    assert (losses["loss_sem"] > 0).all()
    assert np.allclose(losses["bits_per_byte"], losses["loss"] / np.log(2) / 4)
    assert not losses.duplicated(["step", "corpus", "split"]).any()


def test_the_engine_follows_the_plain_loop_step_by_step(tokens):
    """The oracle: all logits, cross_entropy, torch's AdamW and gradient clipping, in float32."""
    run = replace(RUN, precision="float32", averaging=0.0)
    engine = Engine(run, initial_state(run.shape, run.seed))
    weights = {name: w.requires_grad_(True) for name, w in initial_weights(run.shape, run.seed).items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=1, betas=(BETA1, run.beta2), eps=EPSILON, weight_decay=0.1)
    ids = tokens["pages", "train"].ids[: run.dataset_tokens]
    for step in range(1, 31):
        inputs, targets = batch(ids, step, run.batch_tokens, run.context, run.seed)
        optimizer.zero_grad()
        hidden = hidden_states(weights, run.shape, torch.from_numpy(inputs), torch.float32)
        loss = F.cross_entropy(hidden @ weights["token_embedding"].T, torch.from_numpy(targets).flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), LARGEST_GRADIENT)
        rate = learning_rate(step, run.steps, run.learning_rate, run.schedule, run.warmup_steps)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        assert engine.update(inputs, targets) == pytest.approx(float(loss), rel=2e-5), f"step {step}"
    for name, weight in views(engine.state.weights, run.shape).items():
        torch.testing.assert_close(weight, weights[name].detach(), rtol=1e-2, atol=2e-4)


def test_bfloat16_training_stays_near_float32(tokens, tmp_path):
    exact = trained(replace(RUN, precision="float32"), tokens, tmp_path / "exact")
    rounded = trained(replace(RUN, precision="bfloat16"), tokens, tmp_path / "rounded")
    assert result_loss(rounded, "pages", "test") == pytest.approx(result_loss(exact, "pages", "test"), abs=0.05)


def test_a_compiled_layer_trains_as_the_plain_one(tokens, monkeypatch):
    ids = tokens["pages", "train"].ids
    losses = []
    for threshold in (10**9, 0):
        monkeypatch.setattr("scalelaws.training.engine.COMPILED_ABOVE_TOKENS", {"cpu": threshold})
        engine = Engine(replace(RUN, precision="float32"), initial_state(RUN.shape, 0))
        losses.append([engine.update(*batch(ids, step, 128, 16, 0)) for step in range(1, 11)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_killed_run_goes_on_to_the_same_result_bit_for_bit(tokens, tmp_path, monkeypatch, dropout):
    run = replace(RUN, dropout=dropout, patience=3)
    undisturbed = trained(run, tokens, tmp_path / "undisturbed")

    updates = []
    plain_queue = Engine.queue

    def killed_at_step_23(engine, inputs, targets):
        updates.append(engine.state.step)
        if engine.state.step == 23:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain_queue(engine, inputs, targets)

    monkeypatch.setattr(Engine, "queue", killed_at_step_23)
    with pytest.raises(SystemExit) as left:
        trained(run, tokens, tmp_path / "killed")
    assert left.value.code == 143
    monkeypatch.setattr(Engine, "queue", plain_queue)
    resumed = trained(run, tokens, tmp_path / "killed")

    assert max(updates) == 23  # it had not finished when it was killed
    assert torch.equal(resumed.weights, undisturbed.weights)
    assert torch.equal(resumed.best, undisturbed.best)
    assert resumed.losses == undisturbed.losses


def test_a_run_that_overfits_stops_early_at_its_best(tokens, tmp_path):
    run = replace(RUN, dataset_tokens=300, steps=600, patience=4, weight_decay=0.0)
    state = trained(run, tokens, tmp_path)
    held_out = [
        (row["loss"], row["step"]) for row in state.losses if (row["corpus"], row["split"]) == ("pages", "test")
    ]
    assert state.status == "early_stopped"
    assert state.step < 600
    checked = [pair for pair in held_out if pair[1] * run.batch_tokens > run.dataset_tokens]
    assert state.best_step == min(checked)[1] < state.step
    assert result_loss(state, "pages", "train") < result_loss(state, "pages", "test")
    assert result_loss(state, "other", "test") > 0  # the result's step holds every corpus


def test_patience_zero_trains_to_the_end(tokens, tmp_path):
    state = trained(replace(RUN, dataset_tokens=300, steps=300), tokens, tmp_path)
    assert (state.status, state.best_step) == ("finished", 300)


def test_a_loss_that_is_not_finite_marks_the_run_diverged_and_keeps_what_was_measured(tokens, tmp_path):
    with np.errstate(all="ignore"):
        state = trained(replace(RUN, learning_rate=1e30), tokens, tmp_path)
    assert state.status == "diverged"
    assert 0 < state.step < RUN.steps
    assert state.losses


def test_the_record_holds_every_column_of_the_runs_table(tokens, tmp_path):
    state = trained(RUN, tokens, tmp_path)
    record = run_record(RUN, state, "pages", threads=1)
    assert set(RUN_COLUMNS) <= set(record)
    assert record["flops"] == 6 * 3072 * 60 * 128
    assert record["flops_total"] > 3 * RUN.shape.forward_flops * 60 * 128  # the evaluations count too
    assert record["seconds"] > 0


def test_the_record_says_on_what_and_on_how_many_a_run_was_trained(monkeypatch):
    def hardware(gpu, count):
        monkeypatch.setattr(processes, "device", lambda: torch.device("cuda" if gpu else "cpu"))
        monkeypatch.setattr(processes, "count", lambda: count)
        return run_record(RUN, initial_state(RUN.shape, RUN.seed), "pages", threads=1)["hardware"]

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H100")
    assert (hardware(gpu=True, count=1), hardware(gpu=True, count=8)) == ("NVIDIA H100", "8 x NVIDIA H100")
    assert hardware(gpu=False, count=1).endswith(", 1 thread")
    assert hardware(gpu=False, count=4) == f"4 x {hardware(gpu=False, count=1)}"


def test_the_result_is_recorded_by_position(tokens, tmp_path):
    state = trained(RUN, tokens, tmp_path)
    assert [row["position"] for row in state.positions] == list(range(1, RUN.context + 1))
    mean = np.mean([row["loss"] for row in state.positions])
    assert mean == pytest.approx(result_loss(state, "pages", "test"), rel=1e-5)
    assert state.positions[0]["loss"] > 0 < state.positions[0]["loss_sem"]


def test_evaluations_say_the_noise_scale_once_it_is_known(tokens, tmp_path):
    state = trained(replace(RUN, steps=200, batch_tokens=256), tokens, tmp_path)
    scales = {row["step"]: row["noise_scale"] for row in state.losses}
    assert scales[min(scales)] is None
    assert any(scale is not None and scale > 0 for scale in scales.values())
