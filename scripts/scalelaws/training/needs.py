"""What a run needs: memory, time, and how many devices, known from its plan alone and without PyTorch."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any

from scalelaws.models.shapes import DECODERS
from scalelaws.training.hardware import Hardware
from scalelaws.training.run import Run
from scalelaws.training.schedule import PASSING_STRIDE, check_steps, evaluation_steps, passing_steps

PROCESS_BYTES = 600 << 20
"""Of Python with PyTorch, before it holds anything."""
STATE_BUFFERS, STEP_BUFFERS, CHECKPOINT_BUFFERS = 5, 1, 10
"""Float32 numbers a weight: of the state, the gradient, and what a checkpoint is put together from."""
OUTPUT_ROWS, GPU_OUTPUT_ROWS = 512, 8192
"""Rows of logits that exist at a time."""
CAPTURED_BELOW = 50_000_000
"""Parameters, each as often as a token meets it, up to which a GPU's updates are captured, which pays at the smallest:
3.6 times as fast as compiled alone at 1e5, 1.1 times at 3e7. What is captured keeps its memory to itself."""
USED_SHARE = 0.9
"""Of a GPU's memory, that training is made to fit into."""
GPU_HOST_BYTES = 4 << 30
"""Of the machine's own memory, that a process with a GPU takes besides."""
AROUND_A_JOB_MB = 700
"""Of the two Snakemakes around a job and the compiler that a training calls."""
START_SECONDS, START_MINUTES = 20.0, 10
"""What a job takes before its first update, and what it is allowed to."""
SHARING = 16
"""Runs that a GPU has room for together, where they share it."""
ALLOWED = 3.0
"""Times the time on the slowest hardware of its kind that a run is allowed; more on a further attempt."""


@dataclass(frozen=True)
class Needs:
    """What a run is given."""

    nodes: int
    devices_per_node: int
    gpus: int
    """In all."""
    seconds: float
    """Expected, from the job's start to its end."""
    minutes: int
    """Allowed."""
    memory_mb: int
    """Of each node."""
    sharded: bool = False
    """Each device holds only a piece of the run's state, for none can hold the whole."""

    @property
    def devices(self) -> int:
        """Processes that train the run together, each with a core or a GPU of its own."""
        return self.nodes * self.devices_per_node


def needed_bytes(run: Run, sequences_at_once: int, evaluated_sets: int, pieces: int = 1) -> int:
    """About what training takes at its peak: within 15% of what was measured on a CPU from 3e6 to 3e7 parameters.

    `pieces`: processes that the state is shared out over; checkpoints are put together by one of them.
    """
    checkpoint = 4 * _weights(run) * CHECKPOINT_BUFFERS
    working = _working_bytes(run, sequences_at_once, evaluated_sets, on_gpu=False)
    return _held_bytes(run, pieces) + working + checkpoint


def device_bytes(run: Run, sequences_at_once: int, evaluated_sets: int, pieces: int = 1) -> int:
    """What training takes at its peak of the memory of a GPU, where no checkpoint is put together."""
    times = 2 if run.shape.applied_parameters <= CAPTURED_BELOW else 1
    return _held_bytes(run, pieces) + times * _working_bytes(run, sequences_at_once, evaluated_sets, on_gpu=True)


def needs_of(run: Run, hardware: Hardware, longest_hours: float, evaluated_sets: int) -> Needs:
    """The fewest devices on which the run fits into memory and takes no longer than `longest_hours`; else the most.

    Several devices of a node first, then several nodes, each number one that divides the batch evenly.
    """
    choices = [_needs(run, hardware, count, evaluated_sets) for count in _counts(run, hardware)]
    too_small = list(takewhile(lambda choice: not _enough(run, hardware, choice, longest_hours), choices))
    return choices[min(len(too_small), len(choices) - 1)]


def sharing_jobs(
    runs: Mapping[str, Run], needs: Mapping[str, Needs], hardware: Hardware, minutes: float, evaluated_sets: int
) -> set[str]:
    """Names of the runs that share jobs: on one device, done in at most so many minutes, no trunks, and small.

    Of those that share a GPU it must hold SHARING at a time.
    """
    most = USED_SHARE * hardware.device.gpu_bytes / SHARING
    return {
        name
        for name, need in needs.items()
        if need.devices == 1
        and need.seconds <= 60 * minutes
        and runs[name].schedule != "trunk"
        and device_bytes(runs[name], _at_once(runs[name], hardware, 1), evaluated_sets) <= most
    }


def longest_minutes(hours: float, sharing: Collection[str]) -> Callable[[Any], float]:
    """As a function of a job's wildcards: what it may take; each of the runs that share a job has its part of that."""
    return lambda wildcards: 60 * hours / (SHARING if wildcards.get("run") in sharing else 1)


def shared_memory_mb(needs: Mapping[str, Needs], sharing: Collection[str], cores: int) -> int:
    """The most memory that a job of runs which share it may ask for, of as many at a time as it has cores."""
    return sum(sorted(needs[name].memory_mb for name in sharing)[-min(SHARING, cores) :])


def gpus_asked(run: str, needs: Mapping[str, Needs], sharing: Collection[str]) -> int:
    """GPUs of a run's own job; 0 for one that shares a job and its GPU, since Snakemake adds numbers up."""
    return 0 if run in sharing else needs[run].gpus


def disk_bytes(run: Run) -> int:
    """What a run leaves on the disk: its weights, and for a trunk the states that its branches begin from."""
    forks = 13 * STATE_BUFFERS if run.schedule == "trunk" else 0
    return 4 * _weights(run) * (1 + forks)


def checkpoint_bytes(run: Run) -> int:
    """What a run takes on the disk while it trains: two checkpoints, and the one that is being written."""
    return 3 * 4 * STATE_BUFFERS * _weights(run)


