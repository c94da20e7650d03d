"""The encoder-decoder Transformer (Vaswani et al. 2017) as one pure function of its weights, on packed pairs.

A window is cut anywhere from a stream of documents, each the ids of a source, a separator, the ids of its target and an
end id, so that batches are those of any family. Encoder layers see a pair's source in both directions. Decoder layers
see its target, from the separator on, each token those before it, and the encoder's states of the same source. No token
sees another pair. Of a pair that an edge of the window cuts, what is left of it is seen: a target without its source is
a text without one. States of source tokens predict nothing, and nobody should ask for them.

What differs from the textbook: what differs in models.transformer; both halves share the token and position embeddings;
positions are counted from the first token of a source and from the separator of a target that stand in the window,
so that a pair is computed alike wherever it stands; rotary positions turn queries and keys across the halves too. Of
the laws of such models see Ghorbani et al. (2021, arXiv 2109.07740).

Shape suffixes: B sequences, T positions (of queries, then of keys), D width, F feed-forward width.
"""

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Layout:
    """What the tokens of windows are, all (B, T)."""

    pair: Tensor
    """Number of the pair in its window, from 0."""
    in_target: Tensor
    """Whether the token is of a target, its separator and end id included, or of a source."""
    place: Tensor
    """Number of the token in its source or target, from 0, as far as that stands in the window."""


def layout(ids_BT: Tensor, separator: int, end_of_document: int) -> Layout:
    """What every token is.

    What comes before a window's first separator or end id is of a source if that is a separator, and else of a target.
    """
    separators, ends = ids_BT == separator, ids_BT == end_of_document
    pair = ends.cumsum(1) - ends.long()
    begin = F.pad(_latest(ends), (1, -1), value=-1) + 1
    separated = _latest(separators)
    headless = (pair == 0) & ~(separators & (pair == 0)).any(1, keepdim=True)
    order = torch.arange(ids_BT.shape[1], device=ids_BT.device)
    return Layout(pair, (separated >= begin) | headless, order - torch.maximum(separated, begin))


def _latest(marked_BT: Tensor) -> Tensor:
    """The position of the latest mark up to each token, its own included; -1 before the first."""
    order = torch.arange(marked_BT.shape[1], device=marked_BT.device)
    return torch.where(marked_BT, order, -1).cummax(1).values


