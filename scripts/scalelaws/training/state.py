"""What changes while a run trains, in flat float32 buffers, and its checkpoints."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from scalelaws.io import atomic_path
from scalelaws.models.families import initial_weights, weight_shapes
from scalelaws.models.shapes import Shape
from scalelaws.training.optimizers import moment_sizes

KEPT = 2
BUFFERS = ("weights", "average", "first_moment", "second_moment", "best")


@dataclass
class State:
    """Everything that a killed run needs to go on as if nothing had happened. Buffers are 1-D float32."""

    weights: Tensor
    average: Tensor
    """Running average of the weights: what is evaluated."""
    first_moment: Tensor
    second_moment: Tensor
    best: Tensor
    """The average at the step of the lowest held-out loss."""
    step: int = 0
    first_step: int = 0
    """Where the run began: 0, or the step at which it left its trunk."""
    best_step: int = 0
    best_loss: float = float("inf")
    checks_without_gain: int = 0
    seconds: float = 0.0
    flops_total: float = 0.0
    status: str = "running"
    """running, finished, early_stopped or diverged."""
    recent_losses: list[float] = field(default_factory=list)
    """Of the last updates' batches: what spikes are judged by."""
    spikes: int = 0
    """Updates that were left out because their batch's loss was a spike."""
    spikes_in_a_row: int = 0
    squares: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Average squared gradient norms of small and whole batches: the noise scale."""
    losses: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the observations table so far."""
    positions: list[dict[str, Any]] = field(default_factory=list)
    """The result's held-out loss at every position in the context."""

    def to(self, device: torch.device) -> "State":
        """The same state with its buffers on a device."""
        return replace(self, **{name: getattr(self, name).to(device) for name in BUFFERS})

    def numbers(self) -> dict[str, Any]:
        """The fields that are not buffers."""
        return {name: value for name, value in vars(self).items() if name not in BUFFERS}


def initial_state(shape: Shape, seed: int, optimizer: str = "adamw") -> State:
    """The state before the first update."""
    weights = torch.cat([weight.flatten() for weight in initial_weights(shape, seed).values()])
    first, second = (torch.zeros(size) for size in moment_sizes(shape, optimizer))
    return State(weights, weights.clone(), first, second, weights.clone())


def views(flat: Tensor, shape: Shape) -> dict[str, Tensor]:
    """The weights by name, as views of a flat buffer (or of its gradient)."""
    sizes = weight_shapes(shape)
    parts = flat.split([torch.Size(size).numel() for size in sizes.values()])
    return {name: part.view(size) for (name, size), part in zip(sizes.items(), parts, strict=True)}


def write_checkpoint(folder: Path, state: State, owner: str, kept: int | None = KEPT) -> None:
    """Write the state to <step>-<owner>-<digest>.safetensors. `owner` says whose state it is.

    Only the owner's newest stay in the folder (of every step, if kept is None), and nothing of other owners, nor what a
    process was writing when it was killed: one process at a time writes to a folder. Of a step that is made again only
    the new file stays.
    """
    for abandoned in folder.glob(".*.safetensors.*.tmp"):
        abandoned.unlink()
    buffers = {name: getattr(state, name) for name in BUFFERS}
    content = save(buffers, metadata={"numbers": json.dumps(state.numbers())})
    path = folder / f"{state.step:09}-{_short(owner.encode())}-{_short(content)}.safetensors"
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    own = [other for other in checkpoints_of(folder, owner) if other == path or _step_of(other) != state.step]
    for other in set(folder.glob("*.safetensors")) - set(own[-kept:] if kept else own):
        other.unlink()


def checkpoints_of(folder: Path, owner: str) -> list[Path]:
    """The owner's checkpoints in a folder, the newest last."""
    return sorted(folder.glob(f"*-{_short(owner.encode())}-*.safetensors"))


def read_checkpoint(folder: Path, owner: str, say: Callable[[str], None] = print) -> State | None:
    """The newest whole checkpoint of this owner, or None. A damaged file is passed over for the one before it."""
    own = checkpoints_of(folder, owner)
    for path in sorted(folder.glob("*.safetensors"), reverse=True):
        if path not in own:
            say(f"{path.name}: checkpoint of other settings, not used")
        elif state := _read(path, say):
            return state
    return None


def newest_step(folder: Path, owner: str) -> int | None:
    """The step of the owner's newest checkpoint, or None."""
    own = checkpoints_of(folder, owner)
    return _step_of(own[-1]) if own else None


def branched_state(trunk: Path, last_step: int, say: Callable[[str], None] = print) -> State | None:
    """The newest of a trunk's saved states at or before `last_step`, as the beginning of a branch; or None."""
    for path in sorted(trunk.glob("*.safetensors"), reverse=True):
        if _step_of(path) <= last_step and (state := _read(path, say)):
            state.first_step, state.seconds, state.flops_total, state.losses = state.step, 0.0, 0.0, []
            state.best_step, state.best_loss, state.status = 0, float("inf"), "running"
            return state
    say(f"{trunk}: no state of the trunk up to step {last_step:,}; the branch begins at its first step")
    return None


def _read(path: Path, say: Callable[[str], None]) -> State | None:
    """The state in a file, or None if it is not what was written."""
    content = path.read_bytes()
    if _short(content) != path.stem.split("-")[-1]:
        say(f"{path.name}: damaged checkpoint, taking the one before it")
        return None
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    fields: dict[str, Any] = {**load(content), **json.loads(header["numbers"])}
    return State(**fields)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[0])


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def owner_of(run: Any, recipe: str, inputs: dict[str, str]) -> str:
    """Whose checkpoint it is: a hash of the run, the code's recipe and the digests of the tokens."""
    text = json.dumps({"run": asdict(run), "recipe": recipe, "inputs": inputs}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
