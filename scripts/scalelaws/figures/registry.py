"""The figures by name: a figure function registers itself with the words that stand beside it."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations

Draw = Callable[[Observations, Laws], Figure]


class NotDrawableError(Exception):
    """The table or the laws do not hold what a figure needs; the message is the reason that readers are given."""


@dataclass(frozen=True)
class FigureKind:
    """A registered figure: what it shows (`name`), its heading, what a reader should look for, and its function."""

    name: str
    title: str
    caption: str
    draw: Draw


FIGURES: dict[str, FigureKind] = {}
"""Every registered figure, in the order in which the report shows them."""


def figure(title: str, caption: str) -> Callable[[Draw], Draw]:
    """Register the decorated function, which draws one figure or raises NotDrawableError, under its own name."""

    def register(draw: Draw) -> Draw:
        name = draw.__name__
        if name in FIGURES:
            raise ValueError(f"two figures are named {name}")
        FIGURES[name] = FigureKind(name, title, caption, draw)
        return draw

    return register
