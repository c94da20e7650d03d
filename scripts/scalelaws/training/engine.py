"""One update and one forward pass, as fast as the machine allows: compiled layers, flat buffers, no logits kept."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalelaws.models.families import hidden_states, output_weight
from scalelaws.models.loss import LinearCrossEntropy
from scalelaws.models.transformer import transformer_layer
from scalelaws.training.optimizers import optimizer_step
from scalelaws.training.run import Run
from scalelaws.training.schedule import average_weight, learning_rate
from scalelaws.training.state import State, views

LARGEST_GRADIENT = 1.0
COMPILED_ABOVE_TOKENS = 250_000
"""A run shorter than this ends before compiling its layer would have paid."""


class Engine:
    """A run's model, with its weights in the state's flat buffers."""

    def __init__(self, run: Run, state: State, device: str = "cpu") -> None:
        self.run = run
        self.state = state
        self.device = torch.device(device)
        self.dtype = {"bfloat16": torch.bfloat16, "float32": torch.float32}[run.precision]
        self.layer = _compiled_layer() if run.tokens > COMPILED_ABOVE_TOKENS else transformer_layer
        self.gradient = torch.zeros_like(state.weights)
        self.weights = self._leaves(state.weights, self.gradient)
        self.evaluated = self.weights if run.averaging == 0 else self._leaves(state.average, None)

    def update(self, inputs: np.ndarray, targets: np.ndarray) -> float:
        """Make update state.step + 1 on one batch, (sequences, context) each; returns the batch's mean loss in nats.

        A loss that is not finite leaves the state untouched.
        """
        run, state = self.run, self.state
        step = state.step + 1
        if run.dropout:
            torch.manual_seed((run.seed << 32) + step)
        self.gradient.zero_()
        hidden = self.hidden(self.weights, torch.from_numpy(inputs).to(self.device), run.dropout)
        flat_targets = torch.from_numpy(targets).flatten().to(self.device)
        total: Tensor = LinearCrossEntropy.apply(hidden, output_weight(self.weights, run.shape), flat_targets)
        loss = total / targets.size
        value = float(loss.detach())
        if not np.isfinite(value):
            return value
        loss.backward()
        norm = torch.linalg.vector_norm(self.gradient)
        self.gradient.mul_(torch.clamp(LARGEST_GRADIENT / (norm + 1e-12), max=1.0))
        rate = learning_rate(step, run.steps, run.learning_rate, run.schedule, run.warmup_steps)
        with torch.no_grad():
            moments = state.first_moment, state.second_moment
            optimizer_step(run, state.weights, self.gradient, moments, rate, step)
            state.average.lerp_(state.weights, average_weight(step, run.averaging))
        state.step = step
        return value

    def hidden(self, weights: dict[str, Tensor], ids: Tensor, dropout: float = 0.0) -> Tensor:
        """Normed final hidden states (tokens, width)."""
        return hidden_states(weights, self.run.shape, ids, self.dtype, dropout, self.layer)

    def evaluator(self, flat: Tensor | None = None) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """A forward function of ids, and the output embedding, of the averaged weights or of those in `flat`.

        Gradients stay enabled although none are taken: the training step's compiled layer then serves here as well.
        """
        weights = self.evaluated if flat is None else self._leaves(flat, None)
        return lambda ids: self.hidden(weights, ids), output_weight(weights, self.run.shape)

    def _leaves(self, flat: Tensor, gradient: Tensor | None) -> dict[str, Tensor]:
        leaves = {name: view.detach().requires_grad_(True) for name, view in views(flat, self.run.shape).items()}
        if gradient is not None:
            for name, view in views(gradient, self.run.shape).items():
                leaves[name].grad = view
        return leaves


def _compiled_layer() -> Callable[..., Any]:
    """The layer compiled for static shapes, or as it is where there is no C++ compiler to do it with."""
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        return transformer_layer
    # Compiled in this process: a pool of compiling workers costs more memory than the model.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    return torch.compile(transformer_layer, dynamic=False)
