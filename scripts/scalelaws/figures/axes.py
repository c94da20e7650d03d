"""Axes that a reader can read: decades where there are decades, plain numbers between them, units in the labels."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import Formatter, Locator, LogLocator, MaxNLocator, NullFormatter

from scalelaws.units import readable

LABELS = {
    "parameters": "Parameters $N$ (non-embedding)",
    "dataset_tokens": "Dataset size $D$ (tokens)",
    "tokens": "Tokens processed",
    "flops": "Compute $C$ (FLOPs)",
    "step": "Step $S$ (updates)",
    "loss": "Held-out loss (nats/token)",
}
"""Axis labels of the columns of the observations table."""

MOST_TICKS, FEWEST_TICKS = 7, 2
DECADES_FROM, HALVES_FROM, FINE_FROM = 2.0, 0.9, 0.4
"""Spans in decades from which an axis is labelled at every decade; at 1, 2 and 5 of each; at seven numbers of each."""


class ReadableTicks(Locator):
    """Labelled ticks of a logarithmic axis: decades, fixed steps of each, or evenly spaced round numbers, by span."""

    def __call__(self) -> Sequence[float]:
        """The ticks of the axis as it stands."""
        low, high = self.axis.get_view_interval()  # type: ignore[union-attr]
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Ticks within [vmin, vmax]."""
        low, high = min(vmin, vmax), max(vmin, vmax)
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        if _in_decades(low, high):
            stride = max(1, math.ceil((last - first) / MOST_TICKS))
            ticks = np.array([10.0**k for k in range(first, last + 1, stride)])
        elif math.log10(high / low) >= HALVES_FROM:
            ticks = np.array([m * 10.0**k for k in range(first, last + 1) for m in (1, 2, 5)])
        elif math.log10(high / low) >= FINE_FROM:
            ticks = np.array([m * 10.0**k for k in range(first, last + 1) for m in (1, 1.5, 2, 3, 4, 6, 8)])
        else:
            ticks = np.asarray(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
        inside = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9)) & (ticks > 0)]
        stride = max(1, math.ceil(len(inside) / max(FEWEST_TICKS, self._room())))
        return [float(tick) for tick in inside[::stride]]

    def _room(self) -> int:
        """How many labels fit along the axis: matplotlib's count of short ones, fewer because these may be long."""
        space = self.axis.get_tick_space()  # type: ignore[union-attr]
        return int(space * (0.75 if self.axis.axis_name == "x" else 1.0))  # type: ignore[union-attr]


class DecadeMinorTicks(LogLocator):
    """Unlabelled ticks at 2 to 9 of each decade, where the labelled ticks are decades that stand next to each other."""

    def __init__(self) -> None:
        super().__init__(subs=tuple(range(2, 10)), numticks=60)

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Ticks within [vmin, vmax], or none."""
        span = math.log10(max(vmin, vmax) / min(vmin, vmax))
        return super().tick_values(vmin, vmax) if HALVES_FROM <= span <= MOST_TICKS else []


class ReadableNumbers(Formatter):
    """10^6 on an axis of decades or of FLOPs, 200k where ticks stand closer, plain numbers below 10,000."""

    def __init__(self, powers: bool) -> None:
        self.powers = powers

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The text of one tick."""
        low, high = sorted(self.axis.get_view_interval())  # type: ignore[union-attr]
        return tick_text(x, in_decades=self.powers or _in_decades(low, high))


def tick_text(value: float, in_decades: bool = True) -> str:
    """The shortest exact text of a tick: 0.02, 3.5, 500, 200k or $2{\\times}10^{5}$, $10^{6}$."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.6g}"
    if 1e4 <= value < 1e12 and not in_decades:
        return readable(value)
    exponent = math.floor(math.log10(abs(value)) + 1e-9)
    mantissa = value / 10.0**exponent
    if abs(mantissa - 1) < 1e-6:
        return f"$10^{{{exponent}}}$"
    return f"${mantissa:.3g}{{\\times}}10^{{{exponent}}}$"


def _in_decades(low: float, high: float) -> bool:
    return math.log10(high / low) >= DECADES_FROM


def log_axis(ax: Axes, which: str, label: str) -> None:
    """Make `which` ("x" or "y") logarithmic with readable ticks and the given label."""
    low, high = ax.dataLim.intervalx if which == "x" else ax.dataLim.intervaly
    if low == high > 0:  # else matplotlib widens the axis by itself, and warns that it does
        ax.set(**{f"{which}lim": (low / 2, low * 2)})
    if which == "x":
        ax.set_xscale("log")
        ax.set_xlabel(label)
    else:
        ax.set_yscale("log")
        ax.set_ylabel(label)
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(ReadableTicks())
    axis.set_major_formatter(ReadableNumbers(powers="FLOP" in label))
    axis.set_minor_formatter(NullFormatter())
    axis.set_minor_locator(DecadeMinorTicks())
