"""The kernels for GPUs: on a GPU, or interpreted on a CPU (`make test` does that in a process of their own)."""

import pytest
import torch

from .test_loss import plain, problem

pytest.importorskip("triton", reason="needs Triton, which `make test` installs beside the environment")
from scalelaws.models import gpu_loss

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
EXACT = {"rtol": 1e-4, "atol": 1e-6}


@pytest.mark.parametrize(
    ("tokens", "width", "vocabulary"),
    [
        pytest.param(70, 8, 100, id="narrower than a tile"),
        pytest.param(130, 40, 300, id="two tiles"),
        pytest.param(50, 160, 200, id="two tiles of a wide model"),
        pytest.param(33, 256, 70, id="the widest of the narrow"),
        pytest.param(300, 32, 40, id="several strips of tokens"),
        pytest.param(800, 8, 64, id="fewer strips than were wanted"),
        pytest.param(64, 32, 64, id="whole blocks"),
        pytest.param(40, 8, 20, id="a vocabulary of less than a block"),
        pytest.param(40, 300, 5000, id="wide"),
        pytest.param(40, 300, 4096, id="wide, a vocabulary of whole blocks"),
    ],
)
def test_loss_and_gradients_are_those_of_the_plain_computation(tokens, width, vocabulary):
    h, weight, targets = (part.to(DEVICE) for part in problem(tokens, width, vocabulary, scale=0.3))
    grad_w = torch.ones_like(weight)
    loss, grad_h = gpu_loss.loss_and_gradients(h, weight, targets, grad_w, tokens + 5)
    exact, exact_h, exact_w = (part * tokens / (tokens + 5) for part in plain(h, weight, targets))
    torch.testing.assert_close(loss, exact, **EXACT)
    torch.testing.assert_close(grad_h, exact_h, **EXACT)
    torch.testing.assert_close(grad_w - 1, exact_w, **EXACT)  # it is added to what is there
    each = torch.nn.functional.cross_entropy(h @ weight.T, targets, reduction="none")
    torch.testing.assert_close(gpu_loss.token_losses(h, weight, targets), each, **EXACT)


@pytest.mark.parametrize("width", [16, 300])
def test_logits_beyond_the_range_of_exp_give_the_right_loss_and_gradients(width):
    h, weight, targets = (part.to(DEVICE) for part in problem(40, width, 300, scale=100.0))
    assert (h @ weight.T).max() > 100
    losses = torch.nn.functional.cross_entropy(h @ weight.T, targets, reduction="none")
    torch.testing.assert_close(gpu_loss.token_losses(h, weight, targets), losses, rtol=1e-4, atol=1e-3)
    grad_w = torch.zeros_like(weight)
    loss, grad_h = gpu_loss.loss_and_gradients(h, weight, targets, grad_w, 40)
    for found, right in zip((loss, grad_h, grad_w), plain(h, weight, targets), strict=True):
        torch.testing.assert_close(found, right, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("width", [16, 300])
def test_a_row_out_of_range_changes_nothing_for_others(width):
    h, weight, targets = (part.to(DEVICE) for part in problem(65, width, 64, scale=0.3))
    h[[40, 64]] *= 3000
    grad_w = torch.zeros_like(weight)
    found = (*gpu_loss.loss_and_gradients(h, weight, targets, grad_w, 65), grad_w)
    for near, right in zip(found, plain(h, weight, targets), strict=True):
        torch.testing.assert_close(near, right, rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU: only there are products of bfloat16 numbers as fast as asked")
@pytest.mark.parametrize("width", [64, 160, 256, 384])
def test_in_bfloat16_they_are_as_near_as_its_digits(width):
    h, weight, targets = (part.to(DEVICE) for part in problem(3000, width, 50_257, scale=0.2))
    h, weight = h.bfloat16(), weight.bfloat16().float()
    grad_w = torch.zeros_like(weight)
    loss, grad_h = gpu_loss.loss_and_gradients(h, weight, targets, grad_w, 3000)
    exact, exact_h, exact_w = plain(h.double(), weight.double(), targets)
    assert float(loss) == pytest.approx(float(exact), abs=2e-3)
    for found, right in ((grad_h, exact_h), (grad_w, exact_w)):
        assert (found.double() - right).norm() / right.norm() < 0.01
