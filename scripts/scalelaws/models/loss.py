"""Output layer and cross-entropy together, block by block of tokens and vocabulary, so that caches hold the logits."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from scalelaws.models.exponentials import can_exponentiate

CPU_BLOCK = (512, 1024)
"""Tokens and vocabulary rows of a block; with a vocabulary of 50,257 1.2 to 1.7 times as fast as whole rows."""
GPU_ROWS = 8192
"""Tokens whose logits exist at a time where a wide model is on a GPU."""
LARGEST_FACTOR = 1e32
"""Sums of exponentials, and what they are divided into, stay below this and above its inverse: near the ends of float32
(3e38 and 1e-38) they would overflow, or lose the digits of small numbers that are multiplied by them."""


def loss_and_gradients(
    h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, grad_w_VD: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Cross-entropies of softmax(h·Wᵀ) in nats, their sum over `count`, and the gradient of that by h, (tokens, width).

    The gradient by the weight is added to `grad_w_VD`; to be called without recording derivatives. Exponentials are not
    normalized: 1/sum goes into the narrow factors h and dh, so three products and one pass of exp are all that touches
    a block of (tokens, vocabulary).
    """
    if h_ND.is_cuda:
        from scalelaws.models import gpu_loss

        return gpu_loss.loss_and_gradients(h_ND, weight_VD, targets_N, grad_w_VD, count)
    weight = weight_VD.to(h_ND.dtype)
    logs, grad_h = _logs_and_gradients(h_ND, weight, grad_w_VD, count)
    # d loss / d logits = exponentials / sum − onehot; here follows the onehot part.
    grad_h -= weight[targets_N] / count
    grad_w_VD.index_add_(0, targets_N, h_ND.float(), alpha=-1 / count)
    return (logs - _target_logits(h_ND, weight, targets_N)).sum() / count, grad_h


def _logs_and_gradients(h_ND: Tensor, weight: Tensor, grad_w_VD: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The logarithm of each token's sum of exponentials, float32 (tokens,), and its gradient by h over `count`, like h.

    That by the weight is added to `grad_w_VD`.
    """
    if _has_own_exponentials(h_ND):
        from scalelaws.models import bfloat16_loss

        found = bfloat16_loss.sums_and_gradients(h_ND, weight, grad_w_VD, count)
        if found is not None:
            return torch.log(found[0]), found[1]
    rows, columns = CPU_BLOCK
    weights = weight.split(columns)
    grads_w_DV = [torch.zeros(w.T.shape, dtype=torch.float32, device=w.device) for w in weights]
    grad_h = torch.empty_like(h_ND)
    logs = []
    for h, grad in zip(h_ND.split(rows), grad_h.split(rows), strict=True):
        exponentials, sums, top = _exponentials(h, weights, count)
        logs.append(torch.log(sums) + top)
        scale = 1 / (sums[:, None] * count)
        scaled = (h * scale).to(h.dtype).T
        # Lying by columns: MKL then takes half the time for the narrowest models, and no longer for others.
        mixed = torch.zeros(h.T.shape, dtype=torch.float32, device=h.device).T
        for block, w, grad_w in zip(exponentials, weights, grads_w_DV, strict=True):
            _add_product(mixed, block, w)
            _add_product(grad_w, scaled, block)
        torch.mul(mixed, scale, out=grad)
    for grad_w, out in zip(grads_w_DV, grad_w_VD.split(columns), strict=True):
        out += grad_w.T
    return torch.cat(logs), grad_h


def token_losses(h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """The cross-entropy of every token in nats, float32 (tokens,), without gradients; products in h's dtype."""
    if h_ND.is_cuda:
        from scalelaws.models import gpu_loss

        return gpu_loss.token_losses(h_ND, weight_VD, targets_N)
    weight = weight_VD.to(h_ND.dtype)
    return _logs(h_ND, weight) - _target_logits(h_ND, weight, targets_N)


def _logs(h_ND: Tensor, weight: Tensor) -> Tensor:
    """The logarithm of each token's sum of exponentials, float32 (tokens,)."""
    if _has_own_exponentials(h_ND):
        from scalelaws.models import bfloat16_loss

        found = bfloat16_loss.sums(h_ND, weight)
        if in_range(found, 1):
            return torch.log(found)
    rows, columns = CPU_BLOCK
    weights = weight.split(columns)
    logs = []
    for h in h_ND.split(rows):
        sums = torch.stack([_row_sums(block) for block in _unshifted(h, weights)]).sum(0)
        top = torch.zeros_like(sums)
        if not in_range(sums, 1):
            _, sums, top = _exponentials(h, weights, 1)
        logs.append(torch.log(sums) + top)
    return torch.cat(logs)


def _has_own_exponentials(h: Tensor) -> bool:
    """Whether logits' exponentials are made in C++: those of bfloat16 numbers on a CPU with a compiler."""
    return h.dtype == torch.bfloat16 and h.device.type == "cpu" and can_exponentiate()


def _exponentials(h: Tensor, weights: Sequence[Tensor], count: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """exp(logits − top) for every block of the vocabulary, its row sums over all of them in float32, and top.

    Top is zero. Logits that exp or 1/(sum·count) has no range for, which a healthy model never has, are caught by their
    sums and done again with each row's maximum taken off.
    """
    blocks = list(_unshifted(h, weights))
    sums = torch.stack([_row_sums(block) for block in blocks]).sum(0)
    if in_range(sums, count):
        return blocks, sums, torch.zeros_like(sums)
    logits = [h @ w.T for w in weights]
    top = torch.stack([block.amax(1) for block in logits]).amax(0)
    blocks = [block.sub_(top[:, None]).exp_() for block in logits]
    return blocks, torch.stack([_row_sums(block) for block in blocks]).sum(0), top.float()


def _unshifted(h: Tensor, weights: Sequence[Tensor]) -> Iterator[Tensor]:
    """exp(logits) block by block. In float32 as a power of 2, which takes less than half the time of torch's exp."""
    if h.dtype == torch.float32:
        h = h * math.log2(math.e)
        return ((h @ w.T).exp2_() for w in weights)
    return ((h @ w.T).exp_() for w in weights)


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """total += a @ b, for a float32 total."""
    if a.dtype == torch.float32:
        total.addmm_(a, b)
    else:
        total += a @ b


def in_range(sums: Tensor, count: int) -> bool:
    """Whether all sums of exponentials, and their inverses over `count`, have their digits in float32."""
    return bool(((sums * count < LARGEST_FACTOR) & (sums > 1 / LARGEST_FACTOR)).all())


def _row_sums(block: Tensor) -> Tensor:
    """Sums along rows, float32. A bfloat16 sum is rounded at its end, so 64 partial sums are added in float32."""
    if block.dtype == torch.float32:
        return block.sum(1)
    whole = block.shape[1] // 64 * 64
    partial = block[:, :whole].unflatten(1, (64, whole // 64)).sum(1) if whole else block[:, :0]
    return partial.float().sum(1) + block[:, whole:].float().sum(1)


def _target_logits(h: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return (h.float() * weight[targets].float()).sum(1)
