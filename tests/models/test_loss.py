import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.models.loss import CPU_BLOCK, loss_and_gradients, token_losses


def problem(tokens: int, width: int, vocabulary: int, scale: float = 1.0, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(tokens, width, generator=generator).mul(scale)
    weight = torch.randn(vocabulary, width, generator=generator)
    return h, weight, torch.randint(vocabulary, (tokens,), generator=generator)


def plain(h, weight, targets):
    """Loss and gradients by automatic differentiation of all logits."""
    h, weight = h.clone().requires_grad_(True), weight.clone().requires_grad_(True)
    loss = F.cross_entropy(h @ weight.T, targets)
    loss.backward()
    return loss.detach(), h.grad, weight.grad


@settings(max_examples=12, deadline=None)
@given(st.integers(1, CPU_BLOCK[0] + 3), st.integers(2, CPU_BLOCK[1] + 300), st.integers(0, 99))
def test_loss_and_gradients_are_those_of_the_plain_computation(tokens, vocabulary, seed):
    h, weight, targets = problem(tokens, 8, vocabulary, seed=seed)
    grad_w = torch.ones_like(weight)
    loss, grad_h = loss_and_gradients(h, weight, targets, grad_w, tokens)
    exact, exact_h, exact_w = plain(h, weight, targets)
    torch.testing.assert_close(loss, exact, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(grad_h, exact_h, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(grad_w - 1, exact_w, rtol=1e-4, atol=1e-6)  # it is added to what is there
    losses = F.cross_entropy(h @ weight.T, targets, reduction="none")
    torch.testing.assert_close(token_losses(h, weight, targets), losses, rtol=1e-4, atol=1e-4)


def test_parts_of_a_batch_add_up_to_the_whole():
    h, weight, targets = problem(60, 8, 100)
    whole, parts = torch.zeros_like(weight), torch.zeros_like(weight)
    loss, grad_h = loss_and_gradients(h, weight, targets, whole, 60)
    first, second = (loss_and_gradients(h[s], weight, targets[s], parts, 60) for s in (slice(0, 20), slice(20, 60)))
    torch.testing.assert_close(first[0] + second[0], loss)
    torch.testing.assert_close(torch.cat([first[1], second[1]]), grad_h)
    torch.testing.assert_close(parts, whole)


def test_logits_beyond_the_range_of_exp_give_the_right_loss():
    h, weight, targets = problem(20, 8, 1500, scale=100.0)
    assert (h @ weight.T).max() > 100  # exp overflows in float32 past 88
    grad_w = torch.zeros_like(weight)
    loss, grad_h = loss_and_gradients(h, weight, targets, grad_w, 20)
    exact, exact_h, exact_w = plain(h, weight, targets)
    torch.testing.assert_close(loss, exact)
    torch.testing.assert_close(grad_h, exact_h, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(grad_w, exact_w, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(token_losses(h, weight, targets).mean(), exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("largest", [-85.0, 65.0, 75.0, 80.0, 87.0])
def test_logits_near_the_ends_of_the_range_of_exp_give_the_right_gradients(largest, dtype):
    h, weight, targets = problem(20, 8, 1500)
    h[:, 0], weight[:, 0] = 1.0, largest  # shifts all logits, which changes neither loss nor gradients
    weight[:, 1:] *= 0.5
    h, weight = h.to(dtype), weight.to(dtype).float()
    count = 100_000
    grad_w = torch.zeros_like(weight)
    loss, grad_h = loss_and_gradients(h, weight, targets, grad_w, count)
    exact, exact_h, exact_w = (part * 20 / count for part in plain(h.double(), weight.double(), targets))
    near = {"rtol": 1e-3, "check_dtype": False} if dtype == torch.float32 else {"rtol": 0.1, "check_dtype": False}
    torch.testing.assert_close(loss, exact, atol=0, **near)
    for found, right in ((grad_h[:, 1:], exact_h[:, 1:]), (grad_w, exact_w)):
        torch.testing.assert_close(found, right, atol=0.02 * float(right.abs().max()), **near)


def test_bfloat16_losses_are_unbiased_within_a_thousandth_of_a_nat():
    h, weight, targets = problem(4096, 32, 4096, scale=0.5)
    exact = F.cross_entropy(h @ weight.T, targets)
    rounded = token_losses(h.bfloat16(), weight, targets).mean()
    # Rounding the inputs themselves is not the loss's doing: compare on the rounded inputs.
    same_inputs = F.cross_entropy(h.bfloat16().float() @ weight.bfloat16().float().T, targets)
    assert abs(rounded - same_inputs) < 1e-3
    assert abs(rounded - exact) < 1e-2
