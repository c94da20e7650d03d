import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.models.loss import CHUNK, LinearCrossEntropy, token_losses


def problem(tokens: int, width: int, vocabulary: int, scale: float = 1.0, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(tokens, width, generator=generator).mul(scale).requires_grad_(True)
    weight = torch.randn(vocabulary, width, generator=generator).requires_grad_(True)
    return h, weight, torch.randint(vocabulary, (tokens,), generator=generator)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, CHUNK * 2 + 3), st.integers(2, 300), st.integers(0, 99))
def test_loss_and_gradients_are_those_of_the_plain_computation(tokens, vocabulary, seed):
    h, weight, targets = problem(tokens, 8, vocabulary, seed=seed)
    LinearCrossEntropy.apply(h, weight, targets).backward()
    fused = h.grad.clone(), weight.grad.clone()
    h.grad = weight.grad = None
    plain = F.cross_entropy(h @ weight.T, targets, reduction="sum")
    plain.backward()
    torch.testing.assert_close(LinearCrossEntropy.apply(h, weight, targets), plain, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(fused[0], h.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(fused[1], weight.grad, rtol=1e-4, atol=1e-3)
    losses = F.cross_entropy(h @ weight.T, targets, reduction="none")
    torch.testing.assert_close(token_losses(h, weight, targets), losses, rtol=1e-4, atol=1e-4)


def test_logits_beyond_the_range_of_exp_give_the_right_loss():
    h, weight, targets = problem(20, 8, 100, scale=100.0)
    logits = h @ weight.T
    assert logits.max() > 100  # exp overflows in float32 past 88
    torch.testing.assert_close(
        LinearCrossEntropy.apply(h, weight, targets), F.cross_entropy(logits, targets, reduction="sum")
    )


def test_bfloat16_losses_are_unbiased_within_a_thousandth_of_a_nat():
    h, weight, targets = problem(4096, 32, 4096, scale=0.5)
    exact = F.cross_entropy(h @ weight.T, targets)
    rounded = token_losses(h.bfloat16(), weight, targets).mean()
    # Rounding the inputs themselves is not the loss's doing: compare on the rounded inputs.
    same_inputs = F.cross_entropy(h.bfloat16().float() @ weight.bfloat16().float().T, targets)
    assert abs(rounded - same_inputs) < 1e-3
    assert abs(rounded - exact) < 1e-2
