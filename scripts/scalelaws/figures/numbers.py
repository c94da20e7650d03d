"""The numbers that a figure draws, read back from the figure itself, so that they cannot differ from the picture."""

from collections.abc import Iterator

import numpy as np
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
    rows: list[pd.DataFrame] = []
    for ax in figure.axes:
        panel = f"{ax.get_ylabel()} against {ax.get_xlabel()}"
        rows += [frame.assign(panel=panel) for frame in _marks(ax)]
    if not rows:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(rows, ignore_index=True)[COLUMNS]


def _marks(ax: Axes) -> Iterator[pd.DataFrame]:
    for artist in ax.get_children():
        series = artist.get_gid()
        if series is None:
            continue
        if isinstance(artist, Line2D):
            x, y = (np.asarray(values, float) for values in artist.get_data())
            mark = "points" if artist.get_linestyle() == "None" else "line"
            frame = pd.DataFrame({"x": x, "y": y, "low": np.nan, "high": np.nan})
        elif isinstance(artist, LineCollection):
            mark, frame = _intervals(np.array(artist.get_segments()).reshape(-1, 2, 2))
        elif isinstance(artist, Rectangle):
            mark, middle = "bar", artist.get_y() + artist.get_height() / 2
            frame = pd.DataFrame({"x": [artist.get_width()], "y": [middle], "low": np.nan, "high": np.nan})
        elif isinstance(artist, QuadMesh):
            mark, frame = "cell", _cells(np.ma.filled(np.ma.asarray(artist.get_array()), np.nan))
        elif isinstance(artist, PolyCollection):
            mark = "band"
            frame = pd.concat([_band(np.asarray(path.vertices)) for path in artist.get_paths()], ignore_index=True)
        else:
            continue
        frame = frame[frame[["x", "y"]].notna().any(axis=1)]
        yield frame.assign(series=series, mark=mark)


def _intervals(ends: np.ndarray) -> tuple[str, pd.DataFrame]:
    """Intervals of y, which stand upright, or of x, which lie; `ends` (intervals, 2 ends, x and y)."""
    (x, y), (other_x, other_y) = ends[:, 0].T, ends[:, 1].T
    if len(ends) and np.all(y == other_y) and not np.all(x == other_x):
        return "interval of x", pd.DataFrame({"x": np.nan, "y": y, "low": x, "high": other_x})
    return "interval of y", pd.DataFrame({"x": x, "y": np.nan, "low": y, "high": other_y})


def _cells(values: np.ndarray) -> pd.DataFrame:
    """The cells of a heat map: column x, row y, and the value as both ends of its interval."""
    row, column = np.indices(values.shape)
    flat = values.ravel()
    return pd.DataFrame({"x": column.ravel(), "y": row.ravel(), "low": flat, "high": flat})


def _band(vertices: np.ndarray) -> pd.DataFrame:
    """The corners of a filled band as matplotlib orders them: a start, one side out, a turn, the other side back."""
    count = (len(vertices) - 3) // 2
    out, back = vertices[1 : count + 1], vertices[count + 2 : 2 * count + 2][::-1]
    return pd.DataFrame(
        {
            "x": out[:, 0],
            "y": np.nan,
            "low": np.minimum(out[:, 1], back[:, 1]),
            "high": np.maximum(out[:, 1], back[:, 1]),
        }
    )
