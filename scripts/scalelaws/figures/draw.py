"""All figures of a study into one folder: pictures, numbers, and an index of what was drawn and why not."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl

from scalelaws.errors import InputError
from scalelaws.figures import (
    accounting,
    allocation,
    architecture,
    checks,
    compute,
    corpora,
    curves,
    data_and_size,
    ood,
    optimization,
    parametric,
)
from scalelaws.figures.numbers import numbers_of
from scalelaws.figures.registry import FIGURES, FigureKind, Material, NotDrawableError
from scalelaws.figures.style import styled
from scalelaws.io import atomic_path, write_json
from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations
from scalelaws.workers import Show, silent, spread

FAMILIES = {
    data_and_size: "Size and data",
    compute: "Compute",
    allocation: "How compute is best split",
    parametric: "The parametric law",
    curves: "Training",
    optimization: "Batches, learning rates, schedules",
    architecture: "Shapes and families",
    ood: "Other text",
    accounting: "Kaplan and Chinchilla reconciled",
    checks: "Are the laws right?",
    corpora: "Corpora",
}
"""The modules of figures and their headings, in the order in which readers see them."""
NO_STAMPS: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None, "Creator": None},
}
"""What the formats would otherwise write by themselves: a time stamp, a version. Equal data gives equal bytes."""


@dataclass(frozen=True)
class Look:
    """How figures are drawn: `paper`, `screen` or a style file, matplotlib settings laid over it, files beside PNG."""

    style: str = "paper"
    settings: Mapping[str, Any] = field(default_factory=dict)
    formats: Sequence[str] = ("pdf",)


def kinds() -> list[FigureKind]:
    """Every registered figure, family by family."""
    place = {family.__name__: i for i, family in enumerate(FAMILIES)}
    return sorted(FIGURES.values(), key=lambda kind: place[kind.module])


def draw_figures(
    observations: Observations,
    laws: Laws,
    folder: str | Path,
    look: Look,
    provenance: Mapping[str, Any],
    cards: Sequence[str | Path] = (),
    only: Sequence[str] = (),
    processes: int = 1,
    progress: Show = silent,
) -> list[dict[str, Any]]:
    """Draw every registered figure, or `only` those named, into `folder`; gives the index written there as index.json.

    Files are <name>.png and .csv (the numbers drawn), and <name>.<format> of the look. `cards`: the corpora's
    card.json, where there are any. The index has an entry a figure: name, title, caption, family, and either width and
    height in pixels with the formats or the reason why it is not drawn. The number of `processes` changes no byte.
    Raises InputError for a figure, a style or a setting that is not known.
    """
    chosen = _chosen(only)
    material = Material(observations, laws, cards)
    index = []
    with atomic_path(folder) as temporary, styled(look.style, look.settings):
        temporary.mkdir()

        def draw(name: str) -> dict[str, Any]:
            return _draw(chosen[name], material, temporary, look.formats)

        for done, (name, entry) in enumerate(spread(draw, chosen, processes), 1):
            index.append(entry)
            progress(done, len(chosen), name)
        write_json(temporary / "index.json", {"figures": index, "provenance": dict(provenance)})
    return index


def check_drawing(look: Look, only: Sequence[str] = ()) -> None:
    """Raise InputError for a figure, a style or a setting that is not known, before there are laws to draw."""
    _chosen(only)
    with styled(look.style, look.settings):
        pass


def _chosen(only: Sequence[str]) -> dict[str, FigureKind]:
    unknown = sorted(set(only) - set(FIGURES))
    if unknown:
        close = difflib.get_close_matches(unknown[0], list(FIGURES), n=1)
        remedy = f"Did you mean '{close[0]}'?" if close else f"There are {', '.join(sorted(FIGURES))}."
        raise InputError(f"figures: {unknown[0]}", "there is no such figure", remedy)
    return {kind.name: kind for kind in kinds() if not only or kind.name in only}


def _draw(kind: FigureKind, material: Material, folder: Path, formats: Sequence[str]) -> dict[str, Any]:
    headings = {family.__name__: heading for family, heading in FAMILIES.items()}
    entry: dict[str, Any] = {
        "name": kind.name,
        "title": kind.title,
        "caption": kind.caption,
        "family": headings[kind.module],
    }
    try:
        figure = kind.draw(material)
    except NotDrawableError as reason:
        return {**entry, "reason": str(reason)}
    files = ["png", *(suffix for suffix in formats if suffix != "png")]
    for suffix in files:
        figure.savefig(folder / f"{kind.name}.{suffix}", metadata=NO_STAMPS[suffix])
        figure.set_layout_engine("none")  # the first file's layout serves the others
    numbers_of(figure).to_csv(folder / f"{kind.name}.csv", index=False)
    width, height = figure.get_size_inches() * float(mpl.rcParams["savefig.dpi"])
    return {**entry, "width": round(width), "height": round(height), "formats": files}
