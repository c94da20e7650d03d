"""What a step kept and what it removed, under named reasons with examples: the rows of the corpus card."""

from typing import Any

import xxhash

from scalelaws.corpus.documents import Document
from scalelaws.errors import InputError

EXAMPLES = 3
EXCERPT = 160


class Funnel:
    """Counts documents and bytes that enter and leave one step, and keeps a few examples per reason.

    The examples are those with the smallest hash of their URL, so they do not depend on the order of arrival.
    """

    def __init__(self, step: str) -> None:
        self.step = step
        self.kept = {"documents": 0, "bytes": 0}
        self.removed: dict[str, dict[str, int]] = {}
        self._examples: dict[str, list[tuple[str, dict[str, str]]]] = {}

    def keep(self, document: Document) -> None:
        """Count a document that goes on."""
        self.kept["documents"] += 1
        self.kept["bytes"] += document.bytes

    def drop(self, document: Document, reason: str, note: str = "") -> None:
        """Count a document that ends here."""
        self.drop_text(document.url, document.text, reason, note)

    def drop_text(self, url: str, text: str, reason: str, note: str = "") -> None:
        """Count something that ends here before it became a document."""
        count = self.removed.setdefault(reason, {"documents": 0, "bytes": 0})
        count["documents"] += 1
        count["bytes"] += len(text.encode())
        excerpt = " ".join(text[: 4 * EXCERPT].split())[:EXCERPT]
        example = {"url": url, "excerpt": excerpt} | ({"note": note} if note else {})
        examples = self._examples.setdefault(reason, [])
        examples.append((xxhash.xxh3_128_hexdigest(url.encode()), example))
        examples.sort(key=lambda pair: pair[0])
        del examples[EXAMPLES:]

    def as_dict(self) -> dict[str, Any]:
        """The counts: step, documents and bytes in and out, and each reason with examples, the most frequent first."""
        order = sorted(self.removed, key=lambda reason: (-self.removed[reason]["documents"], reason))
        removed = {r: self.removed[r] | {"examples": [example for _, example in self._examples[r]]} for r in order}
        entered = {
            key: self.kept[key] + sum(count[key] for count in self.removed.values()) for key in ("documents", "bytes")
        }
        return {"step": self.step, "in": entered, "out": self.kept, "removed": removed}

    def require_documents(self, where: str) -> None:
        """Raise InputError if nothing was kept: a step that silently passes nothing on hides a mistake."""
        if self.kept["documents"]:
            return
        counts = self.as_dict()
        reasons = ", ".join(f"{reason} {count['documents']}" for reason, count in counts["removed"].items())
        problem = f"kept 0 of {counts['in']['documents']} documents" + (f" (removed: {reasons})" if reasons else "")
        raise InputError(where, problem, "Check the corpus's sources, or relax the settings under its 'clean'.")
