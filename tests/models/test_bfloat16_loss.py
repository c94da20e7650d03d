import pytest
import torch
from scalelaws.models import bfloat16_loss, loss
from scalelaws.models.exponentials import can_exponentiate

from .test_loss import plain, problem

pytestmark = pytest.mark.skipif(not can_exponentiate(), reason="needs a C++ compiler for this processor")
SIZES = [
    pytest.param(300, 24, 1500, id="by rows"),
    pytest.param(700, 24, 17_000, id="all logits twice"),
]


@pytest.mark.parametrize(("tokens", "width", "vocabulary"), SIZES)
def test_losses_and_gradients_are_the_plain_ones_of_the_same_numbers(tokens, width, vocabulary):
    h, weight, targets = problem(tokens, width, vocabulary)
    h, weight = h.bfloat16(), weight.bfloat16().float()
    grad_w = torch.ones_like(weight)
    found, grad_h = loss.loss_and_gradients(h, weight, targets, grad_w, 2 * tokens)
    exact, exact_h, exact_w = (part / 2 for part in plain(h.double(), weight.double(), targets))
    assert float(found) == pytest.approx(float(exact), abs=5e-3)  # logits are rounded too
    for near, right in ((grad_h, exact_h), (grad_w - 1, exact_w)):
        assert (near.double() - right).norm() / right.norm() < 0.01
    assert float(loss.token_losses(h, weight, targets).mean()) == pytest.approx(2 * float(exact), abs=1e-2)


def test_rows_of_several_blocks_add_up(monkeypatch):
    h, weight, targets = problem(301, 24, 900)
    monkeypatch.setattr(bfloat16_loss, "CACHED_LOGITS", 100 * 900)
    h, grad_w = h.bfloat16(), torch.zeros_like(weight)
    found, grad_h = loss.loss_and_gradients(h, weight, targets, grad_w, 301)
    exact, exact_h, exact_w = plain(h.double(), weight.bfloat16().double(), targets)
    assert float(found) == pytest.approx(float(exact), abs=5e-3)
    for near, right in ((grad_h, exact_h), (grad_w, exact_w)):
        assert (near.double() - right).norm() / right.norm() < 0.01


@pytest.mark.parametrize(("tokens", "width", "vocabulary"), SIZES)
def test_both_ways_and_the_one_without_a_compiler_agree(tokens, width, vocabulary, monkeypatch):
    h, weight, targets = problem(tokens, width, vocabulary, scale=0.3)
    h, results = h.bfloat16(), []
    for cached, compiled in ((1 << 30, True), (0, True), (0, False)):
        monkeypatch.setattr(bfloat16_loss, "CACHED_LOGITS", cached)
        monkeypatch.setattr(loss, "can_exponentiate", lambda compiled=compiled: compiled)
        grad_w = torch.zeros_like(weight)
        results.append((*loss.loss_and_gradients(h, weight, targets, grad_w, tokens), grad_w))
    for other in results[1:]:
        for near, right in zip(other, results[0], strict=True):
            assert (near.double() - right.double()).norm() <= 0.01 * right.double().norm()


@pytest.mark.parametrize("cached", [0, 1 << 20])
def test_a_sum_out_of_range_is_refused_and_adds_nothing(cached, monkeypatch):
    monkeypatch.setattr(bfloat16_loss, "CACHED_LOGITS", cached)
    h, weight, _ = problem(600, 8, 700)
    h[599] *= 1000
    grad_w = torch.zeros_like(weight)
    assert bfloat16_loss.sums_and_gradients(h.bfloat16(), weight.bfloat16(), grad_w, 600) is None
    assert not grad_w.any()
