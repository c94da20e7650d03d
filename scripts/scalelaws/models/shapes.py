"""Shapes of Transformers: from a target size N to layers, width and heads, and what a shape costs."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A decoder-only Transformer without biases and norm gains, its output layer tied to the token embedding."""

    n_layer: int
    d_model: int
    n_head: int
    context: int
    vocabulary: int
    positions: str = "learned"

    @property
    def parameters(self) -> int:
        """N = 12·n_layer·d_model², exactly: 4d² in attention and 8d² in the feed-forward layer."""
        return 12 * self.n_layer * self.d_model**2

    @property
    def embedding_parameters(self) -> int:
        """Token embedding (which is the output layer too) and, where they are learned, position embeddings."""
        learned = self.context * self.d_model if self.positions == "learned" else 0
        return self.vocabulary * self.d_model + learned

    @property
    def forward_flops(self) -> float:
        """FLOPs a token of one forward pass: 2N, attention over half the context on average, and the output layer.

        Kaplan et al. (2020, table 1) count attention over the whole context, twice as much, and no output layer.
        """
        attention = 2 * self.n_layer * self.context * self.d_model
        return 2.0 * self.parameters + attention + 2.0 * self.vocabulary * self.d_model

    @property
    def name(self) -> str:
        """A short readable name: 4L128d."""
        return f"{self.n_layer}L{self.d_model}d"


def shape_of(parameters: float, context: int, vocabulary: int, positions: str = "learned") -> Shape:
    """The shape whose N is nearest to `parameters` among those of moderate aspect ratio.

    Loss depends only weakly on d_model/n_layer over an order of magnitude around its best value (Kaplan et al. 2020,
    figure 5), so the nearest N wins and a departure from the preferred ratio is a mild penalty.
    """
    candidates = [
        _candidate(n_layer, d_model, context, vocabulary, positions)
        for d_model in _widths()
        for n_layer in {max(1, int(parameters / (12 * d_model**2))), int(parameters / (12 * d_model**2)) + 1}
    ]
    return min(candidates, key=lambda shape: _misfit(shape, parameters))


def _misfit(shape: Shape, parameters: float) -> float:
    # 64 is GPT-2's and GPT-3's ratio; narrow models keep two layers, the fewest that the papers fit laws to.
    preferred = min(64.0, shape.d_model / 2)
    ratio = shape.d_model / shape.n_layer
    return 6 * abs(math.log(shape.parameters / parameters)) + abs(math.log(ratio / preferred))


def _widths() -> list[int]:
    return [8, 12, 16, 24, *range(32, 129, 8), *range(160, 513, 32), *range(576, 2049, 64), *range(2176, 12289, 128)]


def _candidate(n_layer: int, d_model: int, context: int, vocabulary: int, positions: str) -> Shape:
    sizes = (
        size for size in (64, 32, 24, 20, 16, 12, 8) if d_model % size == 0 and (d_model >= 4 * size or size <= 24)
    )
    head_size = next(sizes)
    return Shape(n_layer, d_model, d_model // head_size, context, vocabulary, positions)
