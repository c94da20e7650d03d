"""What a study says about its corpora, as far as the workflow must know before anything runs. Imports nothing heavy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalelaws.errors import InputError
from scalelaws.resources import parts_of

Source = Mapping[str, Any]

SITES = {"docstrings", "readmes"}
"""Contents of installed-docs that are pages of a web site; the others are texts already."""

LINKED = {"urls", "reddit", "sitemap"}
"""Kinds of sources that are links to pages."""
ARCHIVED = {"common-crawl"}
"""Kinds of sources that are pages which somebody else crawled."""

ROUNDS = ("text", "id", "near")
"""The rounds in which duplicates are found: equal texts, other versions of one page, near-duplicates."""


def trained_on(corpora: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The name of the corpus that a study trains on; None where it has no corpora."""
    return next((name for name, corpus in corpora.items() if corpus["role"] == "train"), None)


def is_crawled(source: Source) -> bool:
    """Whether a source's pages come over HTTP."""
    return source["kind"] in LINKED | ARCHIVED or (source["kind"] == "installed-docs" and source["content"] in SITES)


def any_crawled(sources: Sequence[Source]) -> bool:
    """Whether a corpus has pages to crawl."""
    return any(is_crawled(source) for source in sources)


def any_from_the_web(sources: Sequence[Source]) -> bool:
    """Whether a corpus crawls pages of others."""
    return any(source["kind"] in LINKED | ARCHIVED for source in sources)


def all_from_the_web(sources: Sequence[Source]) -> bool:
    """Whether all that a corpus crawls is others' pages, which no code and no package of ours makes."""
    crawled = [source for source in sources if is_crawled(source)]
    return bool(crawled) and all(source["kind"] in LINKED | ARCHIVED for source in crawled)


def input_files(sources: Sequence[Source], where: str) -> list[str]:
    """The files that sources name, so that a rule depends on them. Raises InputError where there is none."""
    patterns = [path for source in sources if source["kind"] in ("files", "reddit") for path in source["paths"]]
    patterns += [source["path"] for source in sources if source["kind"] == "urls"]
    patterns += [path for source in sources if source["kind"] in ARCHIVED for path in source["lists"]]
    return [str(path) for path in expanded(patterns, where)]


def matches_of(folder: str, parts: int, before: str | None = None) -> list[str]:
    """What the rounds that find duplicates write, <folder>/<round>/<part>.npy: all of them, or those `before` one."""
    rounds = ROUNDS[: ROUNDS.index(before)] if before else ROUNDS
    return [path for name in rounds for path in parts_of(f"{folder}/{name}", parts, ".npy")]


def blocklist_files(clean: Mapping[str, Mapping[str, str | None]]) -> list[str]:
    """The files that a corpus's `clean` settings name, so that a rule depends on them."""
    return [path for path in clean["blocklist"].values() if path]


def expanded(patterns: Sequence[str], where: str) -> list[Path]:
    """The files that glob patterns name, sorted, each once. Raises InputError for a pattern that names none."""
    found: set[Path] = set()
    for pattern in patterns:
        anchor = Path(pattern).anchor
        relative = str(Path(pattern).relative_to(anchor)) if anchor else pattern
        matches = [path for path in Path(anchor).glob(relative) if path.is_file()]
        if not matches:
            raise InputError(f"{where}: {pattern}", "no such file", "Give existing paths, or patterns with * and **.")
        found.update(matches)
    return sorted(found)
