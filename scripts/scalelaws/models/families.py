"""The families of models behind one door."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from scalelaws.models.encoder_decoder import ENCODER_DECODER
from scalelaws.models.lstm import LSTM
from scalelaws.models.shapes import BASE_WIDTH, DECODERS, Shape
from scalelaws.models.transformer import TRANSFORMER

FAMILIES = {"transformer": TRANSFORMER, "universal": TRANSFORMER, "lstm": LSTM, "encoder_decoder": ENCODER_DECODER}


def weight_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight, in the order in which they stand in the flat buffer."""
    return FAMILIES[shape.family].weight_shapes(shape)


def initial_weights(shape: Shape, seed: int) -> dict[str, Tensor]:
    """Float32 weights before the first update."""
    return FAMILIES[shape.family].initial_weights(shape, seed)


def hidden_states(
    weights: Mapping[str, Tensor],
    shape: Shape,
    ids_BT: Tensor,
    dtype: torch.dtype,
    dropout: float = 0.0,
    layer: Callable[..., Tensor] | None = None,
) -> Tensor:
    """Final hidden states (B·T, D) for token ids (B, T): their products with the output weight are the logits.

    `layer` may be a compiled `transformer_layer`, for the families that have it.
    """
    compiled = {"layer": layer} if layer and shape.family in DECODERS else {}
    states = FAMILIES[shape.family].hidden_states(weights, shape, ids_BT, dtype, dropout, **compiled)
    return states if shape.output_scale == 1 else states * shape.output_scale


def output_weight(weights: Mapping[str, Tensor], shape: Shape) -> Tensor:
    """The output layer's matrix (vocabulary, width)."""
    return weights["token_embedding" if shape.tied else "output_embedding"]


def rate_factor(name: str, shape: Shape) -> float:
    """What the learning rate is multiplied by for one weight: 1, or with mup BASE_WIDTH/d_model for a layer's matrices.

    Yang et al. 2022, table 8, Adam: a matrix both of whose sides grow with the width learns at a rate over its input
    width; embeddings, the output layer behind its scale, and biases learn at a constant one.
    """
    matrix = name.startswith("layers.") and not name.endswith("bias")
    return BASE_WIDTH / shape.d_model if shape.parametrization == "mup" and matrix else 1.0
