"""A corpus in parts, each a job of its own on any machine: who reads what, and one result put together of all parts'.

What comes out does not depend on how many parts there are: documents are judged one by one, what must be known of all
of them is surveyed before, and the step that follows puts the survivors into an order of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from scalelaws.corpus.documents import shards_of
from scalelaws.corpus.funnel import joined, require_documents
from scalelaws.io import atomic_path, link_or_copy, read_json, write_json

Item = TypeVar("Item")


@dataclass(frozen=True)
class Part:
    """One of so many parts of a corpus."""

    number: int = 0
    of: int = 1

    def has(self, place: int) -> bool:
        """Whether what stands at this place of a list is in this part."""
        return place % self.of == self.number

    def chosen(self, items: Sequence[Item], first: int = 0) -> list[Item]:
        """The items of this part, of a list whose first item stands at the place `first`."""
        return [item for place, item in enumerate(items, first) if self.has(place)]


WHOLE = Part()


def join_parts(parts: Sequence[Path], reports: Sequence[Path], folder: Path, report: Path) -> None:
    """Put the documents of all parts into one folder, as second names of their files, and their reports into one.

    Raises InputError if no part kept a document.
    """
    found = [read_json(path) for path in reports]
    whole = joined(found)
    require_documents(whole, f"{folder.parent.name}: {whole['step']}")
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for part in parts:
            for shard in shards_of(part):
                link_or_copy(shard, temporary / f"{part.name}-{shard.name}")
    made_with = found[0]["provenance"] | {"inputs": _inputs([report["provenance"] for report in found])}
    write_json(report, whole | {"provenance": made_with})


def _inputs(provenances: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The digests of all that the parts read; a name that means another file in a later part is given its number."""
    found: dict[str, str] = {}
    for number, provenance in enumerate(provenances):
        for name, digest in provenance["inputs"].items():
            found[name if found.get(name, digest) == digest else f"part {number}: {name}"] = digest
    return found
