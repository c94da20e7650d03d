"""The decoder-only Transformer as one pure function of its weights.

What differs from the textbook: no biases and no gains in the norms, so that N = 12·n_layer·d_model² exactly; the output
layer is the token embedding, unless it is untied; norms come before each sublayer and once at the end (GPT-2); norms
are root-mean-square. The Universal Transformer (Dehghani et al. 2019) goes through its layers several times; what
differs from the paper: no embedding of the number of the pass, no halting.

Shape suffixes: B sequences, T positions, D width, H heads, K head size, F feed-forward width, V vocabulary.
"""

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from scalelaws.models.parts import (
    Family,
    drawn_weights,
    dropped,
    embedded,
    embedding_shapes,
    norm,
    rotated,
    rotation,
)
from scalelaws.models.shapes import Shape

QUERY_BLOCK = 64
LAYER_PARTS = ("attention_in", "attention_out", "feed_forward_in", "feed_forward_out")


def weight_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight, in the order in which they stand in the flat buffer."""
    D, inner = shape.d_model, shape.d_feed_forward
    shapes = embedding_shapes(shape)
    sizes = dict(zip(LAYER_PARTS, ((3 * D, D), (D, D), (inner, D), (D, inner)), strict=True))
    for layer in range(shape.n_layer):
        shapes.update({f"layers.{layer}.{part}": size for part, size in sizes.items()})
    return shapes


def initial_weights(shape: Shape, seed: int) -> dict[str, Tensor]:
    """Float32 weights: normal, the deviation over √(2·layers gone through) where a layer writes to the residual."""
    return drawn_weights(shape, weight_shapes(shape), seed, lambda _name: 2 * shape.n_layer * shape.recurrence)


def hidden_states(
    weights: Mapping[str, Tensor],
    shape: Shape,
    ids_BT: Tensor,
    dtype: torch.dtype,
    dropout: float = 0.0,
    layer: Callable[..., Tensor] | None = None,
) -> Tensor:
    """Normed final hidden states (B·T, D) for token ids (B, T): products in `dtype`, attention scores in float32.

    `layer` may be a compiled `transformer_layer`; all layers of one width share what was compiled.
    """
    layer = layer or transformer_layer
    B, T = ids_BT.shape
    x_BTD = dropped(embedded(weights, shape, ids_BT, dtype), dropout)
    for index in list(range(shape.n_layer)) * shape.recurrence:
        matrices = tuple(weights[f"layers.{index}.{part}"] for part in LAYER_PARTS)
        x_BTD = layer(x_BTD, matrices, shape.n_head, shape.attention_divisor, shape.positions == "rotary", dropout)
    return norm(x_BTD).reshape(B * T, -1)


def transformer_layer(
    x_BTD: Tensor, matrices: tuple[Tensor, ...], n_head: int, divisor: float, rotary: bool, dropout: float
) -> Tensor:
    """One layer: attention and feed-forward, each normed before and added to the residual stream.

    `matrices` are the LAYER_PARTS in their order, in any dtype: products are made in that of `x_BTD`. `divisor` is what
    attention scores are divided by.
    """
    attention_in, attention_out, feed_forward_in, feed_forward_out = (matrix.to(x_BTD.dtype) for matrix in matrices)
    mixed_BTD = _attention(F.linear(norm(x_BTD), attention_in), n_head, divisor, rotary)
    x_BTD = x_BTD + dropped(F.linear(mixed_BTD, attention_out), dropout)
    inner_BTF = _gelu(F.linear(norm(x_BTD), feed_forward_in))
    return x_BTD + dropped(F.linear(inner_BTF, feed_forward_out), dropout)


def _gelu(x: Tensor) -> Tensor:
    """GELU by its approximation with tanh; compiled for a CPU as the logistic function that this is, for less."""
    if x.device.type == "cpu" and torch.compiler.is_compiling():
        return x * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
    return F.gelu(x, approximate="tanh")


def _attention(qkv: Tensor, n_head: int, divisor: float, rotary: bool) -> Tensor:
    B, T, D3 = qkv.shape
    q, k, v = qkv.view(B, T, 3, n_head, D3 // 3 // n_head).permute(2, 0, 3, 1, 4).unbind(0)
    if rotary:
        cos, sin = rotation(T, q.shape[-1], q.device, q.dtype)
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
    if qkv.device.type == "cpu" and torch.compiler.is_compiling():  # compiled, blocks are faster than PyTorch's own
        mixed = torch.cat([_query_block(q, k, v, divisor, start) for start in range(0, T, QUERY_BLOCK)], dim=2)
    else:
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1 / divisor)
    return mixed.transpose(1, 2).reshape(B, T, D3 // 3)


def _query_block(q: Tensor, k: Tensor, v: Tensor, divisor: float, start: int) -> Tensor:
    """Causal attention of one block of queries, against only the keys before its end (half the work of all keys)."""
    end = min(start + QUERY_BLOCK, q.shape[2])
    block = q[:, :, start:end]
    scores = (block @ k[:, :, :end].transpose(-1, -2)).float() / divisor
    later = torch.arange(end, device=q.device) > torch.arange(start, end, device=q.device)[:, None]
    scores = scores.masked_fill(later, float("-inf"))
    if q.dtype != torch.float32:
        return torch.softmax(scores, dim=-1).to(q.dtype) @ v[:, :, :end]
    # Divided by their sums after the product, which is narrower; gradients of shorter numbers would lose digits by it.
    exponentials = torch.exp(scores - scores.detach().amax(-1, keepdim=True))
    return exponentials @ v[:, :, :end] / exponentials.sum(-1, keepdim=True)


TRANSFORMER = Family(weight_shapes, initial_weights, hidden_states)
