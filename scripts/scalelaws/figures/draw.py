"""All figures of a study into one folder: a PNG, a PDF and a CSV each, and an index of what was drawn and why not."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

from scalelaws.figures import allocation, checks, compute, curves, data_and_size, ood
from scalelaws.figures.numbers import numbers_of
from scalelaws.figures.registry import FIGURES, FigureKind, NotDrawableError
from scalelaws.figures.style import styled
from scalelaws.io import atomic_path, write_json
from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations

FAMILIES = (data_and_size, compute, curves, allocation, ood, checks)
"""The modules of figures, in the order in which readers see them."""
METADATA: dict[str, dict[str, Any]] = {"png": {"Software": None}, "pdf": {"CreationDate": None}}
"""What the formats would otherwise write by themselves: a time stamp, a version. Equal data gives equal bytes."""


def kinds() -> list[FigureKind]:
    """Every registered figure, family by family."""
    place = {family.__name__: i for i, family in enumerate(FAMILIES)}
    return sorted(FIGURES.values(), key=lambda kind: place[kind.draw.__module__])


def draw_figures(
    observations: Observations,
    laws: Laws,
    folder: str | Path,
    style: Mapping[str, Any],
    provenance: Mapping[str, Any],
    progress: Callable[[float, float, str], None] = lambda done, total, note: None,
) -> list[dict[str, Any]]:
    """Draw every registered figure into `folder`; gives the index that is written there as index.json.

    Files are <name>.png, .pdf and .csv (the numbers drawn). The index has an entry a figure: name, title, caption, and
    either width and height in pixels or the reason why it is not drawn. `style`: matplotlib settings laid over the
    house style. Raises InputError for a setting that matplotlib refuses.
    """
    index = []
    with atomic_path(folder) as temporary, styled(style):
        temporary.mkdir()
        for done, kind in enumerate(kinds(), 1):
            index.append(_draw(kind, observations, laws, temporary))
            progress(done, len(FIGURES), kind.name)
        write_json(temporary / "index.json", {"figures": index, "provenance": dict(provenance)})
    return index


def _draw(kind: FigureKind, observations: Observations, laws: Laws, folder: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": kind.name, "title": kind.title, "caption": kind.caption}
    try:
        figure = kind.draw(observations, laws)
    except NotDrawableError as reason:
        return {**entry, "reason": str(reason)}
    for suffix, metadata in METADATA.items():
        figure.savefig(folder / f"{kind.name}.{suffix}", metadata=metadata)
    numbers_of(figure).to_csv(folder / f"{kind.name}.csv", index=False)
    width, height = figure.get_size_inches() * float(mpl.rcParams["savefig.dpi"])
    return {**entry, "width": round(width), "height": round(height)}
