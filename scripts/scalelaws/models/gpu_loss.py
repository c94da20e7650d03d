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

from scalelaws.models.loss import GPU_ROWS, LARGEST_FACTOR

NARROW = 256
"""The largest width whose rows of products fit into registers."""
ALIGNED = 64
"""Rows of logits begin at multiples of so many, which products are twice as fast with."""
LOG2_E, LN_2 = tl.constexpr(math.log2(math.e)), tl.constexpr(math.log(2))
LARGEST_SUM = tl.constexpr(LARGEST_FACTOR)
"""Sums of exponentials are out of range beyond this, and below its inverse."""
PROGRAMS = 264
"""Two for each processor of an H100."""


def loss_and_gradients(
    h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, grad_w_VD: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """As in scalelaws.models.loss."""
    losses, grad_h = torch.empty(len(h_ND), device=h_ND.device), torch.empty_like(h_ND)
    weight = weight_VD.to(h_ND.dtype)
    if not _is_narrow(h_ND, weight):
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
    if not _is_narrow(h_ND, weight):
        _wide(h_ND, weight, targets_N, losses, None, 1)
    else:
        _by_tokens(h_ND, weight, targets_N, losses, None, 1)
    return losses


def _is_narrow(h: Tensor, weight: Tensor) -> bool:
    """Whether logits stay on the chip: those of float32 numbers do not on a GPU, which is slow at such products, nor
    those of a vocabulary that is not larger than a block."""
    slow = h.is_cuda and h.dtype == torch.float32
    return h.shape[1] <= NARROW and not slow and len(weight) > _blocks(h, 0)[1]


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
        # So many warps that the rows under way fit into the cache, where each is read a second time.
        _probabilities[(len(h),)](
            logits, targets, losses_N[part], V, logits.stride(0), BLOCK=8192, KEEP=gradients is not None, num_warps=32
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
    for again in (False, True):
        _token_kernel[(triton.cdiv(N, rows),)](
            h, weight, targets, losses, logs, grad_h, grad_w, N, len(weight), 1 / count, D, *_tiles(D),
            ROWS=rows, COLUMNS=columns, LEARNS=gradients is not None, AGAIN=again, num_warps=warps, num_stages=stages,
        )  # fmt: skip


def _by_vocabulary(h: Tensor, weight: Tensor, logs: Tensor, grad_w: Tensor, count: int) -> None:
    N, D = h.shape
    rows, columns, warps, stages = _blocks(h, 1)
    blocks = triton.cdiv(len(weight), columns)
    strips = max(1, min(PROGRAMS // blocks, N // (4 * rows)))
    strip = triton.cdiv(N, strips * rows) * rows
    strips = triton.cdiv(N, strip)  # rounded up, fewer may hold all tokens
    _vocabulary_kernel[(blocks, strips)](
        h, weight, logs, grad_w, N, len(weight), 1 / count, strip, D, *_tiles(D),
        ROWS=rows, COLUMNS=columns, SHARED=strips > 1, EVEN=N % rows == 0, num_warps=warps, num_stages=stages,
    )  # fmt: skip


def _tiles(width: int) -> tuple[int, int]:
    """Two powers of two that a width is covered by, of 16 to 128; the second is 0 where one does."""
    first = min(128, max(16, 1 << width.bit_length() - 1))
    return first, max(16, triton.next_power_of_2(width - first)) if width > first else 0


def _blocks(h: Tensor, kernel: int) -> tuple[int, int, int, int]:
    """Tokens and rows of the vocabulary of a block, warps and stages, of each of the two kernels.

    Chosen on an H200 among six or seven at widths 64, 128, 160, and 256, with 50,257 rows of the vocabulary.
    """
    width = sum(_tiles(h.shape[1]))
    if h.dtype == torch.float32:
        return 32, 32, 4, 1
    if width > 192:
        return ((128, 64, 8, 3), (64, 128, 8, 3))[kernel]
    if width > 128:
        return 64, 64, 4, 3
    return ((64, 128, 4, 3), (128, 64, 4, 3))[kernel]


@triton.jit
def _tile(base, rows, first: tl.constexpr, limit, D: tl.constexpr, WIDTH: tl.constexpr):
    """Rows of a matrix of width D, columns from `first` on; zeros where the matrix ends, which without a `limit` it
    does not within these rows."""
    columns = first + tl.arange(0, WIDTH)
    places = base + rows[:, None] * D + columns
    if limit is not None:
        return tl.load(places, mask=(rows < limit)[:, None] & (columns < D), other=0.0)
    if first + WIDTH > D:
        return tl.load(places, mask=(columns < D)[None, :], other=0.0)
    return tl.load(places)


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
def _logits(ha, hb, weight, first, limit, D: tl.constexpr, A: tl.constexpr, B: tl.constexpr, COLUMNS: tl.constexpr):
    """Logits to base 2 of a block of the vocabulary, −∞ from its limit on, and the block of the weight, in its two
    tiles."""
    columns = first + tl.arange(0, COLUMNS)
    wa = _tile(weight, columns, 0, limit, D, A)
    wb = _tile(weight, columns, A, limit, D, B) if B else wa
    logits = _product(ha, tl.trans(wa), tl.zeros([ha.shape[0], COLUMNS], tl.float32))
    if B:
        logits = _product(hb, tl.trans(wb), logits)
    logits *= LOG2_E
    if limit is not None:
        logits = tl.where(columns < limit, logits, float("-inf"))
    return logits, wa, wb


@triton.jit
def _sums(
    ha, hb, weight, shift, V,
    D: tl.constexpr, A: tl.constexpr, B: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, LEARNS: tl.constexpr,
):  # fmt: skip
    """Of each row the sum of exponentials, to base 2 and of what lies above a shift, and with LEARNS the sum of the
    weight's rows, each times its exponential."""
    sums = tl.zeros([ROWS], tl.float32)
    mixed_a = tl.zeros([ROWS, A], tl.float32)
    mixed_b = tl.zeros([ROWS, B if B else 1], tl.float32)
    # A loop that may be passed over is compiled to products that wait for one another.
    tl.assume(V > COLUMNS)
    for first in range(0, V - COLUMNS, COLUMNS):
        block = _logits(ha, hb, weight, first, None, D, A, B, COLUMNS)
        sums, mixed_a, mixed_b = _added(block, shift, sums, mixed_a, mixed_b, B, LEARNS)
    block = _logits(ha, hb, weight, (V - 1) // COLUMNS * COLUMNS, V, D, A, B, COLUMNS)
    return _added(block, shift, sums, mixed_a, mixed_b, B, LEARNS)


@triton.jit
def _added(block, shift, sums, mixed_a, mixed_b, B: tl.constexpr, LEARNS: tl.constexpr):
    logits, wa, wb = block
    exponentials = tl.exp2(logits - shift[:, None])
    sums += tl.sum(exponentials, 1)
    if LEARNS:
        mixed_a = _product(exponentials.to(wa.dtype), wa, mixed_a)
        if B:
            mixed_b = _product(exponentials.to(wa.dtype), wb, mixed_b)
    return sums, mixed_a, mixed_b


@triton.jit
def _highest(
    ha, hb, weight, V,
    D: tl.constexpr, A: tl.constexpr, B: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Of each row the largest logit, to base 2."""
    top = tl.full([ROWS], float("-inf"), tl.float32)
    for first in range(0, V, COLUMNS):
        top = tl.maximum(top, tl.max(_logits(ha, hb, weight, first, V, D, A, B, COLUMNS)[0], 1))
    return top


@triton.jit
def _token_kernel(
    h, weight, targets, losses, logs, grad_h, grad_w, N, V, scale,
    D: tl.constexpr, A: tl.constexpr, B: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, LEARNS: tl.constexpr, AGAIN: tl.constexpr,
):  # fmt: skip
    """Losses of a block of tokens; with LEARNS the logarithm (to base 2) of each row's sum of exponentials, the
    gradient by h, and of that by the weight the part of the targets.

    Exponentials are not normalized. Rows whose sums are out of range, which a healthy model never has, are given a loss
    that is no number, and their blocks are made AGAIN, with each row's largest logit taken off.
    """
    rows = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    if AGAIN:
        found = tl.load(losses + rows, mask=rows < N, other=0.0)
        if tl.sum((found != found).to(tl.int32), 0) == 0:
            return
    ha = _tile(h, rows, 0, N, D, A)
    hb = _tile(h, rows, A, N, D, B) if B else ha
    shift = _highest(ha, hb, weight, V, D, A, B, ROWS, COLUMNS) if AGAIN else tl.zeros([ROWS], tl.float32)
    sums, mixed_a, mixed_b = _sums(ha, hb, weight, shift, V, D, A, B, ROWS, COLUMNS, LEARNS)
    target = tl.load(targets + rows, mask=rows < N, other=0).to(tl.int64)
    ta = _tile(weight, target, 0, V, D, A).to(tl.float32)
    aimed = tl.sum(ta * ha.to(tl.float32), 1)
    if B:
        tb = _tile(weight, target, A, V, D, B).to(tl.float32)
        aimed += tl.sum(tb * hb.to(tl.float32), 1)
    log = shift + tl.log2(sums)
    in_range = AGAIN | ((sums > 1 / LARGEST_SUM) & (sums < LARGEST_SUM))
    tl.store(losses + rows, tl.where(in_range, log * LN_2 - aimed, float("nan")), mask=rows < N)
    if LEARNS:
        tl.store(logs + rows, log, mask=rows < N)
        _keep_gradient(grad_h, rows, 0, (mixed_a / sums[:, None] - ta) * scale, N, D, A)
        if B:
            _keep_gradient(grad_h, rows, A, (mixed_b / sums[:, None] - tb) * scale, N, D, B)
        if not AGAIN:
            nowhere = tl.where(rows < N, target, V)
            _add_tile(grad_w, nowhere, 0, ha.to(tl.float32) * -scale, V, D, A)
            if B:
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
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, SHARED: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """Add to the gradient by a block of the weight what a strip of the tokens gives, but for the targets' part.

    EVEN: the tokens are whole blocks.
    """
    limit = None if EVEN else N
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    wa = _tile(weight, columns, 0, V, D, A)
    wb = _tile(weight, columns, A, V, D, B) if B else wa
    total_a = tl.zeros([COLUMNS, A], tl.float32)
    total_b = tl.zeros([COLUMNS, B if B else 1], tl.float32)
    begin = tl.program_id(1) * strip
    end = tl.minimum(begin + strip, N)
    tl.assume(begin < end)  # as in _sums
    for first in range(begin, end, ROWS):
        rows = first + tl.arange(0, ROWS)
        ha = _tile(h, rows, 0, limit, D, A)
        logits = _product(wa, tl.trans(ha), tl.zeros([COLUMNS, ROWS], tl.float32))
        if B:
            hb = _tile(h, rows, A, limit, D, B)
            logits = _product(wb, tl.trans(hb), logits)
        if EVEN:
            log = tl.load(logs + rows)
        else:
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
    shift, total = 0.0, _row_sum(logits, 0.0, V, stride, BLOCK)
    if (total < 1 / LARGEST_SUM) | (total > LARGEST_SUM):
        shift = _row_top(logits, V, stride, BLOCK)
        total = _row_sum(logits, shift, V, stride, BLOCK)
    log = shift + tl.log2(total)
    tl.store(losses + row, log * LN_2 - aimed)
    if KEEP:
        for first in range(0, stride, BLOCK):
            probabilities = tl.exp2(_part_of_row(logits, first, V, stride, BLOCK) - log)
            columns = first + tl.arange(0, BLOCK)
            tl.store(logits + columns, probabilities.to(logits.dtype.element_ty), mask=columns < stride)


@triton.jit
def _part_of_row(logits, first, V, stride, BLOCK: tl.constexpr):
    """Logits to base 2, −∞ past the vocabulary. Only the stride is a multiple of what is loaded at a time."""
    columns = first + tl.arange(0, BLOCK)
    found = tl.load(logits + columns, mask=columns < stride, other=0.0).to(tl.float32) * LOG2_E
    return tl.where(columns < V, found, float("-inf"))


@triton.jit
def _row_sum(logits, shift, V, stride, BLOCK: tl.constexpr):
    sums = tl.zeros([BLOCK], tl.float32)
    for first in range(0, V, BLOCK):
        sums += tl.exp2(_part_of_row(logits, first, V, stride, BLOCK) - shift)
    return tl.sum(sums, 0)


@triton.jit
def _row_top(logits, V, stride, BLOCK: tl.constexpr):
    top = tl.full([BLOCK], float("-inf"), tl.float32)
    for first in range(0, V, BLOCK):
        top = tl.maximum(top, _part_of_row(logits, first, V, stride, BLOCK))
    return tl.max(top, 0)
