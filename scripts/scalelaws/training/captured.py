"""Updates of a small model on one GPU, each a CUDA graph: captured once, replayed, and queued without waiting.

A small model's update is hundreds of kernels that take less time than launching them does, and each number that is
looked at stops the queue. So what depends on the update's loss, whether it is left out and whether the run goes on at
all, is decided on the GPU by the rules of scalelaws.training.spikes, and looked at some updates later.
"""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from scalelaws.training.optimizers import optimizer_step
from scalelaws.training.run import Run
from scalelaws.training.spikes import SPIKE_DEVIATIONS, SPIKE_FIRST, SPIKE_NATS, SPIKE_WINDOW, SPIKES_TO_DIVERGE
from scalelaws.training.state import State

MOST_QUEUED, MOST_QUEUED_TOKENS, MOST_QUEUED_SECONDS = 32, 1 << 21, 1.0
"""Updates that are queued at most, the tokens of their batches, and their time: a run that is told to end ends after
them."""
WARM_UPS = 3
STOPPED = 1
"""Place in the counters."""


class CapturedUpdates:
    """The updates of one run, which change the state's buffers, but not its numbers."""

    def __init__(
        self,
        run: Run,
        state: State,
        gradient: Tensor,
        largest_gradient: float,
        gradients_of: Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor, Tensor]],
        noise: Sequence[bool],
    ) -> None:
        """gradients_of: inputs and targets, and whether to measure the noise -> loss, gradient's norm, and that of the
        few sequences that measure the noise; the gradient itself comes to stand in `gradient`. noise: whether there
        will be updates that do not, and that do."""
        self.run, self.state, self.gradient = run, state, gradient
        self.largest_gradient, self.gradients_of = largest_gradient, gradients_of
        device = state.weights.device
        size = 2, run.batch_tokens // run.context, run.context
        self.slots = max(1, min(MOST_QUEUED, MOST_QUEUED_TOKENS // run.batch_tokens))
        self.waiting = torch.zeros((self.slots, *size), dtype=torch.int64).pin_memory()
        self.waiting_numbers = torch.zeros((self.slots, 2)).pin_memory()
        self.ids = torch.zeros(size, dtype=torch.int64, device=device)
        self.numbers = torch.zeros(2, device=device)
        """The learning rate, and the newest weights' share of the average."""
        self.step = torch.zeros((), device=device)
        self.recent = torch.zeros(SPIKE_WINDOW, device=device)
        self.counters = torch.zeros(3, dtype=torch.int32, device=device)
        self.results = torch.zeros((self.slots, 5), device=device)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        self.skipped = torch.zeros((), device=device)
        self.queued, self.room, self.began = 0, 1, 0.0
        """How many updates are queued, how many may be, and since when."""
        self.graphs: dict[bool, torch.cuda.CUDAGraph] = {}
        aside = torch.cuda.Stream(device) if device.type == "cuda" else None
        for measured in noise:
            self._capture(measured, aside)
        self._take_up()

    @property
    def has_room(self) -> bool:
        """Whether another update can be queued."""
        return self.queued < self.room

    def queue(self, inputs: np.ndarray, targets: np.ndarray, rate: float, share: float, *, measured: bool) -> None:
        """Queue one update at a learning rate, with the newest weights' share of the average."""
        slot = self.queued
        if slot == 0:
            self.began = time.monotonic()
        self.waiting[slot, 0].copy_(torch.from_numpy(inputs))
        self.waiting[slot, 1].copy_(torch.from_numpy(targets))
        self.waiting_numbers[slot, 0], self.waiting_numbers[slot, 1] = rate, share
        self.ids.copy_(self.waiting[slot], non_blocking=True)
        self.numbers.copy_(self.waiting_numbers[slot], non_blocking=True)
        self.graphs[measured].replay()
        self.queued += 1

    def settled(self) -> list[tuple[float, float, float, bool, bool]]:
        """Wait for what is queued: of each update its loss, its gradient's norm and that of the few sequences, whether
        it was left out as a spike, and whether the run ended with it."""
        rows = self.results[: self.queued].tolist()
        self.place.zero_()
        if self.queued:
            seconds = (time.monotonic() - self.began) / self.queued
            self.room = max(1, min(self.slots, int(MOST_QUEUED_SECONDS / seconds)))
        self.queued = 0
        return [(loss, norm, few, spike > 0, stopped > 0) for loss, norm, few, spike, stopped in rows]

    def _capture(self, measured: bool, aside: torch.cuda.Stream | None) -> None:
        """Capture an update, on one stream for all, so that they use the same memory.

        Those that are made to warm up find the run stopped, and change nothing.
        """
        self.counters[STOPPED] = 1
        torch.cuda.synchronize()
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                self.place.zero_()
                self._update(measured)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self.graphs.values())).pool() if self.graphs else None
        with torch.cuda.graph(graph, pool=pool, stream=aside):
            self._update(measured)
        self.graphs[measured] = graph

    def _take_up(self) -> None:
        """Begin where the state is."""
        recent = self.state.recent_losses
        self.step.fill_(self.state.step)
        self.place.zero_()
        self.recent[: len(recent)] = torch.tensor(recent, device=self.recent.device)
        self.counters.copy_(torch.tensor([self.state.spikes_in_a_row, 0, len(recent)], dtype=torch.int32))

    def _update(self, measured: bool) -> None:
        run, state = self.run, self.state
        loss, norm, few = self.gradients_of(self.ids[0], self.ids[1], measured)
        spike, stopped = torch.empty_like(loss), torch.empty_like(loss)
        _judge[(1,)](
            loss, norm, self.recent, self.counters, self.skipped, spike, stopped,
            math.log(run.vocabulary) + SPIKE_NATS, SPIKE_WINDOW, SPIKE_FIRST, SPIKE_DEVIATIONS, SPIKE_NATS,
            SPIKES_TO_DIVERGE, num_warps=4,
        )  # fmt: skip
        row = torch.stack([loss, norm, few, spike, stopped])
        self.results.index_copy_(0, self.place, row[None])
        self.place += 1
        self.step += 1
        with torch.no_grad():
            divisor = torch.clamp(norm / self.largest_gradient, min=1.0)
            moments = state.first_moment, state.second_moment
            rate = self.numbers[0]
            optimizer_step(
                run, state.weights, self.gradient, moments, rate, self.step, divisor=divisor, skipped=self.skipped
            )
            if run.averaging:
                state.average.lerp_(state.weights, self.numbers[1] * (1 - self.skipped))


