"""Runs of encoder-decoders on pairs: they learn through the source, and go on from a checkpoint bit for bit."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from scalelaws.errors import InputError
from scalelaws.training.batches import batch
from scalelaws.training.branches import trunks_and_branches
from scalelaws.training.engine import Engine
from scalelaws.training.evaluate import evaluation_sets
from scalelaws.training.files import train_planned
from scalelaws.training.loop import FORKS
from scalelaws.training.state import initial_state
from scalelaws.training.targets import NOTHING

from .made import write_plan, write_tokens
from .test_loop import RUN, result_loss, token_file, trained

LETTERS, TARGET, END = 16, 18, 17
PAIRED = replace(
    RUN, run="encoder_decoder-1+1L16d-test", family="encoder_decoder", n_layer=2, encoder_layers=1, vocabulary=19,
    context=32, batch_tokens=512, dataset_tokens=30_000, steps=240, learning_rate=0.02, warmup_steps=20,
    evaluation_tokens=1600,
)  # fmt: skip


def told(seed, tokens, order=-1):
    """A stream of pairs whose target is the source, backwards or as it is: of random letters, each worth ln 16 nats."""
    draw, ids = np.random.default_rng(seed), []
    while len(ids) < tokens:
        source = draw.integers(0, LETTERS, draw.integers(4, 8)).tolist()
        ids += [*source, TARGET, *source[::order], END]
    return token_file(np.array(ids, np.uint16))


@pytest.fixture(scope="module")
def pairs():
    return {("pages", "train"): told(0, 34_000), ("pages", "test"): told(1, 4_000)}


@pytest.mark.parametrize(("positions", "order"), [("learned", -1), ("rotary", 1)])
def test_a_target_that_only_its_source_tells_is_learned(tmp_path, positions, order):
    pairs = {("pages", "train"): told(0, 34_000, order), ("pages", "test"): told(1, 4_000, order)}
    state = trained(replace(PAIRED, positions=positions), pairs, tmp_path)
    blind = np.log(LETTERS) * 5.5 / 6.5  # without the source a letter costs ln 16; only the target's end can be guessed
    whole = [
        row["loss"] for row in state.positions if row["position"] > 16
    ]  # of pairs that the window's edge left whole
    assert result_loss(state, "pages", "test") < 0.5 * blind
    assert np.mean(whole) < 0.2 * blind


@pytest.mark.parametrize("averaging", [0.0, 0.1])
def test_a_killed_run_goes_on_to_the_same_result_bit_for_bit(pairs, tmp_path, monkeypatch, averaging):
    run = replace(PAIRED, steps=40, averaging=averaging, dropout=0.1)
    undisturbed = trained(run, pairs, tmp_path / "undisturbed")
    plain_queue = Engine.queue

    def killed_at_step_23(engine, inputs, targets):
        if engine.state.step == 23:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain_queue(engine, inputs, targets)

    monkeypatch.setattr(Engine, "queue", killed_at_step_23)
    with pytest.raises(SystemExit):
        trained(run, pairs, tmp_path / "killed")
    monkeypatch.setattr(Engine, "queue", plain_queue)
    resumed = trained(run, pairs, tmp_path / "killed")
    assert torch.equal(resumed.best, undisturbed.best)
    assert resumed.losses == undisturbed.losses


def test_parts_of_a_batch_weigh_as_many_tokens_as_they_ask_for(pairs, monkeypatch):
    """Whatever is taken at once, the loss is the mean over the whole batch's targets."""
    from scalelaws.training import engine as engine_module
    from scalelaws.training.state import initial_state

    run, ids = replace(PAIRED, precision="float32"), pairs["pages", "train"].ids
    found = []
    for at_once in (16, 2):
        monkeypatch.setitem(engine_module.TOKENS_AT_ONCE, "cpu", at_once * run.context)
        engine = Engine(run, initial_state(run.shape, run.seed))
        found.append([engine.update(*batch(ids, step, 512, 32, 0, run.shape.marks)) for step in range(1, 6)])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_windows_without_a_token_of_a_target_are_refused(pairs):
    sources = token_file(np.zeros(4_000, np.uint16))
    with pytest.raises(InputError, match="fewer than two of its windows hold a token of a target"):
        evaluation_sets(PAIRED, {**pairs, ("other", "test"): sources}, "pages")


def test_a_branch_of_a_trunk_gives_what_a_run_of_its_own_would_have_bit_for_bit(pairs, tmp_path):
    base = replace(PAIRED, averaging=0.0, warmup_steps=2, precision="float32")
    trunk, branch = trunks_and_branches([replace(base, dataset_tokens=20 * 512, steps=20)], "config")
    trained(trunk, pairs, tmp_path / "trunk", owner="trunk")
    grown = trained(branch, pairs, tmp_path / "branch", trunk=tmp_path / "trunk" / FORKS)
    assert grown.first_step > 0
    alone = trained(replace(branch, first_step=0), pairs, tmp_path / "alone")
    assert torch.equal(grown.weights, alone.weights)


def test_tokens_of_texts_that_are_no_pairs_are_refused(tmp_path):
    run = replace(PAIRED, run="some-run", parameters=PAIRED.shape.parameters)
    write_plan(tmp_path, [run])
    for name in ("pages.train", "pages.test"):
        write_tokens(tmp_path, name, np.zeros(40_000), PAIRED.vocabulary)
    with pytest.raises(
        InputError, match=r"json: its separator and end-of-document id are None and 18\. Learn the study"
    ):
        train_planned(tmp_path / "plan.csv", "some-run", None, threads=1)


def test_a_batch_of_sources_alone_counts_and_changes_nothing(pairs):
    ids = pairs["pages", "train"].ids
    engine = Engine(PAIRED, initial_state(PAIRED.shape, 0))
    for step in range(1, 4):
        engine.update(*batch(ids, step, 512, 32, 0, PAIRED.shape.marks))
    before, losses = engine.state.weights.clone(), list(engine.state.recent_losses)
    inputs, targets = batch(ids, 4, 512, 32, 0, PAIRED.shape.marks)
    engine.update(inputs, np.full_like(targets, NOTHING))
    assert (engine.state.step, engine.state.status, engine.state.recent_losses) == (4, "running", losses)
    assert torch.equal(engine.state.weights, before)


def test_one_window_with_a_target_has_no_error_and_is_refused():
    sources = np.full(4_000, 3, np.uint16)
    sources[2_000:2_010], sources[2_010:2_020], sources[2_020] = TARGET, 4, END
    files = {("pages", "train"): told(0, 34_000), ("pages", "test"): token_file(sources)}
    with pytest.raises(InputError, match="fewer than two of its windows hold a token of a target"):
        evaluation_sets(PAIRED, files, "pages")
