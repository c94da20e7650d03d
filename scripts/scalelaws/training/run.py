"""A run: everything that decides its result, and what that costs."""

from dataclasses import dataclass

from scalelaws.models.shapes import Shape
from scalelaws.units import training_flops


@dataclass(frozen=True)
class Run:
    """Everything that decides the result of one run, as plain numbers and words."""

    run: str
    family: str
    parameters: int
    embedding_parameters: int
    n_layer: int
    d_model: int
    n_head: int
    context: int
    vocabulary: int
    positions: str
    dataset_tokens: int
    seed: int
    batch_tokens: int
    steps: int
    """The most updates that the run makes; early stopping may end it sooner."""
    learning_rate: float
    schedule: str
    warmup_steps: int
    averaging: float
    dropout: float
    weight_decay: float
    patience: int
    evaluations: int
    evaluation_tokens: int
    precision: str
    feed_forward_ratio: float = 4.0
    recurrence: int = 1
    tied: bool = True
    parametrization: str = "standard"
    optimizer: str = "adamw"
    beta2: float = 0.99
    """β2 0.99 beat 0.95 by 0.05 nats at the small batches of small studies; Porian et al. (2024) find the same."""
    variant: str = ""
    """What of the study's own settings a sweep changed, as in the run's name; empty for the runs of the grid itself."""
    trunk: str = ""
    """The run whose saved states a branch begins from."""
    first_step: int = 0
    """Updates that a branch's trunk has made for it."""
    stream_tokens: int = 0
    """Unique tokens that a trunk and its branches draw their batches from, in one order, in place of dataset_tokens."""
    encoder_layers: int = 0
    """Of n_layer, those of an encoder-decoder's encoder."""

    @property
    def shape(self) -> Shape:
        """The run's model."""
        return Shape(
            self.n_layer,
            self.d_model,
            self.n_head,
            self.context,
            self.vocabulary,
            self.positions,
            self.family,
            self.feed_forward_ratio,
            self.recurrence,
            self.tied,
            self.parametrization,
            self.encoder_layers,
        )

    @property
    def tokens(self) -> int:
        """Tokens processed if the run goes to its last step."""
        return self.steps * self.batch_tokens

    @property
    def flops(self) -> float:
        """C = 6·N·tokens."""
        return self.flops_of(self.tokens)

    def flops_of(self, tokens: float) -> float:
        """C = 6·N·tokens after so many tokens; a Universal Transformer's N counts as often as it is gone through.

        Every token of a pair goes through both halves of an encoder-decoder.
        """
        return training_flops(self.shape.applied_parameters, tokens)

    @property
    def flops_total(self) -> float:
        """FLOPs of the run's own updates with attention and output layer; a backward pass costs two forward ones."""
        return 3 * self.shape.forward_flops * (self.steps - self.first_step) * self.batch_tokens
