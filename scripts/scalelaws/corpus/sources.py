"""The sources that a corpus is declared with: which of them are crawled, and what each yields."""

import asyncio
import csv
import hashlib
import io
import json
import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from scalelaws.corpus import embedded
from scalelaws.corpus.commoncrawl import publish_pages, take_pages
from scalelaws.corpus.crawl import outcome_line
from scalelaws.corpus.dataset_rows import dataset_rows
from scalelaws.corpus.fetch import Limits
from scalelaws.corpus.files import fields_of, raw_page, read_files
from scalelaws.corpus.parts import WHOLE, Part
from scalelaws.corpus.pinned import pinned_packages
from scalelaws.corpus.raw import Raw, Seen, reading, unseen
from scalelaws.corpus.reddit import reddit_links
from scalelaws.corpus.settings import ARCHIVED, LINKED, Source, expanded, input_files, is_crawled
from scalelaws.corpus.shards import crawl_in_shards, publish_shards, stretch
from scalelaws.corpus.site import HOST, build_site, docstring_pages, readme_pages, serving, site_urls
from scalelaws.corpus.sitemap import listed_pages
from scalelaws.corpus.urls import canonical_url
from scalelaws.corpus.warc import read_warc
from scalelaws.errors import InputError
from scalelaws.io import atomic_path, file_digest, read_json, write_json
from scalelaws.recipe import provenance
from scalelaws.workers import Show, silent

PATIENCE = {"connections", "per_host", "delay", "attempts", "backoff", "base"}
PATIENCE |= {"connect_seconds", "idle_seconds", "total_seconds"}
"""Settings of a crawl that do not change what it fetches: under others, what was fetched is still good."""
PACKAGES = ("aiohttp", "docutils", "fastwarc", "fsspec", "lxml", "markdown-it-py", "protego", "warcio", "zstandard")

OWN_SITE = Limits(
    user_agent="scalelaws (reading its own machine's documentation)",
    connections=16,
    per_host=16,
    delay=0.0,
    connect_seconds=10.0,
    idle_seconds=60.0,
    total_seconds=120.0,
    max_bytes=50_000_000,
    max_redirects=5,
    attempts=3,
    backoff=0.5,
    allow_private=False,
)


def scrape(
    sources: Sequence[Source],
    pins: Path,
    folder: Path,
    state: Path,
    recipe: str,
    processes: int,
    show: Show,
) -> None:
    """Crawl a corpus's page sources into `folder`: <n>.<shard>.warc.gz and <n>.jsonl (an outcome per URL) for source n.

    A source of Reddit submissions also leaves <n>.links.jsonl: URL, score, date and subreddit of what was crawled. A
    source of archives leaves <n>.<piece>.warc.gz, and in <n>.jsonl a line a piece.
    `state` is where an interrupted crawl resumes: each source where it was, unless its own settings or its own list are
    others; pages of the embedded site also where pins or code are. The counts per outcome go to `pages.json`, and with
    them those of Reddit's submissions per reason, the outcome of each sitemap, and the digest of each file.
    """
    inputs: list[str | Path] = [pins, *input_files([source for source in sources if is_crawled(source)], "sources")]
    made_with = provenance(recipe, 0, {"sources": sources}, inputs, PACKAGES)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        counts, chosen, sitemaps = {}, {}, {}
        for number, source in enumerate(sources):
            if not is_crawled(source):
                continue
            place = state / _identity(source, {**made_with, "settings": ""})
            if source["kind"] in ARCHIVED:
                found = take_pages(source, place, show)
                publish_pages(place, temporary, number)
            else:
                asyncio.run(_crawled(source, pins, place, processes, show))
                found = publish_shards(place / "crawl", temporary, number, place / "unwanted.jsonl")
            if not found.get("fetched"):
                problem = (
                    f"fetched 0 of {sum(found.values())} pages ({', '.join(f'{k} {v}' for k, v in found.items())})"
                )
                shutil.rmtree(place / "crawl", ignore_errors=True)  # its outcomes, of an outage perhaps, are not kept
                raise InputError(f"source {number} ({source['kind']})", problem, "Check the list and the network.")
            counts[str(number)] = found
            if source["kind"] == "reddit":
                links, chosen[str(number)] = _submitted(source, place, silent)
                shutil.copyfile(links, temporary / f"{number}.links.jsonl")
            if source["kind"] == "sitemap":
                sitemaps[str(number)] = read_json(place / "listed.json")["sitemaps"]
        digests = {file.name: file_digest(file)[:16] for file in sorted(temporary.iterdir())}
        facts = {"outcomes": counts, "submissions": chosen, "sitemaps": sitemaps, "files": digests}
        write_json(temporary / "pages.json", facts | {"provenance": made_with})
    shutil.rmtree(state, ignore_errors=True)


