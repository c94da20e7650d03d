"""Which tokens of a stream of pairs are asked for, and losses that are theirs alone."""

import numpy as np
import pytest
import torch
from scalelaws.models.loss import loss_and_gradients, token_losses
from scalelaws.training.batches import batch, sequences
from scalelaws.training.evaluate import EvaluationSet, losses_by_position, summary
from scalelaws.training.targets import (
    NOTHING,
    asked_loss_and_gradients,
    asked_token_losses,
    count_asked,
)

MARKS = TARGET, END = 39, 38


def stream(seed=0, pairs=60, longest=30):
    """A stream of pairs, and for each of its ids whether it is one of a target or a target's end."""
    draw = np.random.default_rng(seed)
    ids, of_target = [], []
    for _ in range(pairs):
        source, target = (draw.integers(0, 38, draw.integers(1, longest)).tolist() for _ in range(2))
        ids += [*source, TARGET, *target, END]
        of_target += [False] * (len(source) + 1) + [True] * (len(target) + 1)
    return np.array(ids), np.array(of_target)


@pytest.mark.parametrize("context", [4, 17, 64])
def test_just_the_tokens_of_targets_are_asked_for_wherever_a_window_begins(context):
    ids, of_target = stream()
    starts = np.arange(len(ids) - context)
    inputs, targets = sequences(ids, starts, context, MARKS)
    every = sequences(ids, starts, context)
    assert (inputs == every[0]).all()
    rows = of_target[starts[:, None] + np.arange(1, context + 1)]
    assert (targets == np.where(rows, every[1], NOTHING)).all()


def test_what_a_long_window_is_of_is_found_far_back_in_the_stream():
    long = np.concatenate([np.zeros(9_000, int), [TARGET], np.zeros(9_000, int), [END], np.zeros(9_000, int)])
    _, targets = sequences(long, np.array([8_000, 17_000, 26_000]), 16, MARKS)
    assert (targets != NOTHING).all(1).tolist() == [False, True, False]
    assert (targets == NOTHING).all(1).tolist() == [True, False, True]


def test_a_batch_asks_for_the_same_tokens_of_every_window():
    ids, of_target = stream()
    inputs, targets = batch(ids, 1, 8 * 16, 16, 0, MARKS)
    assert (inputs == batch(ids, 1, 8 * 16, 16, 0)[0]).all()
    assert 0.2 < (targets != NOTHING).mean() < 0.8
    masked = batch(np.where(of_target, ids, NOTHING), 1, 8 * 16, 16, 0)[1]
    assert (targets[targets != NOTHING] == masked[targets != NOTHING]).all()


def test_losses_and_gradients_are_those_of_what_is_asked_for_alone():
    draw = torch.Generator().manual_seed(0)
    h, weight = torch.randn(50, 8, generator=draw), torch.randn(40, 8, generator=draw)
    targets = torch.randint(0, 40, (50,), generator=draw)
    asked = torch.arange(50) % 3 == 0
    masked = torch.where(asked, targets, NOTHING)
    grad, expected = torch.zeros(40, 8), torch.zeros(40, 8)
    loss, grad_h = asked_loss_and_gradients(h, weight, masked, grad, 17)
    plain_loss, plain_grad_h = loss_and_gradients(h[asked], weight, targets[asked], expected, 17)
    assert loss == plain_loss
    assert torch.equal(grad, expected)
    assert torch.equal(grad_h[asked], plain_grad_h)
    assert not grad_h[~asked].any()
    losses = asked_token_losses(h, weight, masked)
    assert torch.equal(losses[asked], token_losses(h[asked], weight, targets[asked]))
    assert not losses[~asked].any()


def test_of_nothing_that_is_asked_for_there_is_no_loss_and_no_gradient():
    h, weight, nothing = torch.ones(5, 8), torch.ones(40, 8), torch.full((5,), NOTHING)
    grad = torch.zeros(40, 8)
    loss, grad_h = asked_loss_and_gradients(h, weight, nothing, grad, 1)
    assert not loss and not grad.any() and not grad_h.any()
    assert not asked_token_losses(h, weight, nothing).any()


def masked_set(targets):
    return EvaluationSet("a", "test", np.zeros_like(targets), targets, 4.0)


def test_a_mean_loss_is_that_of_all_tokens_that_are_asked_for_and_its_error_that_of_a_ratio():
    draw = np.random.default_rng(0)
    whole = draw.normal(3, 1, (2000, 400, 8)) + draw.normal(0, 0.5, (2000, 400, 1))
    counts = draw.integers(0, 9, (2000, 400, 1))
    asked = np.arange(8) < counts
    found = [
        summary(masked_set(np.where(asked[study], 1, NOTHING)), np.where(asked[study], whole[study], 0))
        for study in range(2000)
    ]
    losses, errors = (np.array([one[key] for one in found]) for key in ("loss", "loss_sem"))
    assert losses[0] == pytest.approx(whole[0][asked[0]].mean())
    assert np.sqrt(np.square(errors).mean()) == pytest.approx(losses.std(), rel=0.05)


def test_where_all_windows_ask_for_as_many_the_error_is_that_of_their_means():
    losses = np.random.default_rng(0).normal(3, 1, (50, 8))
    targets = np.tile([1, 1, NOTHING, 1, 1, NOTHING, 1, 1], (50, 1))
    found = summary(masked_set(targets), np.where(targets > 0, losses, 0))
    means = losses[:, targets[0] > 0].mean(1)
    assert found["loss"] == pytest.approx(means.mean())
    assert found["loss_sem"] == pytest.approx(means.std(ddof=1) / np.sqrt(50))


def test_losses_by_position_are_of_the_windows_that_ask_for_that_position():
    targets = np.array([[NOTHING, 1, 1], [NOTHING, NOTHING, 1], [1, 1, 1]])
    losses = np.where(targets > 0, [[0, 1, 2], [0, 0, 4], [7, 5, 9.0]], 0)
    rows = losses_by_position(masked_set(targets), losses)
    assert [(row["position"], row["loss"]) for row in rows] == [(2, 3.0), (3, 5.0)]
    assert rows[0]["loss_sem"] == pytest.approx(np.std([1, 5], ddof=1) / np.sqrt(2))
    assert count_asked(targets) == 6
