"""The numbers that a figure draws, read back from the figure itself, so that they cannot differ from the picture."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

COLUMNS = ["panel", "series", "mark", "x", "y", "low", "high"]


def numbers_of(figure: Figure) -> pd.DataFrame:
    """One row per drawn number: panel ("y label against x label"), series, mark, x, y, low, high.

    Marks are points, line, band, interval of y, interval of x, bar and cell (of a heat map). Only what was drawn
    under a series name counts: reference lines and keys carry no data.
    """
    parts = []
    for ax in figure.axes:
        panel = f"{ax.get_ylabel()} against {ax.get_xlabel()}"
        for series, mark, numbers in _marks(ax):
            drawn = numbers[~np.isnan(numbers[:, :2]).all(axis=1)]
            parts.append(((panel, series, mark), drawn))
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    names = pd.DataFrame([name for name, drawn in parts for _ in drawn], columns=COLUMNS[:3])
    return names.join(pd.DataFrame(np.concatenate([drawn for _, drawn in parts]), columns=COLUMNS[3:]))


def _marks(ax: Axes) -> Iterator[tuple[str, str, np.ndarray]]:
    """Series, mark, and its numbers (rows; x, y, low, high), NaN where a mark has none."""
    for artist in ax.get_children():
        series = artist.get_gid()
        if series is None:
            continue
        if isinstance(artist, Line2D):
            x, y = (np.asarray(values, float) for values in artist.get_data())
            yield series, "points" if artist.get_linestyle() == "None" else "line", _numbers(x=x, y=y)
        elif isinstance(artist, LineCollection):
            yield series, *_intervals(np.array(artist.get_segments()).reshape(-1, 2, 2))
        elif isinstance(artist, Rectangle):
            yield series, "bar", _numbers(x=artist.get_width(), y=artist.get_y() + artist.get_height() / 2)
        elif isinstance(artist, QuadMesh):
            yield series, "cell", _cells(np.ma.filled(np.ma.asarray(artist.get_array()), np.nan))
        elif isinstance(artist, PolyCollection):
            yield series, "band", np.concatenate([_band(np.asarray(path.vertices)) for path in artist.get_paths()])


def _numbers(
    x: npt.ArrayLike = np.nan, y: npt.ArrayLike = np.nan, low: npt.ArrayLike = np.nan, high: npt.ArrayLike = np.nan
) -> np.ndarray:
    return np.stack(np.broadcast_arrays(*map(np.atleast_1d, (x, y, low, high))), axis=1)


def _intervals(ends: np.ndarray) -> tuple[str, np.ndarray]:
    """Intervals of y, which stand upright, or of x, which lie; `ends` (intervals, 2 ends, x and y)."""
    (x, y), (other_x, other_y) = ends[:, 0].T, ends[:, 1].T
    if len(ends) and np.all(y == other_y) and not np.all(x == other_x):
        return "interval of x", _numbers(y=y, low=x, high=other_x)
    return "interval of y", _numbers(x=x, low=y, high=other_y)


def _cells(values: np.ndarray) -> np.ndarray:
    """The cells of a heat map: column x, row y, and the value as both ends of its interval."""
    row, column = np.indices(values.shape)
    return _numbers(column.ravel(), row.ravel(), values.ravel(), values.ravel())


def _band(vertices: np.ndarray) -> np.ndarray:
    """The corners of a filled band as matplotlib orders them: a start, one side out, a turn, the other side back."""
    count = (len(vertices) - 3) // 2
    out, back = vertices[1 : count + 1], vertices[count + 2 : 2 * count + 2][::-1]
    return _numbers(out[:, 0], low=np.minimum(out[:, 1], back[:, 1]), high=np.maximum(out[:, 1], back[:, 1]))
