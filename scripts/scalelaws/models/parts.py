"""What the families share: embeddings, norms, dropout, and how weights are drawn."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scalelaws.models.shapes import BASE_WIDTH, Shape

LEAST_DEVIATION = 0.02
"""Standard deviation of new weights in GPT-2, and ours at widths beyond 600."""


@dataclass(frozen=True)
class Family:
    """The pure functions that make a family of models, each of a shape."""

    weight_shapes: Callable[[Shape], dict[str, tuple[int, ...]]]
    initial_weights: Callable[[Shape, int], dict[str, Tensor]]
    hidden_states: Callable[..., Tensor]


def embedding_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Name and shape of what is as large as the vocabulary or the context; names end in _embedding."""
    shapes: dict[str, tuple[int, ...]] = {"token_embedding": (shape.vocabulary, shape.d_model)}
    if not shape.tied:
        shapes["output_embedding"] = (shape.vocabulary, shape.d_model)
    if shape.positions == "learned":
        shapes["position_embedding"] = (shape.context, shape.d_model)
    return shapes


def embedded(
    weights: Mapping[str, Tensor], shape: Shape, ids_BT: Tensor, dtype: torch.dtype, places_BT: Tensor | None = None
) -> Tensor:
    """Token embeddings, and position embeddings where they are learned, in order or of `places_BT`: (B, T, D)."""
    x_BTD = _rows(weights["token_embedding"], ids_BT)
    if shape.positions == "learned":
        positions = weights["position_embedding"]
        x_BTD = x_BTD + (positions[: ids_BT.shape[1]] if places_BT is None else F.embedding(places_BT, positions))
    return x_BTD.to(dtype)


def _rows(weight: Tensor, ids: Tensor) -> Tensor:
    return _AddedRows.apply(weight, ids) if weight.is_cuda and weight.grad is not None else F.embedding(ids, weight)


class _AddedRows(torch.autograd.Function):
    """Rows of a leaf, whose gradient is added to the leaf's `grad` in place.

    PyTorch sorts the ids for it, and makes and adds a gradient of the whole vocabulary: a twentieth of the update of a
    model of N = 1e5.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor) -> Tensor:
        ctx.weight, ctx.ids = weight, ids
        return F.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        ctx.weight.grad.index_add_(0, ctx.ids.flatten(), gradients[0].flatten(0, -2))
        return None, None


def layer_deviation(shape: Shape) -> float:
    """Standard deviation of a new layer's weights: GPT-2's 0.02, but at least 0.5/√d_model, and with mup always that.

    0.02 belongs to widths beyond 600 and would start a narrow model with almost no signal in its layers.
    """
    by_width = _by_width(shape.d_model)
    return by_width if shape.parametrization == "mup" else max(LEAST_DEVIATION, by_width)


def embedding_deviation(shape: Shape) -> float:
    """The same for embeddings; with mup that of width BASE_WIDTH, whatever the width.

    With 0.02 the layers of a narrow model drown the token in its residual stream, until the embedding has grown: at
    widths 40 and 112 that costs 0.25 nats after 300 to 600 updates of 1,024 tokens, and a LSTM of equal size wins.
    """
    return _by_width(BASE_WIDTH) if shape.parametrization == "mup" else layer_deviation(shape)


def _by_width(width: int) -> float:
    return 0.5 / math.sqrt(width)


def drawn_weights(
    shape: Shape, sizes: Mapping[str, tuple[int, ...]], seed: int, writes: Callable[[str], int]
) -> dict[str, Tensor]:
    """Float32 weights of Transformer layers: normal, the deviation over √writes where a layer writes to the residual.

    writes: how many parts of layers write to the same residual stream as the named one.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, size in sizes.items():
        deviation = embedding_deviation(shape) if name.endswith("embedding") else layer_deviation(shape)
        if name.endswith("_out"):
            deviation /= math.sqrt(writes(name))
        weights[name] = torch.randn(size, generator=generator) * deviation
    return weights


def norm(x: Tensor) -> Tensor:
    """x over its root mean square, which is taken in float32; no gain."""
    if x.is_cuda and not torch.compiler.is_compiling():
        return F.rms_norm(x, x.shape[-1:], eps=1e-6)
    x32 = x.float()
    return (x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


def dropped(x: Tensor, dropout: float) -> Tensor:
    """x with dropout, where there is any."""
    return F.dropout(x, dropout) if dropout else x


def rotation(T: int, K: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the angles at T positions, (T, K/2) each, for heads of size K (Su et al. 2021)."""
    frequencies = 10_000.0 ** (-torch.arange(0, K, 2, device=device, dtype=torch.float32) / K)
    angles = torch.arange(T, device=device, dtype=torch.float32)[:, None] * frequencies
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Queries or keys (…, T, K) turned by their positions' angles."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
