"""Shapes of models: from a target size N to layers, width and heads, and what a shape costs."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

DECODERS = ("transformer", "universal")
"""The families that are made of Transformer layers alone."""
BASE_WIDTH, BASE_HEAD_SIZE = 256, 16
"""Where the maximal update parametrization and the standard one are the same model with the same rates. With the
scales of width 256, a model of width 64 was at 5.97 nats after 100 updates; with its own at 6.23; at the best rates,
with embeddings drawn with a deviation of 0.02."""


@dataclass(frozen=True)
class Shape:
    """A language model whose layers all have one width, its norms without gains.

    transformer: n_layer layers without biases. universal: the same, the whole stack gone through `recurrence` times
    with the same weights. lstm: n_layer layers of cells with one bias each; no heads, no positions. encoder_decoder:
    encoder_layers as those of a transformer, the others with attention to the encoder besides; for pairs of texts.
    """

    n_layer: int
    """Layers with weights of their own."""
    d_model: int
    n_head: int
    context: int
    vocabulary: int
    positions: str = "learned"
    """learned, rotary, or none."""
    family: str = "transformer"
    feed_forward_ratio: float = 4.0
    """Width of the feed-forward layer over d_model."""
    recurrence: int = 1
    tied: bool = True
    """Whether the output layer is the token embedding."""
    parametrization: str = "standard"
    """standard, or mup: scales and rates that keep updates alike at every width (Yang et al. 2022)."""
    encoder_layers: int = 0
    """Of n_layer, those of an encoder-decoder's encoder."""

    @property
    def d_feed_forward(self) -> int:
        """Width of the feed-forward layer."""
        return round(self.feed_forward_ratio * self.d_model)

    @property
    def parameters(self) -> int:
        """N, exactly: all weights but the embedding_parameters.

        A Transformer's layer has 4d² in attention and 2·d·d_feed_forward in the feed-forward layer, so that at ratio 4
        N = 12·n_layer·d²; a layer used again is counted once. A decoder's layer has 4d² more, to attend to the encoder.
        An LSTM's layer has 8d² and a bias of 4d.
        """
        d = self.d_model
        if self.family == "lstm":
            return self.n_layer * (8 * d**2 + 4 * d)
        across = 4 * d**2 * (self.n_layer - self.encoder_layers) if self.family == "encoder_decoder" else 0
        return self.n_layer * (4 * d**2 + 2 * d * self.d_feed_forward) + across

    @property
    def halves(self) -> dict[str, int]:
        """encoder_parameters and decoder_parameters, which sum to N, of an encoder-decoder; of others nothing."""
        if self.family != "encoder_decoder":
            return {}
        encoder = self.encoder_layers * (4 * self.d_model**2 + 2 * self.d_model * self.d_feed_forward)
        return {"encoder_parameters": encoder, "decoder_parameters": self.parameters - encoder}

    @property
    def marks(self) -> tuple[int, int] | None:
        """Ids before a target and at a document's end, for a family that reads pairs: the last two of a vocabulary."""
        return (self.vocabulary - 1, self.vocabulary - 2) if self.family == "encoder_decoder" else None

    @property
    def applied_parameters(self) -> int:
        """N, each weight as often as a token meets it: C = 6·applied_parameters·tokens."""
        return self.parameters * self.recurrence

    @property
    def embedding_parameters(self) -> int:
        """Token embedding, the output layer if it is another matrix, and position embeddings if they are learned."""
        vocabulary = self.vocabulary * self.d_model * (1 if self.tied else 2)
        return vocabulary + (self.context * self.d_model if self.positions == "learned" else 0)

    @property
    def forward_flops(self) -> float:
        """FLOPs a token of one forward pass: matrix products in the layers and the output layer.

        Transformer: 2 for each applied parameter, and attention, both of its products, over half the context on
        average: 2·n_layer·context·d, the term of Kaplan et al. (2020, table 1), who count no output layer. LSTM: 2 for
        each weight but the biases. Encoder-decoder: every token, of source or target, goes through both stacks, and
        what is masked is computed: attention over the whole context, once in the encoder's layers and twice in the
        decoder's. The output layer counts for every token although only those of targets reach it.
        """
        output = 2.0 * self.vocabulary * self.d_model
        if self.family == "lstm":
            return 16.0 * self.n_layer * self.d_model**2 + output
        attention = 2 * self.n_layer * self.recurrence * self.context * self.d_model
        if self.family == "encoder_decoder":
            attention = 4 * (2 * self.n_layer - self.encoder_layers) * self.context * self.d_model
        return 2.0 * self.applied_parameters + attention + output

    @property
    def output_scale(self) -> float:
        """What final hidden states are multiplied by before the output layer: 1, or with mup BASE_WIDTH/d_model."""
        return BASE_WIDTH / self.d_model if self.parametrization == "mup" else 1.0

    @property
    def attention_divisor(self) -> float:
        """What attention scores are divided by: √K of head size K, or with mup K over a constant."""
        size = self.d_model / self.n_head
        return size / math.sqrt(BASE_HEAD_SIZE) if self.parametrization == "mup" else math.sqrt(size)

    @property
    def name(self) -> str:
        """A short readable name: 4L128d, lstm-2L128d, universal-6x1L128d, encoder_decoder-2+2L128d."""
        if self.family == "universal":
            return f"universal-{self.recurrence}x{self.n_layer}L{self.d_model}d"
        if self.family == "encoder_decoder":
            layers = f"{self.encoder_layers}+{self.n_layer - self.encoder_layers}"
            return f"encoder_decoder-{layers}L{self.d_model}d"
        prefix = "" if self.family == "transformer" else f"{self.family}-"
        return f"{prefix}{self.n_layer}L{self.d_model}d"


