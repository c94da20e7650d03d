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

    @property
    def shape(self) -> Shape:
        """The run's model."""
        return Shape(self.n_layer, self.d_model, self.n_head, self.context, self.vocabulary, self.positions)

    @property
    def tokens(self) -> int:
        """Tokens processed if the run goes to its last step."""
        return self.steps * self.batch_tokens

    @property
    def flops(self) -> float:
        """C = 6·N·tokens."""
        return training_flops(self.parameters, self.tokens)

    @property
    def flops_total(self) -> float:
        """FLOPs with attention and the output layer counted; a backward pass costs two forward ones."""
        return 3 * self.shape.forward_flops * self.tokens
