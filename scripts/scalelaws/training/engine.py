"""One update and one forward pass, as fast as the machine allows: compiled layers, flat buffers, no logits kept."""

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from scalelaws.errors import InputError
from scalelaws.models.exponentials import cpp_compiler
from scalelaws.models.families import hidden_states, output_weight
from scalelaws.models.loss import loss_and_gradients
from scalelaws.models.shapes import DECODERS
from scalelaws.models.transformer import transformer_layer
from scalelaws.training import processes
from scalelaws.training.memory import total_bytes
from scalelaws.training.needs import CAPTURED_BELOW, USED_SHARE, device_bytes
from scalelaws.training.noise import NOISE_SHARE, NOISE_SPACING, averaged_squares, noise_scale
from scalelaws.training.optimizers import optimizer_step
from scalelaws.training.run import Run
from scalelaws.training.schedule import average_weight, learning_rate
from scalelaws.training.sharding import layer_of_pieces, leaves, sum_others, whole_state
from scalelaws.training.speed import PRECISIONS
from scalelaws.training.spikes import SPIKE_WINDOW, has_diverged, is_spike
from scalelaws.training.state import State, views
from scalelaws.training.targets import asked_loss_and_gradients, count_asked

if TYPE_CHECKING:  # the module needs a compiler that PyTorch brings for GPUs alone
    from scalelaws.training.captured import CapturedUpdates

