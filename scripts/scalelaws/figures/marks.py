"""Everything that carries a number is drawn here, under the name of its series; `numbers.py` reads it back."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from scalelaws.figures.axes import tick_text
from scalelaws.figures.select import reach
from scalelaws.figures.style import COLUMN_INCHES, LAW_COLOUR, UNDETERMINED_COLOUR, SizeColours, pale
from scalelaws.figures.words import LEGEND_CHARACTERS, law_label
from scalelaws.laws.fitted import DETERMINED, FittedLaw
from scalelaws.units import readable

Colour = str | tuple[float, ...]
Values = Sequence[float] | np.ndarray


def canvas(rows: int = 1, columns: int = 1, height: float | None = None) -> tuple[Figure, list[Any]]:
    """An empty figure as wide as the style says, with its panels' axes row by row.

    `height` in inches for one column of a paper; the style's own height for each row unless given.
    """
    figure = _sized(rows, height)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def one_over_two(height: float) -> tuple[Figure, list[Any]]:
    """An empty figure with a wide panel above two narrow ones."""
    figure = _sized(2, height)
    axes = figure.subplot_mosaic([["top", "top"], ["left", "right"]], height_ratios=[1.35, 1])
    return figure, [axes["top"], axes["left"], axes["right"]]


def _sized(rows: int, height: float | None) -> Figure:
    figure = Figure(layout="constrained")
    width, panel = figure.get_size_inches()
    figure.set_size_inches(width, panel * rows if height is None else height * width / COLUMN_INCHES)
    return figure


def note(ax: Axes, text: str, place: str = "lower right") -> None:
    """A remark in a corner of a panel."""
    vertical, horizontal = place.split()
    x, y = {"left": 0.03, "right": 0.97}[horizontal], {"lower": 0.03, "upper": 0.97}[vertical]
    va = {"lower": "bottom", "upper": "top"}[vertical]
    ax.text(x, y, text, transform=ax.transAxes, ha=horizontal, va=va, fontsize=mpl.rcParams["legend.fontsize"])


def points(
    ax: Axes,
    x: Values,
    y: Values,
    series: str,
    colour: Colour,
    marker: str = "o",
    errors: tuple[Values, Values] | None = None,
    across: tuple[Values, Values] | None = None,
    hollow: bool = False,
    used: bool = True,
    **look: Any,
) -> None:
    """Data points; `errors` are the lower and upper ends (not distances) of intervals in y, `across` of those in x.

    Points that the law at hand was not fitted to (`used` false) are pale and lie behind the others.
    """
    colour, zorder = (colour, 3.0) if used else (pale(colour), 2.5)
    x, y = np.asarray(x, float), np.asarray(y, float)
    if errors is not None:
        low, high = (np.asarray(end, float) for end in errors)
        bars = ax.vlines(x, low, high, color=colour, linewidth=0.7, zorder=zorder - 0.2)
        bars.set_gid(series)
    if across is not None:
        low, high = (np.asarray(end, float) for end in across)
        bars = ax.hlines(y, low, high, color=colour, linewidth=0.9, zorder=zorder - 0.2)
        bars.set_gid(series)
    face = "none" if hollow else colour
    look = {"zorder": zorder, **_scaled(look)}
    (line,) = ax.plot(x, y, marker, color=colour, markerfacecolor=face, markeredgewidth=0.7, **look)
    line.set_gid(series)


def curve(ax: Axes, x: Values, y: Values, series: str, colour: Colour, **look: Any) -> None:
    """A line through (x, y)."""
    (line,) = ax.plot(np.asarray(x, float), np.asarray(y, float), color=colour, **_scaled(look))
    line.set_gid(series)


def band(ax: Axes, x: Values, low: Values, high: Values, series: str, colour: Colour) -> None:
    """The 95% interval around a curve."""
    area = ax.fill_between(np.asarray(x, float), np.asarray(low, float), np.asarray(high, float), color=colour)
    area.set(alpha=0.16, linewidth=0, gid=series)


def bars(ax: Axes, places: Values, lengths: Values, series: str, colour: Colour) -> None:
    """Horizontal bars from zero, one at each place."""
    for bar in ax.barh(places, lengths, height=0.8, color=colour):
        bar.set_gid(series)


def law_curve(
    ax: Axes,
    x: np.ndarray,
    middle: np.ndarray,
    interval: tuple[np.ndarray, np.ndarray] | None,
    observed: tuple[float, float],
    series: str,
    colour: Colour,
    determined: bool = True,
    **look: Any,
) -> None:
    """A law with its 95% band, solid over the `observed` range of x and dashed where it extrapolates.

    A law that the data do not determine is dotted, without band and extrapolation, and does not stretch the axes.
    """
    inside = (x >= observed[0] * (1 - 1e-9)) & (x <= observed[1] * (1 + 1e-9))
    if not determined:
        look = {"color": colour, "linestyle": ":", "gid": series, **look}
        line = Line2D(x[inside], middle[inside], **look)
        ax.add_artist(line)  # unlike plot, this leaves the limits as the data set them
        return
    if interval is not None:
        band(ax, x, interval[0], interval[1], f"{series}, 95%", colour)
    curve(ax, np.where(inside, x, np.nan), np.where(inside, middle, np.nan), series, colour, **look)
    for side in (x <= observed[0] * (1 + 1e-9), x >= observed[1] * (1 - 1e-9)):
        if side.sum() > 1:
            curve(ax, x[side], middle[side], f"{series}, extrapolated", colour, linestyle="--", **look)


def key(ax: Axes, colour: Colour, label: str, determined: bool = True) -> None:
    """An entry in the legend that stands for no data of its own."""
    ax.plot([], [], color=colour, linestyle="-" if determined else ":", label=label)


def one_variable_law(ax: Axes, law: FittedLaw, colour: Colour = LAW_COLOUR) -> None:
    """A law of one variable over the range it was fitted in and some way beyond, with its band and legend entry."""
    (variable,) = law.variables
    determined = law.status == DETERMINED
    colour = colour if determined else UNDETERMINED_COLOUR
    x = reach(law.ranges[variable])
    interval = law.band(0.95, **{variable: x})
    law_curve(ax, x, law.predict(**{variable: x}), interval, law.ranges[variable], "law", colour, determined, zorder=4)
    key(ax, colour, law_label(law), determined)


def no_law(ax: Axes, what: str, reason: str) -> None:
    """The legend's word for a law that could not be fitted."""
    key(ax, UNDETERMINED_COLOUR, fill(f"No {what}: {reason}", LEGEND_CHARACTERS), determined=False)


