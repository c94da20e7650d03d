"""Output layer and cross-entropy together on a GPU, as kernels in Triton (which comes with PyTorch for GPUs).

Narrow models, whose time is their output layer's: logits and exponentials stay on the chip. A first kernel goes
through the vocabulary for a block of tokens, as flash attention goes through keys (Dao et al. 2022), a second through
the tokens for a block of the vocabulary, and makes the exponentials anew. Wide models: products by cuBLAS, block by
block of tokens, and one kernel that turns a block of logits into probabilities where they lie.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from scalelaws.models.loss import GPU_ROWS

NARROW = 256
"""The largest width whose rows of products fit into registers."""
ALIGNED = 64
"""Rows of logits begin at multiples of so many, which products are twice as fast with."""
LOG2_E, LN_2 = tl.constexpr(math.log2(math.e)), tl.constexpr(math.log(2))
PROGRAMS = 264
"""Two for each processor of an H100."""


def loss_and_gradients(
    h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, grad_w_VD: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """As in scalelaws.models.loss."""
    losses, grad_h = torch.empty(len(h_ND), device=h_ND.device), torch.empty_like(h_ND)
    weight = weight_VD.to(h_ND.dtype)
    if not _is_narrow(h_ND):
        _wide(h_ND, weight, targets_N, losses, (grad_h, grad_w_VD), count)
    else:
        logs = torch.empty_like(losses)
        _by_tokens(h_ND, weight, targets_N, losses, (logs, grad_h, grad_w_VD), count)
        _by_vocabulary(h_ND, weight, logs, grad_w_VD, count)
    return losses.sum() / count, grad_h


def token_losses(h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """As in scalelaws.models.loss."""
    losses = torch.empty(len(h_ND), device=h_ND.device)
    weight = weight_VD.to(h_ND.dtype)
    if not _is_narrow(h_ND):
        _wide(h_ND, weight, targets_N, losses, None, 1)
    else:
        _by_tokens(h_ND, weight, targets_N, losses, None, 1)
    return losses


def _is_narrow(h: Tensor) -> bool:
    """Whether logits stay on the chip: those of float32 numbers do not on a GPU, which is slow at such products."""
    return h.shape[1] <= NARROW and not (h.is_cuda and h.dtype == torch.float32)


def _wide(
    h_ND: Tensor,
    weight: Tensor,
    targets_N: Tensor,
    losses_N: Tensor,
    gradients: tuple[Tensor, Tensor] | None,
    count: int,
) -> None:
    V = len(weight)
    padded = torch.nn.functional.pad(weight, (0, 0, 0, -V % ALIGNED))
    for start in range(0, len(h_ND), GPU_ROWS):
        part = slice(start, start + GPU_ROWS)
        h, targets = h_ND[part], targets_N[part]
        logits = h @ padded.T
        _probabilities[(len(h),)](
            logits, targets, losses_N[part], V, logits.stride(0), BLOCK=4096, KEEP=gradients is not None, num_warps=8
        )
        if gradients is not None:
            grad_h, grad_w = gradients
            grad_h[part] = (logits @ padded - weight[targets]) / count
            grad_w += (logits.T @ (h / count))[:V]
            grad_w.index_add_(0, targets, h.float(), alpha=-1 / count)


def _by_tokens(
    h: Tensor,
    weight: Tensor,
    targets: Tensor,
    losses: Tensor,
    gradients: tuple[Tensor, Tensor, Tensor] | None,
    count: int,
) -> None:
    N, D = h.shape
    rows, columns, warps, stages = _blocks(h, 0)
    logs, grad_h, grad_w = gradients or (losses, h, losses)
    _token_kernel[(triton.cdiv(N, rows),)](
        h, weight, targets, losses, logs, grad_h, grad_w, N, len(weight), 1 / count, D, *_tiles(D),
        ROWS=rows, COLUMNS=columns, LEARNS=gradients is not None, num_warps=warps, num_stages=stages,
    )  # fmt: skip


def _by_vocabulary(h: Tensor, weight: Tensor, logs: Tensor, grad_w: Tensor, count: int) -> None:
    N, D = h.shape
    rows, columns, warps, stages = _blocks(h, 1)
    blocks = triton.cdiv(len(weight), columns)
    strips = max(1, min(PROGRAMS // blocks, N // (4 * rows)))
    _vocabulary_kernel[(blocks, strips)](
        h, weight, logs, grad_w, N, len(weight), 1 / count, triton.cdiv(N, strips * rows) * rows, D, *_tiles(D),
        ROWS=rows, COLUMNS=columns, SHARED=strips > 1, num_warps=warps, num_stages=stages,
    )  # fmt: skip


def _tiles(width: int) -> tuple[int, int]:
    """Two powers of two that a width is covered by, of 16 to 128; the second is 0 where one does."""
    first = min(128, max(16, 1 << width.bit_length() - 1))
    return first, max(16, triton.next_power_of_2(width - first)) if width > first else 0


def _blocks(h: Tensor, kernel: int) -> tuple[int, int, int, int]:
    """Tokens and rows of the vocabulary of a block, warps and stages, of each of the two kernels.

    Chosen on an H200 among eight at widths 64 and 160, where the best was 1.1 to 1.5 times as fast as the second class.
    """
    width = sum(_tiles(h.shape[1]))
    if h.dtype == torch.float32:
        return 32, 32, 4, 1
    if width > 192:
        return ((128, 64, 8, 2), (64, 64, 4, 3))[kernel]
    return 128 if kernel == 1 and width <= 128 else 64, 64, 4, 3


@triton.jit
def _tile(base, rows, first, limit, D: tl.constexpr, WIDTH: tl.constexpr):
    """Rows of a matrix of width D, columns from `first` on; zeros where the matrix ends."""
    columns = first + tl.arange(0, WIDTH)
    return tl.load(base + rows[:, None] * D + columns, mask=(rows < limit)[:, None] & (columns < D), other=0.0)


@triton.jit
def _add_tile(base, rows, first, values, limit, D: tl.constexpr, WIDTH: tl.constexpr):
    columns = first + tl.arange(0, WIDTH)
    tl.atomic_add(
        base + rows[:, None] * D + columns, values, mask=(rows < limit)[:, None] & (columns < D), sem="relaxed"
    )


@triton.jit
def _product(a, b, total):
    return tl.dot(a, b, total, input_precision="ieee")


@triton.jit
def _token_kernel(
    h, weight, targets, losses, logs, grad_h, grad_w, N, V, scale,
    D: tl.constexpr, A: tl.constexpr, B: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, LEARNS: tl.constexpr,
):  # fmt: skip
    """Losses of a block of tokens; with LEARNS the logarithm (to base 2) of each row's sum of exponentials, the
    gradient by h, and of that by the weight the part of the targets."""
    rows = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    ha = _tile(h, rows, 0, N, D, A)
    hb = _tile(h, rows, A, N, D, B) if B else ha
    top, sums = tl.full([ROWS], float("-inf"), tl.float32), tl.zeros([ROWS], tl.float32)
    mixed_a = tl.zeros([ROWS, A], tl.float32)
    mixed_b = tl.zeros([ROWS, B if B else 1], tl.float32)
    for first in range(0, V, COLUMNS):
        columns = first + tl.arange(0, COLUMNS)
        wa = _tile(weight, columns, 0, V, D, A)
        logits = _product(ha, tl.trans(wa), tl.zeros([ROWS, COLUMNS], tl.float32))
        if B:
            wb = _tile(weight, columns, A, V, D, B)
            logits = _product(hb, tl.trans(wb), logits)
        logits = tl.where(columns < V, logits * LOG2_E, float("-inf"))
        newest = tl.maximum(top, tl.max(logits, 1))
        exponentials = tl.exp2(logits - newest[:, None])
        kept = tl.exp2(top - newest)
        top, sums = newest, sums * kept + tl.sum(exponentials, 1)
        if LEARNS:
            mixed_a = _product(exponentials.to(wa.dtype), wa, mixed_a * kept[:, None])
            if B:
                mixed_b = _product(exponentials.to(wa.dtype), wb, mixed_b * kept[:, None])
    target = tl.load(targets + rows, mask=rows < N, other=0).to(tl.int64)
    ta = _tile(weight, target, 0, V, D, A).to(tl.float32)
    aimed = tl.sum(ta * ha.to(tl.float32), 1)
    if B:
        tb = _tile(weight, target, A, V, D, B).to(tl.float32)
        aimed += tl.sum(tb * hb.to(tl.float32), 1)
    log = top + tl.log2(sums)
    tl.store(losses + rows, log * LN_2 - aimed, mask=rows < N)
    if LEARNS:
        tl.store(logs + rows, log, mask=rows < N)
        nowhere = tl.where(rows < N, target, V)
        _keep_gradient(grad_h, rows, 0, (mixed_a / sums[:, None] - ta) * scale, N, D, A)
        _add_tile(grad_w, nowhere, 0, ha.to(tl.float32) * -scale, V, D, A)
        if B:
            _keep_gradient(grad_h, rows, A, (mixed_b / sums[:, None] - tb) * scale, N, D, B)
            _add_tile(grad_w, nowhere, A, hb.to(tl.float32) * -scale, V, D, B)


@triton.jit
def _keep_gradient(base, rows, first, values, limit, D: tl.constexpr, WIDTH: tl.constexpr):
    columns = first + tl.arange(0, WIDTH)
    tl.store(
        base + rows[:, None] * D + columns,
        values.to(base.dtype.element_ty),
        mask=(rows < limit)[:, None] & (columns < D),
    )


@triton.jit
def _vocabulary_kernel(
    h, weight, logs, grad_w, N, V, scale, strip,
    D: tl.constexpr, A: tl.constexpr, B: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, SHARED: tl.constexpr,
):  # fmt: skip
    """Add to the gradient by a block of the weight what a strip of the tokens gives, but for the targets' part."""
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    wa = _tile(weight, columns, 0, V, D, A)
    wb = _tile(weight, columns, A, V, D, B) if B else wa
    total_a = tl.zeros([COLUMNS, A], tl.float32)
    total_b = tl.zeros([COLUMNS, B if B else 1], tl.float32)
    begin = tl.program_id(1) * strip
    for first in range(begin, tl.minimum(begin + strip, N), ROWS):
        rows = first + tl.arange(0, ROWS)
        ha = _tile(h, rows, 0, N, D, A)
        logits = _product(wa, tl.trans(ha), tl.zeros([COLUMNS, ROWS], tl.float32))
        if B:
            hb = _tile(h, rows, A, N, D, B)
            logits = _product(wb, tl.trans(hb), logits)
        log = tl.load(logs + rows, mask=rows < N, other=float("inf"))
        probabilities = tl.exp2(logits * LOG2_E - log).to(ha.dtype)
        total_a = _product(probabilities, ha, total_a)
        if B:
            total_b = _product(probabilities, hb, total_b)
    _give(grad_w, columns, 0, total_a * scale, V, D, A, SHARED)
    if B:
        _give(grad_w, columns, A, total_b * scale, V, D, B, SHARED)


