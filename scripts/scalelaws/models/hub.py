"""Our models as `transformers` opens them where it has no architecture of their mathematics.

This file and the modules that it imports are copied into the exported folder; transformers loads them from there, with
trust_remote_code=True, where scalelaws is not installed.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import CausalLMOutput

from scalelaws.models.encoder_decoder import layout
from scalelaws.models.families import hidden_states, output_weight, weight_shapes
from scalelaws.models.hub_names import parameter_name
from scalelaws.models.shapes import Shape


class ScalelawsConfig(PretrainedConfig):
    """`shape` holds the fields of Shape."""

    model_type = "scalelaws"

    def __init__(self, shape: dict[str, Any] | None = None, **others: Any) -> None:
        self.shape = shape or {}
        self.vocab_size = self.shape.get("vocabulary")
        self.max_position_embeddings = self.shape.get("context")
        self.num_hidden_layers = self.shape.get("n_layer")
        super().__init__(**others)


class ScalelawsForCausalLM(PreTrainedModel, GenerationMixin):
    """The pure functions of scalelaws.models with their weights."""

    config_class = ScalelawsConfig

    def __init__(self, config: ScalelawsConfig) -> None:
        super().__init__(config)
        self.model_shape = Shape(**config.shape)
        for name, size in weight_shapes(self.model_shape).items():
            self.register_parameter(parameter_name(name), torch.nn.Parameter(torch.zeros(size)))
        self.post_init()

    def forward(self, input_ids: Tensor, labels: Tensor | None = None, **ignored: Any) -> CausalLMOutput:
        """Logits (sequences, tokens, vocabulary), and with labels the mean loss of each next token in nats.

        There is no padding: a sequence begins with its first token. An encoder-decoder is given the ids of a source,
        <|target|>, and what there is of its target; its loss is of tokens of targets alone.
        """
        shape = self.model_shape
        weights = {name: getattr(self, parameter_name(name)) for name in weight_shapes(shape)}
        dtype = weights["token_embedding"].dtype
        logits = (hidden_states(weights, shape, input_ids, dtype) @ output_weight(weights, shape).T).float()
        logits = logits.view(*input_ids.shape, -1)
        if labels is None:
            return CausalLMOutput(logits=logits)
        if shape.marks:
            asked = layout(input_ids, *shape.marks).in_target & (input_ids != shape.marks[1])
            labels = torch.cat([labels[:, :1], labels[:, 1:].masked_fill(~asked[:, :-1], -100)], dim=1)
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return CausalLMOutput(loss=loss, logits=logits)

    def prepare_inputs_for_generation(self, input_ids: Tensor, **ignored: Any) -> dict[str, Tensor]:
        """All tokens at every step: nothing is kept from one to the next."""
        return {"input_ids": input_ids}
