"""One update and one forward pass, as fast as the machine allows: compiled layers, flat buffers, no logits kept."""

import math
import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalelaws.errors import InputError
from scalelaws.models.families import hidden_states, output_weight
from scalelaws.models.loss import loss_and_gradients
from scalelaws.models.transformer import transformer_layer
from scalelaws.training import processes
from scalelaws.training.memory import total_bytes
from scalelaws.training.needs import USED_SHARE, device_bytes
from scalelaws.training.noise import NOISE_SHARE, NOISE_SPACING, averaged_squares, noise_scale
from scalelaws.training.optimizers import optimizer_step
from scalelaws.training.run import Run
from scalelaws.training.schedule import average_weight, learning_rate
from scalelaws.training.sharding import layer_of_pieces, leaves, sum_others, whole_state
from scalelaws.training.speed import PRECISIONS
from scalelaws.training.spikes import SPIKE_WINDOW, is_spike
from scalelaws.training.state import State, views

CPU = torch.device("cpu")
LARGEST_GRADIENT = 1.0
"""A longer gradient is scaled down to this norm, which bounds what one bad batch can do."""
COMPILED_ABOVE_TOKENS = 5_000_000
"""A run shorter than this ends before compiling its layer, which takes up to half a minute, would have paid."""
TOKENS_AT_ONCE = {"cpu": 8192, "cuda": 65_536}
"""Larger batches go through the model in equal parts whose gradients add up."""