def _identity(source: Source, made_with: Mapping[str, Any]) -> str:
    """Names what a source's crawl fetches. What the web was asked for is good whatever code asks for the rest of it."""
    settings = _lasting(source) | ({"crawl": _lasting(source["crawl"])} if "crawl" in source else {})
    made_of: Any = made_with
    if source["kind"] in LINKED | ARCHIVED:
        made_of = [file_digest(file) for file in input_files([source], "sources")]
    return hashlib.sha256(json.dumps([settings, made_of], sort_keys=True).encode()).hexdigest()[:16]


def _lasting(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in PATIENCE}


def read_source(
    source: Source,
    number: int,
    pages: Path | None,
    pins: Path,
    seed: int,
    seen: Seen = unseen,
    part: Part = WHOLE,
) -> Iterator[Raw]:
    """What of a source is in a part of its corpus, in an order that is fixed by it and `seed`.

    `pages` is the folder that `scrape` wrote, `number` the source's place in its corpus. Files and the rows of datasets
    are dealt out to the parts; any other source is in one part as a whole.
    """
    files = source_files(source, number, pages, part)
    if is_crawled(source):
        kind = source["kind"] if source["kind"] in LINKED | ARCHIVED else f"installed-docs/{source['content']}"
        for file in files:
            with reading(file, seen) as stream:
                for page in read_warc(stream, str(file)):
                    yield raw_page(page, kind)
    elif source["kind"] == "files":
        yield from read_files(files, fields_of(source), seen)
    elif source["kind"] == "dataset":
        yield from dataset_rows(source, number, seed, part)
    elif part.has(number):
        reader = embedded.READERS[source["content"]]
        yield from reader(pinned_packages(pins, source["packages"], source["exclude"]))


def source_files(source: Source, number: int, pages: Path | None, part: Part = WHOLE) -> list[Path]:
    """The files of a source, given or scraped, that are in a part of its corpus; none of one that is no files."""
    files: list[Path] = []
    if is_crawled(source):
        assert pages
        files = sorted(pages.glob(f"{number}.*warc.gz"))
    elif source["kind"] == "files":
        files = expanded(source["paths"], "files")
    return part.chosen(files, first=number)


def bytes_to_read(sources: Sequence[Source], pages: Path | None, part: Part = WHOLE) -> int:
    """How many bytes of files `read_source` will have seen of all sources; 0 where one has others than files."""
    if not all(source["kind"] == "files" or is_crawled(source) for source in sources):
        return 0
    files = (file for number, source in enumerate(sources) for file in source_files(source, number, pages, part))
    return sum(file.stat().st_size for file in files)


