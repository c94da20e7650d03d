"""How figures look: one column of a paper, in colours that colour-blind readers can tell apart."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, to_rgb

from scalelaws.errors import InputError

COLUMN_INCHES = 3.4

STYLE: dict[str, Any] = {
    "figure.figsize": (COLUMN_INCHES, 2.7),
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.dpi": 220,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same glyphs
    "mathtext.fontset": "dejavusans",
    "font.size": 7,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "legend.fontsize": 6.2,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.labelspacing": 0.35,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.6,
    "pdf.fonttype": 42,
}

LAW_COLOUR = "#1a1a1a"
UNDETERMINED_COLOUR = "#9a9a9a"
UNUSED_SHARE = 0.35
"""How much of its colour a point keeps that no law was fitted to."""
SIZE_MAPS = {"N": "viridis", "D": "plasma", "C": "cividis"}
"""Perceptual maps of the sizes: parameters, dataset tokens, compute."""
CATEGORY_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c8c00")
"""Okabe and Ito's colour-blind-safe set, its yellow left out (too pale on white), two darker hues added."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")


@contextmanager
def styled(changes: Mapping[str, Any]) -> Iterator[None]:
    """The house style with the study's `changes` to matplotlib's settings laid over it.

    Raises InputError for a setting that matplotlib does not have, or a value that it refuses.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        _settings().update(STYLE)
        for key, value in changes.items():
            _set(key, value)
        yield


def _set(key: str, value: Any) -> None:
    try:
        _settings()[key] = value
    except KeyError:
        close = difflib.get_close_matches(key, list(mpl.rcParams), n=1)
        remedy = f"Did you mean '{close[0]}'?" if close else "See matplotlib's table of rcParams."
        raise InputError("config: figures.style", f"matplotlib has no setting '{key}'", remedy) from None
    except ValueError as error:
        problem = f"matplotlib refuses {value!r} for '{key}' ({error})"
        raise InputError("config: figures.style", problem, "See matplotlib's table of rcParams.") from None


def _settings() -> Any:
    return mpl.rcParams  # its type knows only literal keys


def pale(colour: Any) -> tuple[float, float, float]:
    """A colour as it looks mixed with white: opaque, so that what lies behind a pale point stays hidden."""
    red, green, blue = to_rgb(colour)
    return (1 - UNUSED_SHARE * (1 - red), 1 - UNUSED_SHARE * (1 - green), 1 - UNUSED_SHARE * (1 - blue))


class SizeColours:
    """Colours and markers for the values of one size (N, D or C), on a logarithmic perceptual scale."""

    def __init__(self, values: Sequence[float] | np.ndarray, dial: str) -> None:
        """`dial` is "N", "D" or "C": each has its own map, so that they are never mistaken for each other."""
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
        """A marker that sets a size apart from its neighbours without colour."""
        return MARKERS[self.sizes.index(float(value)) % len(MARKERS)]


def category_marks(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each name, in the order given."""
    return {
        name: (CATEGORY_COLOURS[i % len(CATEGORY_COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(names)
    }
