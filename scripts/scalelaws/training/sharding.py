"""A run's state shared out over its processes, a piece of every weight for each: for models that no device can hold.

Fully sharded data parallelism (Rajbhandari et al. 2020, ZeRO stage 3; PyTorch's FSDP). A layer's matrices are put
together when it is gone through, forwards and once more backwards, and dropped behind it; embeddings for an update.
Gradients are summed into the pieces. All functions but `piece_sizes` must be called by all processes together.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as distributed
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from scalelaws.models.families import weight_shapes
from scalelaws.models.shapes import DECODERS, Shape
from scalelaws.models.transformer import LAYER_PARTS
from scalelaws.training import processes
from scalelaws.training.state import BUFFERS, State


def piece_sizes(shape: Shape, count: int) -> dict[str, int]:
    """Elements of each of the `count` pieces of a weight, by name; the last of them may be filled up with zeros."""
    return {name: -(-torch.Size(size).numel() // count) for name, size in weight_shapes(shape).items()}


def scattered(state: State | None, shape: Shape) -> State:
    """This process's pieces of the state that the first process has, as flat buffers."""
    numbers: list[Any] = [state.numbers() if state else None]
    distributed.broadcast_object_list(numbers)
    fields: dict[str, Any] = {}
    for name in BUFFERS:
        whole = getattr(state, name) if state else None
        fields[name] = torch.cat(_scattered(whole, shape))
    return State(**fields, **numbers[0])


def whole_state(state: State, shape: Shape) -> State:
    """The state put together in the memory of the first process's machine; the others get empty buffers."""
    fields: dict[str, Any] = {name: whole(getattr(state, name), shape) for name in BUFFERS}
    return replace(state, **fields)


def whole(flat: Tensor, shape: Shape) -> Tensor:
    """One buffer put together, as `whole_state`: weight by weight, so that a device holds one of them at a time."""
    kept = [torch.empty(0)]
    for piece, size in _sized(flat, shape):
        weight = _put_together(piece, size).flatten()
        if processes.rank() == 0:
            kept.append(weight.cpu())
    return torch.cat(kept)


def leaves(flat: Tensor, gradient: Tensor | None, shape: Shape) -> dict[str, Tensor]:
    """What the model takes for its weights: of layers' matrices the own pieces, of all others the whole.

    The gradients of pieces come to stand in the flat `gradient`, those of the others after `sum_others`.
    """
    found = {}
    own = _pieces(gradient, shape) if gradient is not None else {}
    for name, piece in _pieces(flat, shape).items():
        if _in_layer(name, shape):
            leaf = piece.detach().requires_grad_(True)
            leaf.grad = own.get(name)
        else:
            leaf = _put_together(piece, weight_shapes(shape)[name]).requires_grad_(True)
            leaf.grad = torch.zeros_like(leaf) if own else None
        found[name] = leaf
    return found


def sum_others(weights: Mapping[str, Tensor], gradient: Tensor, shape: Shape) -> None:
    """Sum the gradients of the whole `leaves` into the flat gradient of the pieces."""
    for name, own in _pieces(gradient, shape).items():
        grad = weights[name].grad
        if not _in_layer(name, shape) and grad is not None:
            own += _own_sum(grad)


def layer_of_pieces(layer: Callable[..., Tensor], shape: Shape) -> Callable[..., Tensor]:
    """The layer as a function of the pieces of its matrices, which are not kept for the way back."""
    sizes = [weight_shapes(shape).get(f"layers.0.{part}", ()) for part in LAYER_PARTS]

    def put_together(x: Tensor, own: tuple[Tensor, ...], *settings: Any) -> Tensor:
        matrices = (_Matrix.apply(piece, size, x.dtype) for piece, size in zip(own, sizes, strict=True))
        return layer(x, tuple(matrices), *settings)

    def forgetful(*arguments: Any) -> Tensor:
        result: Tensor = checkpoint(put_together, *arguments, use_reentrant=False)
        return result

    return forgetful


class _Matrix(torch.autograd.Function):
    """The matrix of which each process has a piece, in a dtype; its gradient is summed back into the pieces."""

    @staticmethod
    def forward(_context: Any, piece: Tensor, size: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return _put_together(piece.to(dtype), size)

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _own_sum(gradients[0]), None, None


def _in_layer(name: str, shape: Shape) -> bool:
    return shape.family in DECODERS and name.split(".")[-1] in LAYER_PARTS


def _pieces(flat: Tensor, shape: Shape) -> dict[str, Tensor]:
    sizes = piece_sizes(shape, processes.count())
    return dict(zip(sizes, flat.split(list(sizes.values())), strict=True))


def _sized(flat: Tensor, shape: Shape) -> list[tuple[Tensor, tuple[int, ...]]]:
    return list(zip(_pieces(flat, shape).values(), weight_shapes(shape).values(), strict=True))


def _scattered(flat: Tensor | None, shape: Shape) -> list[Tensor]:
    """The own piece of each weight of a buffer that the first process has."""
    found, end = [], 0
    for name, size in weight_shapes(shape).items():
        piece = torch.empty(piece_sizes(shape, processes.count())[name])
        begin, end = end, end + torch.Size(size).numel()
        every = None if flat is None else list(_filled_up(flat[begin:end], len(piece)).split(len(piece)))
        distributed.scatter(piece, every)
        found.append(piece)
    return found


def _put_together(piece: Tensor, size: tuple[int, ...]) -> Tensor:
    every = piece.new_empty(len(piece) * processes.count())
    distributed.all_gather_single(every, piece.detach().contiguous())
    return every[: torch.Size(size).numel()].view(size)


def _own_sum(gradient: Tensor) -> Tensor:
    """The own piece of a gradient summed over all processes, float32."""
    piece = -(-gradient.numel() // processes.count())
    total = torch.empty(piece, dtype=torch.float32, device=gradient.device)
    distributed.reduce_scatter_single(total, _filled_up(gradient.float().flatten(), piece))
    return total


def _filled_up(flat: Tensor, piece: int) -> Tensor:
    return F.pad(flat, (0, piece * processes.count() - len(flat)))