def shape_of(
    parameters: float,
    context: int,
    vocabulary: int,
    positions: str = "learned",
    aspect_ratio: float | None = None,
    head_size: int | None = None,
    encoder_share: float = 0.5,
    **fields: Any,
) -> Shape:
    """The shape whose N is nearest to `parameters` among those of the asked, or else a moderate, aspect ratio.

    Loss depends only weakly on d_model/n_layer over an order of magnitude around its best value (Kaplan et al. 2020,
    figure 5), so the nearest N wins and a departure from the preferred ratio is a mild penalty. A Universal Transformer
    has one layer and an LSTM two; an encoder has exactly `encoder_share` of an encoder-decoder's layers. `fields` are
    further fields of Shape.
    """
    family = fields.get("family", "transformer")
    share = Fraction(encoder_share).limit_denominator(8) if family == "encoder_decoder" else Fraction(0)
    if family == "lstm":
        positions, fields["feed_forward_ratio"] = "none", 0.0
    candidates = []
    for d_model in _widths(head_size):
        n_head = 0 if family == "lstm" else d_model // (head_size or _head_size(d_model))
        fields["encoder_layers"] = share.numerator
        one = Shape(share.denominator, d_model, n_head, context, vocabulary, positions, **fields)
        candidates += [_repeated(one, times) for times in _layers(family, parameters / one.parameters)]
    return min(candidates, key=lambda shape: _misfit(shape, parameters, aspect_ratio))


def _misfit(shape: Shape, parameters: float, aspect_ratio: float | None) -> float:
    size = 6 * abs(math.log(shape.parameters / parameters))
    if shape.family not in ("transformer", "encoder_decoder"):
        return size
    # 64 is GPT-2's and GPT-3's ratio; narrow models keep two layers, the fewest that the papers fit laws to.
    preferred = aspect_ratio or min(64.0, shape.d_model / 2)
    depth = shape.n_layer / (2 if shape.family == "encoder_decoder" else 1)  # of a stack
    return size + abs(math.log(shape.d_model / depth / preferred))


def _layers(family: str, ratio: float) -> set[int]:
    if family in ("transformer", "encoder_decoder"):
        return {max(1, int(ratio)), int(ratio) + 1}
    return {1} if family == "universal" else {2}


def _repeated(shape: Shape, times: int) -> Shape:
    layers = {"n_layer": times * shape.n_layer, "encoder_layers": times * shape.encoder_layers}
    return Shape(**{**vars(shape), **layers})


def _widths(head_size: int | None) -> list[int]:
    widths = [8, 12, 16, 24, *range(32, 129, 8), *range(160, 513, 32), *range(576, 2049, 64), *range(2176, 12289, 128)]
    if head_size is None:
        return widths
    multiples = {max(1, round(width / head_size)) * head_size for width in widths}
    return sorted({*range(head_size, 129, head_size), *multiples})


def _head_size(d_model: int) -> int:
    sizes = (
        size for size in (64, 32, 24, 20, 16, 12, 8) if d_model % size == 0 and (d_model >= 4 * size or size <= 24)
    )
    return next(sizes)