def listed_urls(path: Path, min_score: float | None, unwanted: Path) -> Iterator[str]:
    """The canonical URLs of a list as they stand there: one URL a line, or CSV with the columns `url` and `score`.

    Once all are taken, the file `unwanted` has a line for each of the others, as of a crawl: outcome low_score or
    not_a_url. Raises InputError at the end of a list without any that is wanted, and where the list cannot be read to
    its end.
    """
    with reading(path) as stream, atomic_path(unwanted) as temporary, temporary.open("w") as others:
        lines = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        first = lines.readline()
        header = _header(first, path)
        if "url" in header:
            rows: Iterator[tuple[str, str | None]] = (
                (row["url"] or "", row.get("score")) for row in csv.DictReader(lines, fieldnames=header, strict=True)
            )
        else:
            rows = ((line, None) for line in chain((first,), lines))
        found = False
        number = 0
        try:
            for number, (url, score) in enumerate(rows, 1):
                canonical = canonical_url(url)
                if min_score is not None and _score(score, path, number) < min_score:
                    others.write(outcome_line({"url": canonical or url.strip(), "outcome": "low_score"}))
                elif canonical:
                    found = True
                    yield canonical
                elif url.strip():
                    others.write(outcome_line({"url": url.strip(), "outcome": "not_a_url"}))
        except csv.Error as error:
            remedy = "Close the quotes of its fields, and double those inside them."
            raise InputError(f"{path}: after row {number}", f"not CSV ({error})", remedy) from None
    if not found:
        raise InputError(
            str(path), "holds no http or https URL that is wanted", "Give one URL a line, or url,score CSV."
        )


def _header(line: str, path: Path) -> list[str]:
    """The names of a list's columns, if this is its header."""
    if "://" in line:
        return []
    if re.search(r"\burl\b[\"']? *[;\t]|[;\t] *[\"']?url\b", line[:1000].lower()):
        raise InputError(f"{path}: row 1", "its columns are not separated by commas", "Write it as CSV with commas.")
    return [name.strip(" \"'\r\n").lower() for name in line.split(",")]


def _score(score: str | None, path: Path, row: int) -> float:
    try:
        number = float(score or "")
        if math.isnan(number):
            raise ValueError
        return number
    except ValueError:
        remedy = "With min_score the list is a CSV with the columns url and score."
        raise InputError(f"{path}: row {row}", f"its score is {score!r}, not a number", remedy) from None


async def _crawled(source: Source, pins: Path, state: Path, processes: int, show: Show) -> None:
    limits, known = _limits(source), dict[str, tuple[str, int]]()
    urls: Iterable[str]
    async with AsyncExitStack() as stack:
        if source["kind"] == "urls":
            urls = listed_urls(Path(source["path"]), source["min_score"], state / "unwanted.jsonl")
        elif source["kind"] == "reddit":
            links = _submitted(source, state, stretch(show, 0, 2))[0]
            urls = (json.loads(line)["url"] for line in stack.enter_context(links.open(encoding="utf-8")))
            show = stretch(show, 1, 2)
        elif source["kind"] == "sitemap":
            urls = await _listed(source, state, limits, stretch(show, 0, 2))
            show = stretch(show, 1, 2)
        else:
            site = state / "site"
            if not site.exists():
                packages = pinned_packages(pins, source["packages"], source["exclude"])
                reader = docstring_pages if source["content"] == "docstrings" else readme_pages
                with atomic_path(site) as temporary:
                    build_site(reader(packages, processes, stretch(show, 0, 2)), temporary)
            urls = site_urls(site)
            known = {HOST: ("127.0.0.1", await stack.enter_async_context(serving(site)))}
            show = stretch(show, 1, 2)
        await crawl_in_shards(urls, limits, state / "crawl", known, show)


def _submitted(source: Source, state: Path, show: Show) -> tuple[Path, dict[str, int]]:
    dumps = expanded(source["paths"], "reddit")
    return reddit_links(dumps, source["min_karma"], source["blocked_hosts"], state / "links", show)


async def _listed(source: Source, state: Path, limits: Limits, show: Show) -> list[str]:
    """The pages in a source's sitemaps, each read once: a crawl that goes on visits the pages it began with."""
    file = state / "listed.json"
    if not file.exists():
        state.mkdir(parents=True, exist_ok=True)
        pages, sitemaps = await listed_pages(source["sites"], limits, source["max_pages"], state / "sitemaps", show)
        write_json(file, {"pages": pages, "sitemaps": sitemaps})
    return list(read_json(file)["pages"])


def _limits(source: Source) -> Limits:
    return Limits(**source["crawl"], allow_private=source["allow_private"]) if source["kind"] in LINKED else OWN_SITE
