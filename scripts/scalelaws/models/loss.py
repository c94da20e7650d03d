"""Output layer and cross-entropy in one step that never holds the logits of more than a few hundred tokens."""

from typing import Any

import torch
from torch import Tensor

CHUNK = 512


class LinearCrossEntropy(torch.autograd.Function):
    """Sum of the cross-entropies of softmax(h·Wᵀ), its gradients computed in the forward pass, chunk by chunk.

    Exponentials are not normalized: 1/sum goes into the narrow factors h and dh, so that three products and one pass
    of exp are all that touches a (tokens × vocabulary) block. Logits past float range, which a healthy model never
    has, are caught by their sum and done again with the row's maximum taken off.
    """

    @staticmethod
    def forward(ctx: Any, h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
        """h (tokens, width), weight (vocabulary, width), targets (tokens) -> the summed loss in nats, float32."""
        total = torch.zeros((), dtype=torch.float32, device=h_ND.device)
        weight = weight_VD.to(h_ND.dtype)
        grad_h = torch.empty_like(h_ND)
        grad_w_DV = torch.zeros(weight.T.shape, dtype=torch.float32, device=h_ND.device)
        for start in range(0, len(h_ND), CHUNK):
            chunk = slice(start, start + CHUNK)
            h, targets = h_ND[chunk], targets_N[chunk]
            exponentials, sums, top = _exponentials(h, weight)
            total += (torch.log(sums) + top - _target_logits(h, weight, targets)).sum()
            # d loss / d logits = exponentials / sum − onehot; the onehot part follows for all chunks at once.
            torch.div(exponentials @ weight, sums[:, None], out=grad_h[chunk])
            grad_w_DV += (h / sums[:, None]).to(h.dtype).T @ exponentials
        grad_h -= weight[targets_N]
        grad_w = grad_w_DV.T.contiguous().index_add_(0, targets_N, h_ND.float(), alpha=-1)
        ctx.save_for_backward(grad_h, grad_w)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_output: Tensor) -> tuple[Tensor, Tensor, None]:
        """The stored gradients, scaled."""
        grad_h, grad_w = ctx.saved_tensors
        return grad_h * grad_output[0].to(grad_h.dtype), grad_w * grad_output[0], None


def token_losses(h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """The cross-entropy of every token in nats, float32 (tokens,), without gradients; products in h's dtype."""
    weight = weight_VD.to(h_ND.dtype)
    losses = []
    for start in range(0, len(h_ND), CHUNK):
        h, targets = h_ND[start : start + CHUNK], targets_N[start : start + CHUNK]
        _, sums, top = _exponentials(h, weight)
        losses.append(torch.log(sums) + top - _target_logits(h, weight, targets))
    return torch.cat(losses)


def _exponentials(h: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """exp(logits − top), its row sums in float32, and top: zero wherever that cannot overflow."""
    exponentials = (h @ weight.T).exp_()
    sums = _row_sums(exponentials)
    if bool((torch.isfinite(sums) & (sums > 0)).all()):
        return exponentials, sums, torch.zeros_like(sums)
    logits = h @ weight.T
    top = logits.amax(1)
    exponentials = torch.exp(logits - top[:, None])
    return exponentials, _row_sums(exponentials), top.float()


def _row_sums(block: Tensor) -> Tensor:
    """Sums along rows, float32. A bfloat16 sum is rounded at its end, so 64 partial sums are added in float32."""
    whole = block.shape[1] // 64 * 64
    partial = block[:, :whole].unflatten(1, (64, whole // 64)).sum(1) if whole else block[:, :0]
    return partial.float().sum(1) + block[:, whole:].float().sum(1)


def _target_logits(h: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return (h.float() * weight[targets].float()).sum(1)