def _counts(run: Run, hardware: Hardware) -> Iterable[tuple[int, int]]:
    """Nodes, and devices of each, that a run may be given, from few to many."""
    sequences = run.batch_tokens // run.context
    # A trunk stays on one node: what it keeps for its branches is written by one process beside its checkpoints.
    most = 1 if run.schedule == "trunk" else hardware.nodes
    whole_nodes = ((nodes, hardware.devices_per_node) for nodes in range(2, most + 1))
    within_one = ((1, devices) for devices in range(1, hardware.devices_per_node + 1))
    return [(n, d) for n, d in (*within_one, *whole_nodes) if sequences % (n * d) == 0]


def _enough(run: Run, hardware: Hardware, needs: Needs, longest_hours: float) -> bool:
    if needs.seconds > longest_hours * 3600:
        return False
    return _fits(run, hardware, needs.devices if needs.sharded else 1)


def _fits(run: Run, hardware: Hardware, pieces: int) -> bool:
    """Whether a device holds a piece of the run's state; a batch goes through in as many parts as it takes."""
    return device_bytes(run, 1, 0, pieces) <= USED_SHARE * hardware.device.gpu_bytes


def _needs(run: Run, hardware: Hardware, count: tuple[int, int], evaluated_sets: int) -> Needs:
    nodes, devices = count
    seconds, slow_seconds = (
        _seconds(run, rate, nodes * devices, hardware.device.layer_seconds, evaluated_sets)
        for rate in (hardware.device.flops_per_second, hardware.device.slow_flops_per_second)
    )
    if hardware.has_gpus:  # the first process alone puts checkpoints together
        memory = devices * GPU_HOST_BYTES + 4 * _weights(run) * CHECKPOINT_BUFFERS
    else:
        memory = devices * needed_bytes(run, _at_once(run, hardware, nodes * devices), evaluated_sets)
    return Needs(
        nodes=nodes,
        devices_per_node=devices,
        gpus=nodes * devices if hardware.has_gpus else 0,
        seconds=START_SECONDS + seconds,
        minutes=START_MINUTES + math.ceil(ALLOWED * slow_seconds / 60),
        memory_mb=AROUND_A_JOB_MB + math.ceil(1.2 * memory / 1e6),
        sharded=nodes * devices > 1 and not _fits(run, hardware, 1),
    )


def _seconds(run: Run, rate: float, devices: int, layer_seconds: float, evaluated_sets: int) -> float:
    """Updates and evaluations at a rate of FLOP/s, with no update faster than its layers' overheads."""
    rate *= devices
    update = 3 * run.shape.forward_flops * run.batch_tokens / rate
    least = layer_seconds * run.n_layer * run.recurrence
    updates = (run.steps - run.first_step) * max(update, least)
    held_out, passing = _evaluations(run.steps, run.dataset_tokens / run.batch_tokens, run.evaluations)
    # Training text that the run has not seen is evaluated for the result alone.
    windows = held_out + (evaluated_sets - 1) * (passing / PASSING_STRIDE + 1) + 1
    return updates + windows * run.evaluation_tokens * run.shape.forward_flops / rate


@lru_cache
def _evaluations(steps: int, epoch_steps: float, evaluations: int) -> tuple[int, int]:
    """How often the held-out text is evaluated, and how often all text in passing; the same for many runs."""
    held_out = {*evaluation_steps(steps, evaluations), *check_steps(steps, epoch_steps)}
    return len(held_out), len(passing_steps(steps, evaluations))


def _held_bytes(run: Run, pieces: int) -> int:
    """A process, its piece of the run's state, and the gradient."""
    state = 4 * _weights(run) * (STATE_BUFFERS + STEP_BUFFERS) // pieces
    # Of a state in pieces, the embeddings and a layer are put together, and so are their gradients; of families whose
    # layers are of other kinds, all.
    layers = run.parameters // run.n_layer if run.family in DECODERS else run.parameters
    whole = 2 * 4 * (run.embedding_parameters + layers) if pieces > 1 else 0
    return PROCESS_BYTES + state + whole


def _working_bytes(run: Run, sequences_at_once: int, evaluated_sets: int, *, on_gpu: bool) -> int:
    """What passes through the model, and the windows that are evaluated.

    A CPU may be one that takes float32 for auto; the GPUs take bfloat16.
    """
    shape, tokens = run.shape, sequences_at_once * run.context
    width = 2 if run.precision == "bfloat16" or (on_gpu and run.precision == "auto") else 4
    # A layer keeps its norms, queries, keys and values, both sides of the feed-forward, and the attention's weights,
    # which a GPU computes again in the backward pass.
    attention = 0 if on_gpu or shape.marks else 3 * shape.n_head * run.context
    kept = (12 * shape.d_model + 3 * shape.d_feed_forward + attention) * width
    layers = tokens * kept * shape.n_layer * shape.recurrence
    if shape.marks:  # an encoder-decoder's keep masks in place of weights, and a decoder's layer attends twice
        decoders = shape.n_layer - shape.encoder_layers
        layers += tokens * width * (6 * shape.d_model * decoders + run.context * (shape.n_layer + decoders))
    rows = GPU_OUTPUT_ROWS if on_gpu else OUTPUT_ROWS
    output = rows * run.vocabulary * width * 2 + (4 + width) * run.vocabulary * shape.d_model
    return layers + output + (evaluated_sets + 1) * run.evaluation_tokens * 2 * 8


def _at_once(run: Run, hardware: Hardware, devices: int) -> int:
    """About how many sequences go through the model together on one device."""
    return max(1, min(run.batch_tokens // devices, hardware.device.tokens_at_once) // run.context)


def _weights(run: Run) -> int:
    return run.parameters + run.embedding_parameters
