"""Sitemaps (sitemaps.org): the pages that sites list themselves, for crawlers to find."""

import asyncio
import hashlib
import heapq
import io
import json
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lxml import etree
from yarl import URL

from scalelaws.corpus.addresses import within_hosts
from scalelaws.corpus.fetch import LONGEST_WAIT, Fetcher, Limits, Outcome
from scalelaws.corpus.frontier import host_of
from scalelaws.corpus.urls import canonical_url
from scalelaws.errors import InputError
from scalelaws.workers import Show

MOST_BYTES = 52_428_800
"""What a sitemap may hold, by the protocol, before it is packed."""
MOST_SITEMAPS = 50_000
DEEPEST = 3
"""Indexes of indexes are followed this far; the protocol has one level."""
GZIP = b"\x1f\x8b"
LASTING = ("fetched", "not_a_sitemap")
"""Outcomes that stay as they are; any other may be an outage, and is tried again by a listing that goes on."""


@dataclass(frozen=True)
class Sitemap:
    """What one sitemap names: pages, and further sitemaps."""

    pages: list[str] = field(default_factory=list)
    sitemaps: list[str] = field(default_factory=list)


def parse_sitemap(body: bytes) -> Sitemap | None:
    """The addresses in a sitemap: XML, or text of one address a line; plain or gzip. None where it is neither.

    XML that is cut short or not well formed is read as far as it makes sense. No entity is expanded, nothing that it
    refers to is loaded, and of a gzip bomb at most MOST_BYTES are unpacked.
    """
    if body.startswith(GZIP):
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            body = unpacker.decompress(body, MOST_BYTES)
        except zlib.error:
            return None
        if unpacker.unconsumed_tail:
            return None
    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        lines = body.decode("utf-8-sig", "replace").split()
        return Sitemap(pages=lines) if lines and all(canonical_url(line) for line in lines) else None
    found: dict[str, list[str]] = {"url": [], "sitemap": []}
    for parent, address in _locations(body):
        if parent in found:
            found[parent].append(address)
    return Sitemap(found["url"], found["sitemap"]) if any(found.values()) else None


@dataclass(frozen=True)
class _Visited:
    """A start's sitemap that was read: how many pages it lists, those worth keeping, further sitemaps.

    `depth` is how many indexes led to it.
    """

    start: str
    sitemap: str
    depth: int
    outcome: str
    pages: int
    kept: list[str]
    further: list[str]


async def listed_pages(
    starts: Sequence[str], limits: Limits, most: int, log: Path, show: Show
) -> tuple[list[str], list[dict[str, str | int]]]:
    """Canonical URLs of the pages that the sitemaps of `starts` list, sorted, and what became of each sitemap.

    A start is a sitemap's address, or a site's (no path), whose robots.txt names its sitemaps, or which has
    /sitemap.xml. Pages and further sitemaps count if they are on the start's host or below it. Of more than `most`
    pages those of the lowest hashes are taken, a sample that does not change while the sitemaps do not.
    What a sitemap holds that was read is appended to `log`; a listing that goes on fetches none that stands there.
    Raises InputError where they list no page.
    """
    patient = replace(limits, max_bytes=max(limits.max_bytes, MOST_BYTES))
    chosen, outcomes, closed = _Lowest(most), list[dict[str, str | int]](), set[str]()
    listed = 0
    before = {(visited.start, visited.sitemap): visited for visited in _resumed(log)}
    async with Fetcher(patient, {}, types=None) as fetcher:
        for start in map(_start, starts):
            host = (URL(start).host or "").removeprefix("www.")
            read = [at.sitemap for at in before.values() if at.start == start and at.depth == 0]
            seen = dict.fromkeys((*read, *await _sitemaps_of(start, fetcher)))
            waiting = [(address, 0) for address in seen]
            while waiting:
                address, depth = waiting.pop(0)
                visited = before.get((start, address))
                if visited is None:
                    outcome, found = await _read(address, fetcher, limits, closed)
                    pages, deeper = (list(_own(each, host)) for each in (found.pages, found.sitemaps))
                    visited = _Visited(start, address, depth, outcome, len(pages), chosen.lowest(pages), deeper)
                    if outcome in LASTING:
                        with log.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(asdict(visited)) + "\n")
                outcomes.append({"sitemap": address, "outcome": visited.outcome, "pages": visited.pages})
                chosen.add(visited.kept)
                for further in visited.further:
                    if further not in seen and depth < DEEPEST and len(seen) < MOST_SITEMAPS:
                        seen[further] = None
                        waiting.append((further, depth + 1))
                done = len(outcomes)
                listed += visited.pages
                show(done, done + len(waiting), f"{listed:,} pages listed")
    if not listed:
        tried = ", ".join(f"{row['sitemap']}: {row['outcome']}" for row in outcomes[:5])
        remedy = "Give the address of a sitemap, or of a site that has one."
        raise InputError("sitemaps", f"they list no page ({tried})", remedy)
    return chosen.sorted(), outcomes


