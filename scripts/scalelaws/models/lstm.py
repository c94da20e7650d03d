"""The LSTM language model (Kaplan et al. 2020, section 3.2.1, compare it with the Transformer) as one pure function.

What differs from torch.nn.LSTM between an embedding and an output layer: one bias where torch adds two; embeddings and
final states are normed as in our Transformer, since embeddings start small. Forget gates begin open, with bias 1
(Jozefowicz et al. 2015). Dropout is on what enters a layer and what leaves the last (Zaremba et al. 2014). Gates stand
in torch's order: input, forget, cell, output.

Shape suffixes: B sequences, T positions, D width, G gates (4·D).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from scalelaws.models.parts import (
    Family,
    dropped,
    embedded,
    embedding_deviation,
    embedding_shapes,
    layer_deviation,
    norm,
)
from scalelaws.models.shapes import Shape


def weight_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight, in the order in which they stand in the flat buffer."""
    D = shape.d_model
    shapes = embedding_shapes(shape)
    for layer in range(shape.n_layer):
        shapes |= {f"layers.{layer}.input": (4 * D, D), f"layers.{layer}.recurrent": (4 * D, D)}
        shapes[f"layers.{layer}.bias"] = (4 * D,)
    return shapes


def initial_weights(shape: Shape, seed: int) -> dict[str, Tensor]:
    """Float32 weights: normal; biases zero, but one at the forget gates."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, size in weight_shapes(shape).items():
        if name.endswith("bias"):
            weights[name] = torch.zeros(4, shape.d_model).index_fill_(0, torch.tensor(1), 1.0).flatten()
        else:
            deviation = embedding_deviation(shape) if name.endswith("embedding") else layer_deviation(shape)
            weights[name] = torch.randn(size, generator=generator) * deviation
    return weights


def hidden_states(
    weights: Mapping[str, Tensor],
    shape: Shape,
    ids_BT: Tensor,
    dtype: torch.dtype,
    dropout: float = 0.0,
) -> Tensor:
    """Normed final hidden states (B·T, D) for token ids (B, T), from a zero state; products in `dtype`."""
    B, T = ids_BT.shape
    x_BTD = norm(embedded(weights, shape, ids_BT, dtype))
    for index in range(shape.n_layer):
        input_GD, recurrent_GD, bias_G = (
            weights[f"layers.{index}.{part}"].to(dtype) for part in ("input", "recurrent", "bias")
        )
        x_BTD = lstm_layer(dropped(x_BTD, dropout), input_GD, recurrent_GD, bias_G)
    return norm(dropped(x_BTD, dropout)).reshape(B * T, -1)


def lstm_layer(x_BTD: Tensor, input_GD: Tensor, recurrent_GD: Tensor, bias_G: Tensor) -> Tensor:
    """One layer's hidden states (B, T, D), in torch's own kernel: an order of magnitude faster than steps in Python."""
    zero_BD = x_BTD.new_zeros(1, x_BTD.shape[0], recurrent_GD.shape[1])
    parts = (input_GD, recurrent_GD, bias_G, torch.zeros_like(bias_G))
    return torch.lstm(x_BTD, (zero_BD, zero_BD), parts, True, 1, 0.0, True, False, True)[0]


LSTM = Family(weight_shapes, initial_weights, hidden_states)
