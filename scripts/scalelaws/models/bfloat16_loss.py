"""Sums of exponentials and their gradients for the output layer, of bfloat16 numbers on a CPU.

Where a CPU multiplies such numbers, products are so fast that exponentials and memory cost as much each: exponentials
are C++ and are made in place, in blocks that the cache holds.
"""

import torch
from torch import Tensor

from scalelaws.models.exponentials import exponentiate
from scalelaws.models.loss import in_range

CACHED_LOGITS = 1 << 20
"""Logits that a core's cache holds, with what they are multiplied by."""
FEWEST_ROWS = 64
"""Rows of logits that products are still fast with."""
BLOCK = (512, 512)
"""Tokens and rows of the vocabulary of a block of logits, where not all of a token's are made at once."""


def sums(h_ND: Tensor, weight: Tensor) -> Tensor:
    """The sum of exponentials of each token's logits, float32."""
    rows, columns = BLOCK
    found = torch.zeros(len(h_ND))
    for h, own in zip(h_ND.split(rows), found.split(rows), strict=True):
        for w in weight.split(columns):
            exponentiate(h @ w.T, own)
    return found


def sums_and_gradients(h_ND: Tensor, weight: Tensor, grad_w_VD: Tensor, count: int) -> tuple[Tensor, Tensor] | None:
    """`sums`, and the gradient by h of their logarithms over `count`, like h; that by the weight goes to `grad_w_VD`.

    None, and nothing added, where a sum is out of range.
    """
    by_rows = len(weight) * FEWEST_ROWS <= CACHED_LOGITS
    return (_by_rows if by_rows else _twice)(h_ND, weight, grad_w_VD, count)


def _by_rows(h_ND: Tensor, weight: Tensor, grad_w_VD: Tensor, count: int) -> tuple[Tensor, Tensor] | None:
    """All logits of some tokens at a time."""
    V, D = weight.shape
    size = min(CACHED_LOGITS // V, len(h_ND))
    logits, part = h_ND.new_empty(size, V), h_ND.new_empty(D, V)
    grad_w_DV, grad_h, found = torch.zeros(D, V), torch.empty_like(h_ND), torch.zeros(len(h_ND))
    for h, grad, own in zip(h_ND.split(size), grad_h.split(size), found.split(size), strict=True):
        block = torch.mm(h, weight.T, out=logits[: len(h)])
        exponentiate(block, own)
        scale = 1 / (own[:, None] * count)
        torch.mul(block @ weight, scale, out=grad)
        grad_w_DV += torch.mm((h * scale).to(h.dtype).T, block, out=part)
    if not in_range(found, count):
        return None
    grad_w_VD += grad_w_DV.T
    return found, grad_h


def _twice(h_ND: Tensor, weight: Tensor, grad_w_VD: Tensor, count: int) -> tuple[Tensor, Tensor] | None:
    """Block by block, all logits made twice: for the sums, and once these are known for the gradients."""
    rows, columns = BLOCK
    found = sums(h_ND, weight)
    if not in_range(found, count):
        return None
    scale = 1 / (found[:, None] * count)
    factors = (h_ND * scale).to(h_ND.dtype).split(rows)
    mixed, unused = torch.zeros(h_ND.shape), torch.zeros(rows)
    for w, grad_w in zip(weight.split(columns), grad_w_VD.split(columns), strict=True):
        for h, factor, total in zip(h_ND.split(rows), factors, mixed.split(rows), strict=True):
            block = h @ w.T
            exponentiate(block, unused)
            total += block @ w
            grad_w += block.T @ factor
    return found, (mixed * scale).to(h_ND.dtype)