class Engine:
    """A run's model, with its weights in the state's flat buffers.

    Several processes (torchrun) hold the same state, or each its pieces of it (`sharded`); each takes its share of
    every batch, and gradients are summed.
    """

    def __init__(self, run: Run, state: State, device: torch.device = CPU, *, sharded: bool = False) -> None:
        self.run = run
        self.state = state
        self.device = device
        self.sharded = sharded
        self.dtype = PRECISIONS[run.precision]
        self.layer = _compiled_layer() if run.tokens > COMPILED_ABOVE_TOKENS else transformer_layer
        self.gradient = torch.zeros_like(state.weights)
        self.weights = {} if sharded else self._leaves(state.weights, self.gradient)
        self.averaged = state.average if run.averaging else state.weights
        """The flat buffer of what is evaluated."""
        self.sequences_at_once = sequences_at_once(run, device, processes.count() if sharded else 1)
        sequences = run.batch_tokens // run.context
        self.few_sequences = max(processes.count(), sequences // NOISE_SHARE // processes.count() * processes.count())
        self.measures_noise = self.few_sequences < sequences

    def update(self, inputs: np.ndarray, targets: np.ndarray) -> float:
        """Make update state.step + 1 on one batch, (sequences, context) each; returns the batch's mean loss in nats.

        A loss or a gradient that is not finite leaves the state untouched and returns NaN. A spike is counted, and its
        update left out.
        """
        run, state = self.run, self.state
        step = state.step + 1
        measured = self.measures_noise and step % NOISE_SPACING == 0
        if measured:
            few = slice(0, self.few_sequences)
            _, small_norm = self._gradient_of(inputs[few], targets[few], step, transformer_layer)
        loss, norm = self._gradient_of(inputs, targets, step, self.layer)
        if not math.isfinite(loss + norm):
            return math.nan
        state.step = step
        if is_spike(state.recent_losses, loss):
            state.spikes += 1
            state.spikes_in_a_row += 1
            return loss
        state.spikes_in_a_row = 0
        state.recent_losses = [*state.recent_losses[1 - SPIKE_WINDOW :], loss]
        if measured:
            state.squares = averaged_squares(state.squares, (small_norm**2, norm**2), step)
        if norm > LARGEST_GRADIENT:
            self.gradient.mul_(LARGEST_GRADIENT / norm)
        rate = learning_rate(step, run.steps, run.learning_rate, run.schedule, run.warmup_steps)
        with torch.no_grad():
            moments = state.first_moment, state.second_moment
            pieces = processes.count() if self.sharded else 1
            optimizer_step(run, state.weights, self.gradient, moments, rate, step, pieces)
            if run.averaging:
                state.average.lerp_(state.weights, average_weight(step, run.averaging))
        return loss

    @property
    def noise_scale(self) -> float | None:
        """The gradient noise scale in tokens, over the last updates; None where it is not known yet."""
        if self.state.step < NOISE_SPACING or not self.measures_noise:
            return None
        return noise_scale(self.state.squares, self.few_sequences * self.run.context, self.run.batch_tokens)

    def evaluator(self, flat: Tensor | None = None) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """A forward function of ids, and the output layer's weight, of the averaged weights or of those in `flat`.

        With a compiled layer gradients stay enabled although none are taken: the training step's then serves here.
        """
        weights = self._leaves(self.averaged if flat is None else flat, None)
        run, layer = self.run, self._layer(self.layer)

        def hidden(ids: Tensor) -> Tensor:
            with torch.set_grad_enabled(self.layer is not transformer_layer):
                return hidden_states(weights, run.shape, ids, self.dtype, layer=layer)

        return hidden, output_weight(weights, run.shape)

    def whole_state(self) -> State:
        """The state as a process alone would have it; of one that is shared out, only the first process has it."""
        return whole_state(self.state, self.run.shape) if self.sharded else self.state

    def _gradient_of(
        self, inputs: np.ndarray, targets: np.ndarray, step: int, layer: Callable[..., Tensor]
    ) -> tuple[float, float]:
        """Mean loss of these sequences and the norm of its gradient, which comes to stand in self.gradient."""
        run = self.run
        self.gradient.zero_()
        if run.dropout:
            torch.manual_seed((run.seed << 32) + step * processes.count() + processes.rank())
        own = slice(processes.rank(), None, processes.count())
        # Embeddings that are put together of pieces stay so for one update.
        weights = self._leaves(self.state.weights, self.gradient) if self.sharded else self.weights
        output = output_weight(weights, run.shape)
        assert output.grad is not None
        loss = torch.zeros((), device=self.device)
        for start in range(0, len(inputs[own]), self.sequences_at_once):
            part = slice(start, start + self.sequences_at_once)
            ids, following = (torch.from_numpy(rows[own][part]).to(self.device) for rows in (inputs, targets))
            hidden = hidden_states(weights, run.shape, ids, self.dtype, run.dropout, self._layer(layer))
            with torch.no_grad():
                losses, hidden_gradient = loss_and_gradients(
                    hidden, output, following.flatten(), output.grad, targets.size
                )
            hidden.backward(hidden_gradient)
            loss += losses
        if self.sharded:
            sum_others(weights, self.gradient, run.shape)
            norm = processes.sum_over_all(self.gradient.square().sum()).sqrt()
        else:
            norm = torch.linalg.vector_norm(processes.sum_over_all(self.gradient))
        return float(processes.sum_over_all(loss)), float(norm)

    def _layer(self, layer: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return layer_of_pieces(layer, self.run.shape) if self.sharded else layer

    def _leaves(self, flat: Tensor, gradient: Tensor | None) -> dict[str, Tensor]:
        if self.sharded:
            return leaves(flat, gradient, self.run.shape)
        weights = {name: view.detach().requires_grad_(True) for name, view in views(flat, self.run.shape).items()}
        if gradient is not None:
            for name, view in views(gradient, self.run.shape).items():
                weights[name].grad = view
        return weights


def sequences_at_once(run: Run, device: torch.device, pieces: int = 1) -> int:
    """Sequences that go through the model together: one process's share of a batch, or an equal part of it.

    On a GPU no more than its memory holds beside one of the `pieces` that the state is shared out in. All of its memory
    counts, not what others leave of it now: a run that is taken up again computes what it would have.
    """
    share, left = divmod(run.batch_tokens // run.context, processes.count())
    if left:
        raise InputError(
            f"run {run.run}: batch_tokens",
            f"{run.batch_tokens // run.context} sequences cannot be shared evenly by {processes.count()} processes",
            "Choose a number of processes that divides the sequences of a batch.",
        )
    memory = USED_SHARE * total_bytes(device)
    fitting = max(1, TOKENS_AT_ONCE[device.type] // run.context)
    sizes = (size for size in range(min(share, fitting), 0, -1) if share % size == 0)
    return next((size for size in sizes if device_bytes(run, size, 0, pieces) <= memory), 1)


def _compiled_layer() -> Callable[..., Any]:
    """The layer compiled for static shapes, or as it is where there is no C++ compiler to do it with."""
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        return transformer_layer
    # Compiled in this process: a pool of compiling workers costs more memory than the model.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    return torch.compile(transformer_layer, dynamic=False)
