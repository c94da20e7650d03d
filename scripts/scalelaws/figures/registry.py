"""The figures by name: a figure function registers itself with the words that stand beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations

Draw = Callable[[Observations, Laws], Figure]
DrawCorpora = Callable[[Sequence[str | Path]], Figure]


class NotDrawableError(Exception):
    """The table or the laws do not hold what a figure needs; the message is the reason that readers are given."""


@dataclass(frozen=True)
class Material:
    """All that figures are drawn from; `cards` are the corpora's card.json files, none for a table from elsewhere."""

    observations: Observations
    laws: Laws
    cards: Sequence[str | Path] = ()


@dataclass(frozen=True)
class FigureKind:
    """A registered figure: what it shows (`name`), its heading, what a reader should look for, module and function."""

    name: str
    title: str
    caption: str
    module: str
    draw: Callable[[Material], Figure]


FIGURES: dict[str, FigureKind] = {}
"""Every registered figure by its name."""


def figure(title: str, caption: str, sweeps: Sequence[str] = ()) -> Callable[[Draw], Draw]:
    """Register the decorated function, which draws one figure or raises NotDrawableError, under its own name.

    It is given the runs of the study's own grid, and of its sweep those that change nothing but the settings (or words
    for their values, such as cosine) in `sweeps`.
    """

    def register(draw: Draw) -> Draw:
        _add(draw, title, caption, lambda given: draw(given.observations.of_variants(*sweeps), given.laws))
        return draw

    return register


def corpus_figure(title: str, caption: str) -> Callable[[DrawCorpora], DrawCorpora]:
    """The same for a figure that is drawn from corpus cards."""

    def register(draw: DrawCorpora) -> DrawCorpora:
        _add(draw, title, caption, lambda material: draw(material.cards))
        return draw

    return register


def _add(function: Callable[..., Figure], title: str, caption: str, draw: Callable[[Material], Figure]) -> None:
    name = function.__name__
    if name in FIGURES:
        raise ValueError(f"two figures are named {name}")
    FIGURES[name] = FigureKind(name, title, caption, function.__module__, draw)