class _Lowest:
    """Of all addresses added, the `most` whose hashes are lowest, each once; holds no more than twice as many."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: dict[str, bytes] = {}
        self._highest: bytes | None = None

    def lowest(self, addresses: Sequence[str]) -> list[str]:
        """Those of the addresses that may be among the lowest, by what was added until now."""
        return [each for each in addresses if self._highest is None or _hash(each) <= self._highest]

    def add(self, addresses: Sequence[str]) -> None:
        self._kept |= {address: _hash(address) for address in addresses}
        if len(self._kept) > 2 * self.most:
            self._cut()
            self._highest = max(self._kept.values())

    def sorted(self) -> list[str]:
        self._cut()
        return sorted(self._kept)

    def _cut(self) -> None:
        self._kept = dict(heapq.nsmallest(self.most, self._kept.items(), key=lambda item: (item[1], item[0])))


def _hash(address: str) -> bytes:
    return hashlib.blake2b(address.encode(), digest_size=8).digest()


def _resumed(log: Path) -> Iterator[_Visited]:
    """The whole lines of a listing's log; one that a kill left half written is cut off."""
    if not log.exists():
        return
    whole = 0
    with log.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                whole += len(line)
                yield _Visited(**json.loads(line))
    os.truncate(log, whole)


def _locations(body: bytes) -> Iterator[tuple[str, str]]:
    """Every address in the XML of a sitemap, with the name of what it is the address of: `url` or `sitemap`."""
    reading = etree.iterparse(
        io.BytesIO(body), events=("end",), recover=True, resolve_entities=False, no_network=True, huge_tree=False
    )
    try:
        for _, element in reading:
            parent, name = element.getparent(), _local_name(element)
            if name == "loc" and parent is not None and element.text:
                yield _local_name(parent), element.text.strip()
            elif name in ("url", "sitemap") and parent is not None:
                element.clear()
                while element.getprevious() is not None:
                    del parent[0]
    except etree.XMLSyntaxError:
        return


def _local_name(element: Any) -> str:
    """An element's name without its name space, also where the prefix of that was never declared; "" of a comment."""
    return re.split("[}:]", element.tag)[-1] if isinstance(element.tag, str) else ""


def _own(addresses: Sequence[str], host: str) -> Iterator[str]:
    for address in addresses:
        canonical = canonical_url(address)
        if canonical and within_hosts(URL(canonical).host or "", {host}):
            yield canonical


def _start(given: str) -> str:
    address = canonical_url(given)
    if address is None:
        raise InputError(f"sitemap {given}", "not an http or https address", "Give a sitemap's address, or a site's.")
    return address


async def _sitemaps_of(address: str, fetcher: Fetcher) -> list[str]:
    if URL(address).path_qs != "/":
        return [address]
    named = dict.fromkeys(canonical_url(each) for each in await fetcher.sitemaps(address))
    return [each for each in named if each] or [str(URL(address).with_path("/sitemap.xml"))]


async def _read(address: str, fetcher: Fetcher, limits: Limits, closed: set[str]) -> tuple[str, Sitemap]:
    """What became of a sitemap, and what it names: tried again as a page would be, but on no host that is `closed`."""
    if host_of(address) in closed:
        return "host_abandoned", Sitemap()
    for attempt in range(limits.attempts):
        outcome = await _followed(address, fetcher, limits)
        if outcome.retry_after is None:
            break
        if outcome.retry_after > LONGEST_WAIT:
            closed.add(host_of(outcome.url))
            break
        await asyncio.sleep(min(max(outcome.retry_after, limits.backoff * 2**attempt), LONGEST_WAIT))
    if outcome.reason != "fetched":
        return outcome.reason, Sitemap()
    found = parse_sitemap(outcome.body)
    return ("fetched", found) if found else ("not_a_sitemap", Sitemap())


async def _followed(address: str, fetcher: Fetcher, limits: Limits) -> Outcome:
    """What is at an address, or where it leads: every request waits as its host asks for."""
    for _ in range(limits.max_redirects + 1):
        await fetcher.make_known(address)
        await asyncio.sleep(fetcher.crawl_delay(address))
        outcome = await fetcher.fetch(address)
        if outcome.reason != "redirect":
            return outcome
        address = outcome.url
    return Outcome("too_many_redirects", address)