@triton.jit
def _judge(
    loss, norm, recent, counters, skipped, spiked, ended, guessing,
    WINDOW: tl.constexpr, FIRST: tl.constexpr, DEVIATIONS: tl.constexpr, NATS: tl.constexpr, IN_A_ROW: tl.constexpr,
):  # fmt: skip
    """is_spike and has_diverged of scalelaws.training.spikes for one update, and what follows from them."""
    places = tl.arange(0, WINDOW)
    in_a_row, stopped, counted = tl.load(counters), tl.load(counters + 1), tl.load(counters + 2)
    value = tl.load(loss)
    total = value + tl.load(norm)
    seen = tl.minimum(counted, WINDOW)
    losses = tl.load(recent + places)
    mean = tl.sum(tl.where(places < seen, losses, 0.0)) / tl.maximum(seen, 1)
    away = tl.where(places < seen, losses - mean, 0.0)
    deviation = tl.sqrt(tl.sum(away * away) / tl.maximum(seen, 1))
    spike = (seen >= FIRST) & (value > mean + tl.maximum(DEVIATIONS * deviation, NATS))
    finite = tl.abs(total) < float("inf")
    running = (stopped == 0) & finite
    applied = running & (spike == 0)
    losses = tl.where(applied & (places == counted % WINDOW), value, losses)
    counted = tl.where(applied, counted + 1, counted)
    in_a_row = tl.where(running & spike, in_a_row + 1, tl.where(applied, 0, in_a_row))
    lost = (in_a_row >= IN_A_ROW) | ((counted >= WINDOW) & (tl.sum(losses) / WINDOW > guessing))
    tl.store(recent + places, losses)
    tl.store(counters, in_a_row)
    ends = tl.where(running & (lost == 0), 0, 1)
    tl.store(counters + 1, ends)
    tl.store(ended, ends.to(tl.float32))
    tl.store(counters + 2, counted)
    tl.store(skipped, tl.where(applied, 0.0, 1.0))
    tl.store(spiked, tl.where(spike, 1.0, 0.0))
