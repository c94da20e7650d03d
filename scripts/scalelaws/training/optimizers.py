"""One update of the weights, on the flat buffers of the state: AdamW or Adafactor."""

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

from scalelaws.models.families import rate_factor, weight_shapes
from scalelaws.models.shapes import Shape
from scalelaws.training.run import Run

OPTIMIZERS = ("adamw", "adafactor")
BETA1 = 0.9
EPSILON = 1e-8

ADAFACTOR_DECAY = 0.8
ADAFACTOR_LARGEST_UPDATE = 1.0
ADAFACTOR_SMALLEST_GRADIENT, ADAFACTOR_SMALLEST_WEIGHT = 1e-30, 1e-3


def moment_sizes(shape: Shape, optimizer: str) -> tuple[int, int]:
    """Elements of the buffers first_moment and second_moment.

    Adafactor keeps no first moment, and of the second only the means of a matrix's rows and of its columns.
    """
    sizes = list(weight_shapes(shape).values())
    if optimizer == "adafactor":
        return 0, sum(sum(size) for size in sizes)
    total = sum(torch.Size(size).numel() for size in sizes)
    return total, total


def optimizer_step(
    run: Run,
    weights: Tensor,
    gradient: Tensor,
    moments: tuple[Tensor, Tensor],
    rate: float | Tensor,
    step: int | Tensor,
    pieces: int = 1,
    divisor: Tensor | None = None,
    skipped: Tensor | None = None,
) -> None:
    """Update `step` (1, 2, …) of the flat `weights` and `moments` (first, second) in place, at learning rate `rate`.

    With several `pieces` the buffers hold one piece of every weight; only adamw can do with that. It also takes rate
    and step as tensors on a GPU, and there a `divisor` of the gradient, and with `skipped` 1.0 it changes nothing.
    """
    if run.optimizer == "adafactor":
        assert isinstance(rate, float) and isinstance(step, int)
        _adafactor(run, weights, gradient, moments[1], rate, step)
        return
    step = step if isinstance(step, Tensor) else torch.tensor(float(step), device=weights.device)
    for part, factor in _equal_rates(run.shape, pieces):
        # The decay stays rate · weight_decay at every width (Wortsman et al. 2023, section 3.2.2).
        own_moments = moments[0][part], moments[1][part]
        _adamw(run, weights[part], gradient[part], own_moments, rate, factor, step, divisor, skipped)


@cache
def _equal_rates(shape: Shape, pieces: int) -> list[tuple[slice, float]]:
    """The flat buffer cut where the rate changes, each part with its factor of the rate."""
    parts: list[tuple[slice, float]] = []
    end = 0
    for name, size in weight_shapes(shape).items():
        begin, end = end, end + -(-torch.Size(size).numel() // pieces)
        factor = rate_factor(name, shape)
        if parts and parts[-1][1] == factor:
            begin = parts.pop()[0].start
        parts.append((slice(begin, end), factor))
    return parts


def _adamw(
    run: Run,
    weights: Tensor,
    gradient: Tensor,
    moments: tuple[Tensor, Tensor],
    rate: float | Tensor,
    factor: float,
    step: Tensor,
    divisor: Tensor | None,
    skipped: Tensor | None,
) -> None:
    """Loshchilov & Hutter's AdamW, one fused pass over memory."""
    torch._fused_adamw_(
        [weights],
        [gradient],
        [moments[0]],
        [moments[1]],
        [],
        [step],
        amsgrad=False,
        lr=rate * factor,
        beta1=BETA1,
        beta2=run.beta2,
        weight_decay=run.weight_decay / factor,
        eps=EPSILON,
        maximize=False,
        grad_scale=divisor,
        found_inf=skipped,
    )


def _adafactor(run: Run, weights: Tensor, gradient: Tensor, second: Tensor, rate: float, step: int) -> None:
    """Shazeer & Stern 2018, algorithms 4 and 5, without momentum; weight decay as AdamW's.

    The rate is relative: an update's root mean square is about min(rate, 1/√step) of the weights'.
    """
    newest = step**-ADAFACTOR_DECAY
    relative = min(rate, step**-0.5)
    for weight, grad, sums in _matrices(run.shape, weights, gradient, second):
        square = grad.square() + ADAFACTOR_SMALLEST_GRADIENT
        if grad.ndim == 2:
            rows, columns = sums.split(list(grad.shape))
            rows.lerp_(square.mean(1), newest)
            columns.lerp_(square.mean(0), newest)
            variance = torch.outer(rows / rows.mean(), columns)
        else:
            variance = sums.lerp_(square.flatten(), newest).view_as(grad)
        update = grad * variance.rsqrt()
        update /= torch.clamp(_root_mean_square(update) / ADAFACTOR_LARGEST_UPDATE, min=1.0)
        scale = relative * torch.clamp(_root_mean_square(weight), min=ADAFACTOR_SMALLEST_WEIGHT)
        weight.mul_(1 - rate * run.weight_decay).sub_(update * scale)


def _matrices(shape: Shape, *flat: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Each weight and its gradient in their shape, and its part of the second moment."""
    weights, gradient, second = flat
    at, at_sums = 0, 0
    for size in weight_shapes(shape).values():
        count, sums = torch.Size(size).numel(), sum(size)
        part = slice(at, at + count)
        yield weights[part].view(size), gradient[part].view(size), second[at_sums : at_sums + sums]
        at, at_sums = at + count, at_sums + sums


def _root_mean_square(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()
