"""What a step kept and what it removed, under named reasons with examples: the rows of the corpus card."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import xxhash

from scalelaws.corpus.documents import Digest, Document
from scalelaws.corpus.personal import KINDS, masked
from scalelaws.errors import InputError

EXAMPLES = 3
EXCERPT = 160
RANK = itemgetter("hash")


class Funnel:
    """Counts documents and bytes that enter and leave one step, and keeps a few examples per reason.

    The examples are those of the smallest hashes, so they do not depend on the order of arrival.
    """

    def __init__(self, step: str) -> None:
        self.step = step
        self.kept = {"documents": 0, "bytes": 0}
        self.entered = Digest()
        self.trimmed = 0
        self.changed: dict[str, dict[str, int]] = {}
        self.removed: dict[str, dict[str, int]] = {}
        self._examples: dict[str, list[dict[str, str]]] = {}

    def keep(self, document: Document, changes: Mapping[str, int] | None = None, trimmed: int = 0) -> None:
        """Count a document that goes on, how often it was changed for which reason, and the bytes that it lost."""
        self.trimmed += trimmed
        for reason, times in (changes or {}).items():
            count = self.changed.setdefault(reason, {"documents": 0, "times": 0})
            count["documents"] += 1
            count["times"] += times
        self.kept["documents"] += 1
        self.kept["bytes"] += document.bytes

    def drop(self, document: Document, reason: str, note: str = "") -> None:
        """Count a document that ends here."""
        self.drop_text(document.url, document.text, reason, note)

    def drop_text(self, url: str, text: str, reason: str, note: str = "") -> None:
        """Count something that ends here before it became a document; its URL and text may hold lone surrogates."""
        url, text = (given.encode("utf-8", "replace").decode() for given in (url, text))
        count = self.removed.setdefault(reason, {"documents": 0, "bytes": 0})
        count["documents"] += 1
        count["bytes"] += len(text.encode())
        examples = self._examples.setdefault(reason, [])
        example = {"url": url, "excerpt": "", "hash": _hash(url, text)} | ({"note": note} if note else {})
        if len(examples) == EXAMPLES and RANK(example) > RANK(examples[-1]):
            return
        beginning, _ = masked(" ".join(text[: 4 * EXCERPT].split()), KINDS)
        example["excerpt"] = beginning[:EXCERPT]
        examples.append(example)
        examples.sort(key=RANK)
        del examples[EXAMPLES:]

    def as_dict(self, left: Digest) -> dict[str, Any]:
        """The counts: step, documents and bytes in and out, each with a digest of them (`left` is of those that went
        on), each reason with examples, the most frequent first, and what was changed in documents that went on.
        """
        removed = {reason: count | {"examples": self._examples[reason]} for reason, count in self.removed.items()}
        return {
            "step": self.step,
            "in": self._entered() | {"digest": str(self.entered)},
            "out": self.kept | {"digest": str(left)},
            "removed": _by_frequency(removed),
            "changed": dict(sorted(self.changed.items())),
        }

    def _entered(self) -> dict[str, int]:
        removed = self.removed.values()
        entered = {key: self.kept[key] + sum(count[key] for count in removed) for key in ("documents", "bytes")}
        return entered | {"bytes": entered["bytes"] + self.trimmed}

    def name_survivors(self, urls: Mapping[str, str]) -> None:
        """Put URLs into the examples' notes that name a document by its number."""
        for examples in self._examples.values():
            for example in examples:
                if example.get("note") in urls:
                    example["note"] = f"kept instead: {urls[example['note']]}"

    def notes(self) -> set[str]:
        """The notes of all examples."""
        return {example["note"] for found in self._examples.values() for example in found if "note" in example}

    def require_documents(self, where: str) -> None:
        """Raise InputError if nothing was kept."""
        require_documents(self.as_dict(Digest()), where)


def require_documents(report: Mapping[str, Any], where: str) -> None:
    """Raise InputError if a step's report says that nothing was kept, or nothing of one source: to pass nothing on in
    silence hides a mistake.
    """
    if report["out"]["documents"]:
        for number, count in report.get("sources", {}).items():
            if not count["documents"]:
                problem = f"kept 0 of {count['pages']} pages or texts"
                raise InputError(f"{where}: source {number}", problem, "Check what it names, or leave the source out.")
        return
    reasons = ", ".join(f"{reason} {count['documents']}" for reason, count in report["removed"].items())
    problem = f"kept 0 of {report['in']['documents']} documents" + (f" (removed: {reasons})" if reasons else "")
    raise InputError(where, problem, "Check the corpus's sources, or relax the settings under its 'clean'.")


def joined(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The reports of one step's parts as that of the whole: as `Funnel.as_dict`, and with its sources."""
    removed: dict[str, dict[str, Any]] = {}
    changed: dict[str, dict[str, int]] = {}
    sources: dict[str, dict[str, int]] = {}
    pages: dict[str, str] = {}
    for report in reports:
        pages |= report.get("pages", {})
        for number, count in report.get("sources", {}).items():
            _add(sources.setdefault(number, {"pages": 0, "documents": 0}), count)
        for reason, count in report["removed"].items():
            _add(removed.setdefault(reason, {"documents": 0, "bytes": 0, "examples": []}), count)
            removed[reason]["examples"] += count["examples"]
        for reason, count in report["changed"].items():
            _add(changed.setdefault(reason, {"documents": 0, "times": 0}), count)
    for count in removed.values():
        count["examples"] = sorted(count["examples"], key=RANK)[:EXAMPLES]
    return {
        "step": reports[0]["step"],
        "in": _joined_counts([report["in"] for report in reports]),
        "out": _joined_counts([report["out"] for report in reports]),
        "removed": _by_frequency(removed),
        "changed": dict(sorted(changed.items())),
        **({"sources": sources, "pages": pages} if sources else {}),
    }


def _joined_counts(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    digest, whole = Digest(), {"documents": 0, "bytes": 0}
    for count in counts:
        _add(whole, count)
        digest.join(count["digest"])
    return whole | {"digest": str(digest)}


def _add(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    for key in whole:
        if key != "examples":
            whole[key] += part[key]


def _by_frequency(removed: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return dict(sorted(removed.items(), key=lambda item: (-item[1]["documents"], item[0])))


def _hash(url: str, text: str) -> str:
    """Of what was dropped: of its text too, since many pages of a site may have one URL."""
    return xxhash.xxh3_128_hexdigest(f"{url}\0{text}".encode())
