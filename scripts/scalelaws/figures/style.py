"""How figures look: one column of a paper, in colours that colour-blind readers can tell apart."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, to_rgb

from scalelaws.errors import InputError

COLUMN_INCHES = 3.4
"""Width of one column of a paper: heights of figures are given for it, and grow with the width that a style sets."""
STYLES = {name: Path(__file__).with_name(f"{name}.mplstyle") for name in ("paper", "screen")}

LAW_COLOUR = "#1a1a1a"
UNDETERMINED_COLOUR = "#9a9a9a"
UNUSED_SHARE = 0.35
"""How much of its colour a point keeps that no law was fitted to."""
SIZE_MAPS = {"N": "viridis", "D": "plasma", "C": "cividis", "L": "magma", "T": "inferno"}
"""Perceptual maps of the sizes: parameters, dataset tokens, compute; of the loss, and of positions in the context."""
CATEGORY_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c8c00")
"""Okabe and Ito's colour-blind-safe set, its yellow left out (too pale on white), two darker hues added."""
MOST_LABELS = 9
"""Of more sizes than this, some go without a label on the colour bar and without a curve of their own."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")


@contextmanager
def styled(style: str | Path = "paper", changes: Mapping[str, Any] | None = None) -> Iterator[None]:
    """A style, `paper`, `screen` or a matplotlib style file, with `changes` to its settings laid over it.

    Raises InputError for a file that cannot be read, a setting that matplotlib does not have, or a value it refuses.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        where = f"figures.style: {style}"
        for key, value in _style_file(style, where):
            _set(key, value, where)
        for key, value in (changes or {}).items():
            _set(key, value, "figures.settings")
        yield


def _style_file(style: str | Path, where: str) -> Iterator[tuple[str, str]]:
    """Settings of a style file, one `key: value` a line, read here because matplotlib only logs a wrong one."""
    path = STYLES.get(str(style), Path(style))
    if not path.is_file():
        raise InputError(where, "there is no such style or file", f"Name {' or '.join(STYLES)}, or a .mplstyle file.")
    for line in path.read_text(encoding="utf-8").splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield key.strip(), value.strip()


def _set(key: str, value: Any, where: str) -> None:
    try:
        _settings()[key] = value
    except KeyError:
        close = difflib.get_close_matches(key, list(mpl.rcParams), n=1)
        remedy = f"Did you mean '{close[0]}'?" if close else "See matplotlib's table of rcParams."
        raise InputError(where, f"matplotlib has no setting '{key}'", remedy) from None
    except ValueError as error:
        problem = f"matplotlib refuses {value!r} for '{key}' ({error})"
        raise InputError(where, problem, "See matplotlib's table of rcParams.") from None


def _settings() -> Any:
    return mpl.rcParams  # its type knows only literal keys


def pale(colour: Any) -> tuple[float, float, float]:
    """A colour as it looks mixed with white: opaque, so that what lies behind a pale point stays hidden."""
    red, green, blue = to_rgb(colour)
    return (1 - UNUSED_SHARE * (1 - red), 1 - UNUSED_SHARE * (1 - green), 1 - UNUSED_SHARE * (1 - blue))


class SizeColours:
    """Colours and markers for the values of one size (N, D or C), on a logarithmic perceptual scale."""

    def __init__(self, values: Sequence[float] | np.ndarray, dial: str) -> None:
        """`dial` is "N", "D", "C", "L" or "T": each has its own map, so that they are never mistaken for each other."""
        self.sizes = sorted({float(value) for value in values})
        self.dial = dial
        low, high = self.sizes[0], self.sizes[-1]
        self.norm = LogNorm(low, high if high > low else low * 10)
        whole = mpl.colormaps[SIZE_MAPS[dial]]
        # the light end of these maps is too pale for thin lines on white
        self.map = mpl.colors.ListedColormap(whole(np.linspace(0.0, 0.86, 256)), name=f"{dial} sizes")

    def __call__(self, value: float) -> tuple[float, float, float, float]:
        """The RGBA colour of a size."""
        return self.map(self.norm(float(value)))

    def marker(self, value: float) -> str:
        """A marker that sets a size apart from its neighbours without colour, while there are enough markers."""
        return MARKERS[self.sizes.index(float(value))] if len(self.sizes) <= len(MARKERS) else MARKERS[0]

    def apart(self) -> list[float]:
        """Of the sizes, from the largest down, those that leave room for each other's labels."""
        kept: list[float] = []
        least = np.log(self.sizes[-1] / self.sizes[0]) / MOST_LABELS
        for size in self.sizes[::-1]:
            if not kept or np.log(kept[-1] / size) >= least:
                kept.append(size)
        return kept


def category_marks(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each name, in the order given."""
    return {
        name: (CATEGORY_COLOURS[i % len(CATEGORY_COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(names)
    }
