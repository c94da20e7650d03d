"""What happens at which step: the learning rate, the evaluations, the checks for early stopping, the weight average."""

import math

import numpy as np

DECAY_SHARE = 0.2
"""Share of a wsd run's steps in which its rate falls to zero (Hägele et al. 2024 find 10 to 20% enough)."""

PASSING_SPACING = PASSING_STRIDE = 3
"""In passing, all but the held-out text of a run's own corpus is evaluated only at every third of the steps at which
this is, and of it only every third window."""

CHECK_SPACING = 1.1
CHECK_EPOCHS = 0.5
"""Early stopping looks at the held-out loss whenever the steps have grown by this factor, and by this many epochs."""


def learning_rate(step: int, steps: int, peak: float, schedule: str, warmup_steps: int) -> float:
    """The rate of update `step` (1 … steps): a linear warm-up to `peak`, then the named schedule.

    cosine falls to zero at the last step (Kaplan et al. 2020, section 2.2; Hoffmann et al. 2022); constant holds; wsd
    holds and then falls linearly to zero over the last fifth. A trunk holds as constant does, and a branch of it is a
    wsd run whose held part the trunk has made. A warm-up is at most half of the run; that of a trunk, half of the
    shortest run that branches from it.
    """
    warmup = warmup_steps if schedule == "trunk" else min(warmup_steps, steps // 2)
    if step <= warmup:
        return peak * step / warmup
    if schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
    held = last_held_step(steps)
    if schedule in ("wsd", "branch") and step > held:
        return peak * (steps - step) / (steps - held)
    return peak


def last_held_step(steps: int) -> int:
    """The last update of a wsd run at its peak rate: a branch leaves its trunk there at the latest."""
    return steps - max(1, round(DECAY_SHARE * steps))


def fork_steps(steps: int) -> list[int]:
    """The updates after which a trunk saves its state: its last, and backwards a factor √2 apart, down to 1/64.

    They depend on the trunk alone, so a branch that is planned later finds the same ones and trains the gap itself.
    """
    return sorted({max(1, round(steps * 2 ** (-k / 2))) for k in range(13)})


def evaluation_steps(steps: int, evaluations: int) -> list[int]:
    """About `evaluations` log-spaced steps; the last is `steps`. The first is 1/256 of the run, but at least 1."""
    first = max(1.0, steps / 256)
    return sorted({round(step) for step in np.geomspace(first, steps, evaluations)})


def passing_steps(steps: int, evaluations: int) -> list[int]:
    """Those of the `evaluation_steps` at which all text is evaluated: the last, and every third before it."""
    return evaluation_steps(steps, evaluations)[::-PASSING_SPACING][::-1]


def check_steps(steps: int, epoch_steps: float) -> list[int]:
    """Steps after the first epoch at which early stopping looks at the held-out loss, and the last.

    They are 10% apart, and at least half an epoch: nothing is overfitted within less.
    """
    found, step = [], max(1, math.floor(epoch_steps))
    while step < steps:
        step = max(step + 1, round(step * CHECK_SPACING), round(step + CHECK_EPOCHS * epoch_steps))
        found.append(min(step, steps))
    return sorted({*found, steps})


def average_weight(step: int, averaging: float) -> float:
    """The share of the newest weights in the running average after update `step`.

    Weights of update t count in proportion to t^g, so the average always covers the same share of the steps so far,
    about their last `averaging`; its mean lag is averaging/2 of them: g = 2/averaging − 2. 0 keeps no average.
    """
    if averaging == 0:
        return 1.0
    g = 2 / averaging - 2
    return (g + 1) / (step + g)