@triton.jit
def _give(base, rows, first, values, limit, D: tl.constexpr, WIDTH: tl.constexpr, SHARED: tl.constexpr):
    if SHARED:
        _add_tile(base, rows, first, values, limit, D, WIDTH)
    else:
        _keep_gradient(base, rows, first, values + _tile(base, rows, first, limit, D, WIDTH), limit, D, WIDTH)


@triton.jit
def _probabilities(logits, targets, losses, V, stride, BLOCK: tl.constexpr, KEEP: tl.constexpr):
    """The loss of one token from its row of logits, in whose place its probabilities come if they are to be kept, and
    zeros past the vocabulary."""
    row = tl.program_id(0).to(tl.int64)
    logits += row * stride
    aimed = tl.load(logits + tl.load(targets + row)).to(tl.float32)  # before another warp puts a probability there
    top = tl.full([BLOCK], float("-inf"), tl.float32)
    sums = tl.zeros([BLOCK], tl.float32)
    for first in range(0, V, BLOCK):
        columns = first + tl.arange(0, BLOCK)
        found = tl.load(logits + columns, mask=columns < V, other=float("-inf")).to(tl.float32) * LOG2_E
        newest = tl.maximum(top, found)
        # Where nothing was found yet, −inf − −inf would be no number.
        sums = tl.where(newest == float("-inf"), 0.0, sums * tl.exp2(top - newest) + tl.exp2(found - newest))
        top = newest
    highest = tl.max(top, 0)
    log = highest + tl.log2(tl.sum(sums * tl.exp2(top - highest), 0))
    tl.store(losses + row, log * LN_2 - aimed)
    if KEEP:
        for first in range(0, stride, BLOCK):
            columns = first + tl.arange(0, BLOCK)
            found = tl.load(logits + columns, mask=columns < V, other=float("-inf")).to(tl.float32) * LOG2_E
            tl.store(logits + columns, tl.exp2(found - log).to(logits.dtype.element_ty), mask=columns < stride)