def weight_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight, in the order in which they stand in the flat buffer: first encoder layers."""
    D, inner = shape.d_model, shape.d_feed_forward
    shapes = embedding_shapes(shape)
    for layer in range(shape.n_layer):
        sizes = {"attention_in": (3 * D, D), "attention_out": (D, D)}
        if layer >= shape.encoder_layers:
            sizes |= {"across_query": (D, D), "across_in": (2 * D, D), "across_out": (D, D)}
        sizes |= {"feed_forward_in": (inner, D), "feed_forward_out": (D, inner)}
        shapes.update({f"layers.{layer}.{part}": size for part, size in sizes.items()})
    return shapes


def initial_weights(shape: Shape, seed: int) -> dict[str, Tensor]:
    """Float32 weights: normal, where a layer writes to the residual the deviation over √(writes of its stack)."""

    def writes(name: str) -> int:
        of_encoder = int(name.split(".")[1]) < shape.encoder_layers
        return 2 * shape.encoder_layers if of_encoder else 3 * (shape.n_layer - shape.encoder_layers)

    return drawn_weights(shape, weight_shapes(shape), seed, writes)


def hidden_states(
    weights: Mapping[str, Tensor], shape: Shape, ids_BT: Tensor, dtype: torch.dtype, dropout: float = 0.0
) -> Tensor:
    """Normed final hidden states (B·T, D) of the decoder for token ids (B, T); products in `dtype`."""
    assert shape.marks
    found = layout(ids_BT, *shape.marks)
    x_BTD = dropped(embedded(weights, shape, ids_BT, dtype, found.place), dropout)
    stack = _Stack(weights, shape, dtype, dropout, _angles(shape, found.place, dtype))
    same_BTT = found.pair[:, :, None] == found.pair[:, None, :]
    # Every token sees itself, so that no row of attention is empty.
    itself_TT = torch.eye(ids_BT.shape[1], dtype=torch.bool, device=ids_BT.device)
    source_BTT = same_BTT & ~found.in_target[:, None, :]
    target_BTT = (same_BTT & found.in_target[:, None, :]).tril() | itself_TT
    source_BTD = norm(stack.encoded(x_BTD, source_BTT | itself_TT))
    return norm(stack.decoded(x_BTD, target_BTT, source_BTD, source_BTT)).flatten(0, 1)


@dataclass(frozen=True)
class _Stack:
    """The layers, with all that does not change from one to the next."""

    weights: Mapping[str, Tensor]
    shape: Shape
    dtype: torch.dtype
    dropout: float
    angles: tuple[Tensor, Tensor] | None

    def encoded(self, x_BTD: Tensor, seen_BTT: Tensor) -> Tensor:
        """What the encoder makes of it."""
        for layer in range(self.shape.encoder_layers):
            x_BTD = self._fed_forward(layer, self._attended(layer, x_BTD, seen_BTT))
        return x_BTD

    def decoded(self, x_BTD: Tensor, seen_BTT: Tensor, source_BTD: Tensor, source_BTT: Tensor) -> Tensor:
        """`source_BTD` are the encoder's normed states, of which a token sees `source_BTT`: none gives nothing."""
        any_BT1 = source_BTT.any(2, keepdim=True)
        for layer in range(self.shape.encoder_layers, self.shape.n_layer):
            x_BTD = self._attended(layer, x_BTD, seen_BTT)
            q_BTD = self._product(layer, "across_query", norm(x_BTD))
            k_BTD, v_BTD = self._product(layer, "across_in", source_BTD).chunk(2, dim=-1)
            mixed_BTD = self._mixed(q_BTD, k_BTD, v_BTD, source_BTT | ~any_BT1) * any_BT1
            x_BTD = x_BTD + dropped(self._product(layer, "across_out", mixed_BTD), self.dropout)
            x_BTD = self._fed_forward(layer, x_BTD)
        return x_BTD

    def _attended(self, layer: int, x_BTD: Tensor, seen_BTT: Tensor) -> Tensor:
        q_BTD, k_BTD, v_BTD = self._product(layer, "attention_in", norm(x_BTD)).chunk(3, dim=-1)
        mixed_BTD = self._mixed(q_BTD, k_BTD, v_BTD, seen_BTT)
        return x_BTD + dropped(self._product(layer, "attention_out", mixed_BTD), self.dropout)

    def _fed_forward(self, layer: int, x_BTD: Tensor) -> Tensor:
        inner_BTF = F.gelu(self._product(layer, "feed_forward_in", norm(x_BTD)), approximate="tanh")
        return x_BTD + dropped(self._product(layer, "feed_forward_out", inner_BTF), self.dropout)

    def _product(self, layer: int, part: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"layers.{layer}.{part}"].to(self.dtype))

    def _mixed(self, q_BTD: Tensor, k_BTD: Tensor, v_BTD: Tensor, seen_BTT: Tensor) -> Tensor:
        q, k, v = (x.unflatten(2, (self.shape.n_head, -1)).transpose(1, 2) for x in (q_BTD, k_BTD, v_BTD))
        if self.angles:
            q, k = rotated(q, *self.angles), rotated(k, *self.angles)
        scale = 1 / self.shape.attention_divisor
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen_BTT[:, None], scale=scale)
        return mixed.transpose(1, 2).flatten(2)


def _angles(shape: Shape, places_BT: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
    """Cosines and sines of rotary positions at each token's place, (B, 1, T, head size / 2) each."""
    if shape.positions != "rotary":
        return None
    cos, sin = rotation(places_BT.shape[1], shape.d_model // shape.n_head, places_BT.device, dtype)
    return cos[places_BT][:, None], sin[places_BT][:, None]


ENCODER_DECODER = Family(weight_shapes, initial_weights, hidden_states)
