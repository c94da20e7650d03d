"""The user's own lists of what a corpus must not hold: hosts, and words or phrases."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from scalelaws.errors import InputError


@dataclass(frozen=True)
class Blocklist:
    """Hosts, each with its subdomains, and a pattern of words that drop a document."""

    hosts: frozenset[str]
    words: re.Pattern[str] | None

    def entry(self, url: str, text: str) -> tuple[str, str] | None:
        """(blocked_host or blocked_word, the entry) for a document that a list names, else None."""
        labels = host_of(url).split(".") if self.hosts else []
        for start in range(len(labels)):
            if (name := ".".join(labels[start:])) in self.hosts:
                return "blocked_host", name
        if self.words and (found := self.words.search(text)):
            return "blocked_word", found[0].lower()
        return None


@cache
def read_blocklist(hosts: str | None, words: str | None) -> Blocklist:
    """The lists in two files, one entry a line; blank lines and those that begin with # do not count.

    Raises InputError for a file that is missing or empty.
    """
    chosen = sorted(_entries(words), key=lambda entry: (-len(entry), entry)) if words else []
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, chosen))})(?!\w)", re.IGNORECASE) if chosen else None
    return Blocklist(frozenset(_entries(hosts)) if hosts else frozenset(), pattern)


def host_of(url: str) -> str:
    """The host of a URL in lower case, or "" where there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _entries(path: str) -> set[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            path, f"the blocklist cannot be read ({error})", "Name a text file, one entry a line."
        ) from None
    entries = {line.strip().lower() for line in lines if line.strip() and not line.startswith("#")}
    if not entries:
        raise InputError(path, "the blocklist is empty", "Write one entry a line, or leave its key out.")
    return entries