def size_bar(figure: Figure, axes: Sequence[Axes], colours: SizeColours, title: str) -> None:
    """The key of the colours by size: a bar with a labelled tick at those of the sizes that have room for one.

    A single size needs no colours: it is named above the axes instead, beside what may already stand there.
    """
    if len(colours.sizes) == 1:
        words = [axes[0].get_title(loc="left"), f"{title} = {_size_text(colours.sizes[0], colours.dial)}"]
        axes[0].set_title("; ".join(filter(None, words)), loc="left")
        return
    bar = figure.colorbar(
        _mappable(colours), ax=list(axes), location="right", fraction=0.05, pad=0.015, aspect=28, shrink=0.92
    )
    bar.ax.yaxis.set_major_locator(FixedLocator(colours.apart()))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _size_text(value, colours.dial)))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.grid(False)
    bar.outline.set_linewidth(0.4)
    bar.ax.set_title(title, fontsize=mpl.rcParams["font.size"], pad=4, loc="left")


def legend_above(figure: Figure, handles: Sequence[Any] | None = None, columns: int = 1) -> None:
    """The legend on top of all panels, where it can hide no data; `handles` or what the first panel has labelled."""
    chosen = handles if handles is not None else figure.axes[0].get_legend_handles_labels()[0]
    figure.legend(handles=list(chosen), loc="outside upper left", borderaxespad=0.2, ncols=columns, columnspacing=1.2)


def _scaled(look: dict[str, Any]) -> dict[str, Any]:
    """Sizes of marks and lines, given in points for one column of a paper, as large as the style's width asks."""
    factor = mpl.rcParams["figure.figsize"][0] / COLUMN_INCHES
    return {name: value * factor if name in ("markersize", "linewidth") else value for name, value in look.items()}


def _size_text(value: float, dial: str) -> str:
    return tick_text(float(f"{value:.1e}")) if dial == "C" else readable(value)


def _mappable(colours: SizeColours) -> Any:
    from matplotlib.cm import ScalarMappable

    return ScalarMappable(norm=colours.norm, cmap=colours.map)