CPU = torch.device("cpu")
LARGEST_GRADIENT = 1.0
"""A longer gradient is scaled down to this norm, which bounds what one bad batch can do."""
COMPILED_ABOVE_TOKENS = {"cpu": 5_000_000, "cuda": 50_000_000}
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
        compiled = run.tokens > COMPILED_ABOVE_TOKENS[device.type]
        self.layer = _compiled_layer() if compiled else transformer_layer
        self.gradient = torch.zeros_like(state.weights)
        self.weights = {} if sharded else self._leaves(state.weights, self.gradient)
        self.averaged = state.average if run.averaging else state.weights
        """The flat buffer of what is evaluated."""
        self.sequences_at_once = sequences_at_once(run, device, processes.count() if sharded else 1)
        sequences = run.batch_tokens // run.context
        self.few_sequences = max(processes.count(), sequences // NOISE_SHARE // processes.count() * processes.count())
        self.measures_noise = self.few_sequences < sequences
        self.newest = math.nan
        """The newest settled batch's loss."""
        self.captured = self._captured() if _is_captured(run, device) else None

    @property
    def step(self) -> int:
        """The number of the newest update, which may still be under way."""
        return self.state.step + (self.captured.queued if self.captured else 0)

    @property
    def has_room(self) -> bool:
        """Whether another update can be queued before `settle`."""
        return self.captured is not None and self.captured.has_room

    def update(self, inputs: np.ndarray, targets: np.ndarray) -> float:
        """Make update state.step + 1 on one batch, (sequences, context) each; returns the batch's mean loss in nats.

        A loss or a gradient that is not finite leaves the state untouched, but for its status, and returns NaN. A spike
        is counted, and its update left out.
        """
        self.queue(inputs, targets)
        return self.settle()

    def queue(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """As `update`, without waiting for a GPU: the state is that after the update once `settle` was called."""
        run, step = self.run, self.step + 1
        measured = self.measures_noise and step % NOISE_SPACING == 0
        rate = learning_rate(step, run.steps, run.learning_rate, run.schedule, run.warmup_steps)
        share = average_weight(step, run.averaging) if run.averaging else 1.0
        if self.captured:
            self.captured.queue(inputs, targets, rate, share, measured=measured)
            return
        if run.shape.marks and not count_asked(targets[: self.few_sequences]):
            measured = False
            if not count_asked(targets):  # a batch of sources alone teaches nothing
                self.state.step = step
                return
        ids, following = (torch.from_numpy(rows).to(self.device) for rows in (inputs, targets))
        loss, norm, few = map(float, self._gradients_of(ids, following, step, measured=measured))
        spike = is_spike(self.state.recent_losses, loss)
        if self._counts(loss, norm, few, measured=measured, spike=spike):
            self._change_weights(norm, rate, share)
        if has_diverged(self.state.recent_losses, self.state.spikes_in_a_row, run.vocabulary):
            self.state.status = "diverged"

    def settle(self) -> float:
        """Wait for the queued updates, and bring the state up to date; returns the newest batch's mean loss in nats."""
        for loss, norm, few, spike, ended in self.captured.settled() if self.captured else ():
            measured = self.measures_noise and (self.state.step + 1) % NOISE_SPACING == 0
            self._counts(loss, norm, few, measured=measured, spike=spike)
            if ended:  # and the GPU has left out all updates that were queued after it
                self.state.status = "diverged"
                break
        return self.newest

    def _counts(self, loss: float, norm: float, few: float, *, measured: bool, spike: bool) -> bool:
        """Take an update's loss and its gradient's norms into the state; returns whether the weights are to change."""
        state = self.state
        self.newest = loss if math.isfinite(loss + norm) else math.nan
        if math.isnan(self.newest):
            state.status = "diverged"
            return False
        state.step += 1
        if spike:
            state.spikes += 1
            state.spikes_in_a_row += 1
        else:
            state.spikes_in_a_row = 0
            state.recent_losses = [*state.recent_losses[1 - SPIKE_WINDOW :], loss]
            if measured:
                state.squares = averaged_squares(state.squares, (few**2, norm**2), state.step)
        return not spike

    def _change_weights(self, norm: float, rate: float, share: float) -> None:
        run, state = self.run, self.state
        if norm > LARGEST_GRADIENT:
            self.gradient.mul_(LARGEST_GRADIENT / norm)
        with torch.no_grad():
            moments = state.first_moment, state.second_moment
            pieces = processes.count() if self.sharded else 1
            optimizer_step(run, state.weights, self.gradient, moments, rate, state.step, pieces)
            if run.averaging:
                state.average.lerp_(state.weights, share)

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

    def _gradients_of(
        self, inputs: Tensor, targets: Tensor, step: int, *, measured: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean loss of these sequences, and the norm of its gradient, which comes to stand in self.gradient; and where
        the noise is `measured`, the norm of the gradient of the first few of them."""
        few = torch.zeros((), device=self.device)
        if measured:
            part = slice(0, self.few_sequences)
            _, few = self._gradient_of(inputs[part], targets[part], step, transformer_layer)
        return *self._gradient_of(inputs, targets, step, self.layer), few

    def _gradient_of(
        self, inputs: Tensor, targets: Tensor, step: int, layer: Callable[..., Tensor]
    ) -> tuple[Tensor, Tensor]:
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
        count = count_asked(targets) if run.shape.marks else targets.numel()
        loss_of = asked_loss_and_gradients if run.shape.marks else loss_and_gradients
        inputs, targets = inputs[own], targets[own]
        for start in range(0, len(inputs), self.sequences_at_once):
            part = slice(start, start + self.sequences_at_once)
            hidden = hidden_states(weights, run.shape, inputs[part], self.dtype, run.dropout, self._layer(layer))
            with torch.no_grad():
                losses, hidden_gradient = loss_of(hidden, output, targets[part].flatten(), output.grad, count)
            hidden.backward(hidden_gradient)
            loss += losses
        if self.sharded:
            sum_others(weights, self.gradient, run.shape)
            norm = processes.sum_over_all(self.gradient.square().sum()).sqrt()
        else:
            norm = torch.linalg.vector_norm(processes.sum_over_all(self.gradient))
        return processes.sum_over_all(loss), norm

    def _captured(self) -> "CapturedUpdates":
        from scalelaws.training.captured import CapturedUpdates

        def gradients_of(inputs: Tensor, targets: Tensor, measured: bool) -> tuple[Tensor, Tensor, Tensor]:
            return self._gradients_of(inputs, targets, 0, measured=measured)

        noise = (False, True) if self.measures_noise else (False,)
        return CapturedUpdates(self.run, self.state, self.gradient, LARGEST_GRADIENT, gradients_of, noise)

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


def _is_captured(run: Run, device: torch.device) -> bool:
    """Whether the run's updates are captured as CUDA graphs: what is drawn anew or sent between them cannot be."""
    return (
        device.type == "cuda"
        and processes.count() == 1
        and run.family in DECODERS
        and run.shape.applied_parameters <= CAPTURED_BELOW
        and run.optimizer == "adamw"
        and not run.dropout
    )


def _compiled_layer() -> Callable[..., Any]:
    """The layer compiled for static shapes, or as it is where there is no C++ compiler to do it with."""
    if cpp_compiler() is None:
        return transformer_layer
    # Compiled in this process: a pool of compiling workers costs more memory than the model.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    return torch.compile(transformer_layer, dynamic=False)
