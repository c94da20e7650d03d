"""Common Crawl: pages from archives that are streamed, or fetched one by one from where the URL index says they are.

The work is cut into pieces, an archive or some hundred pages each. A finished piece is a WARC file and its counts in a
state folder; after a kill the finished ones stay, and the result is the same for any number of pieces at a time.
"""

import hashlib
import heapq
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import aiohttp
from fsspec.core import url_to_fs
from yarl import URL

from scalelaws.corpus.addresses import RefusedAddressError, public_socket, within_hosts
from scalelaws.corpus.fetch import LONGEST_WAIT, PAGE_TYPES, TRANSIENT_STATUS
from scalelaws.corpus.raw import gzip_stream, reading
from scalelaws.corpus.settings import Source, expanded
from scalelaws.corpus.warc import Stored, stored_records
from scalelaws.errors import InputError
from scalelaws.io import atomic_path, link_or_copy, read_json, write_json
from scalelaws.workers import Show

Made = TypeVar("Made")
Piece = Mapping[str, Any]

PAGES_A_PIECE = 500
BLOCK = 4 << 20
"""Bytes of an archive that are asked for at a time."""


def take_pages(source: Source, state: Path, show: Show) -> dict[str, int]:
    """Fetch what the source's `lists` name into the folder `state`; the count of pages per outcome, `fetched` kept.

    A list holds paths of archives (warc.paths, wet.paths) or is a file of the URL index (cdx-00000); plain or packed.
    Raises InputError for a line that is neither, and for an archive that cannot be read after all attempts.
    """
    state.mkdir(parents=True, exist_ok=True)
    plan = state / "pieces.jsonl"
    if not plan.exists():
        with atomic_path(plan) as temporary, temporary.open("w") as file:
            file.writelines(json.dumps(piece) + "\n" for piece in _pieces(source))
    places = _line_starts(plan)
    if not places:
        problem = "they name no archive and no page that is wanted"
        raise InputError(f"common-crawl: {', '.join(source['lists'])}", problem, "Look at the lists, and at `hosts`.")
    waiting = [number for number in range(len(places)) if not _counts_file(state, number).exists()]
    pages = 0
    with ThreadPoolExecutor(source["connections"]) as pool:
        under_way = [pool.submit(_take, source, plan, places[number], state, number) for number in waiting]
        try:
            for done, each in enumerate(as_completed(under_way), len(places) - len(waiting) + 1):
                pages += each.result()
                show(done, len(places), f"{pages:,} pages kept")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    counts: Counter[str] = Counter()
    for number in range(len(places)):
        counts.update(read_json(_counts_file(state, number))["outcomes"])
    return dict(sorted(counts.items()))


def publish_pages(state: Path, folder: Path, number: int) -> None:
    """Put the pieces' WARC files into `folder` as <number>.<piece>.warc.gz, and <number>.jsonl, a line a piece."""
    with (folder / f"{number}.jsonl").open("w") as lines:
        for file in sorted(state.glob("*.warc.gz")):
            link_or_copy(file, folder / f"{number}.{file.name}")
            lines.write(json.dumps(read_json(file.with_name(file.name.replace(".warc.gz", ".json")))) + "\n")


def _line_starts(path: Path) -> list[int]:
    starts, place = [], 0
    with path.open("rb") as lines:
        for line in lines:
            starts.append(place)
            place += len(line)
    return starts


def _counts_file(state: Path, number: int) -> Path:
    return state / f"{number:06}.json"


def _pieces(source: Source) -> Iterator[Piece]:
    entries: Iterator[Piece] = (
        entry for path in expanded(source["lists"], "common-crawl") for entry in _entries(path, source)
    )
    if source["max_entries"] is not None:
        lowest = heapq.nsmallest(source["max_entries"], ((_hash(entry), json.dumps(entry)) for entry in entries))
        entries = iter(sorted((json.loads(text) for _, text in lowest), key=_place))
    pages: list[Piece] = []
    archives: set[str] = set()
    for entry in entries:
        if "offset" not in entry:
            if entry["archive"] not in archives:
                yield entry
            archives.add(entry["archive"])
            continue
        pages.append(entry)
        if len(pages) == PAGES_A_PIECE:
            yield {"pages": pages}
            pages = []
    if pages:
        yield {"pages": pages}


def _place(entry: Piece) -> tuple[str, int]:
    return entry["archive"], entry.get("offset", 0)


def _hash(entry: Piece) -> bytes:
    return hashlib.blake2b(repr(_place(entry)).encode(), digest_size=8).digest()


def _entries(path: Path, source: Source) -> Iterator[Piece]:
    """Archives to stream or, from the index, where the pages are that the source wants."""
    with reading(path) as stream:
        for number, line in enumerate(io.TextIOWrapper(stream, encoding="utf-8", errors="replace"), 1):
            head, brace, fields = line.strip().partition("{")
            try:
                if brace:
                    yield from _indexed(json.loads(brace + fields), source)
                elif head:
                    yield {"archive": _named(head)}
            except (ValueError, KeyError, TypeError) as error:
                problem = f"neither a path of an archive nor a line of a URL index ({type(error).__name__}: {error})"
                remedy = "Give files as Common Crawl publishes them."
                raise InputError(f"{path}: line {number}", problem, remedy) from None


def _indexed(row: Mapping[str, Any], source: Source) -> Iterator[Piece]:
    offset, length = int(row["offset"]), int(row["length"])
    if offset < 0 or length < 1:
        raise ValueError("no place in an archive")
    place = {"archive": _named(row["filename"]), "offset": offset, "length": length}
    kind, languages = str(row.get("mime-detected") or row.get("mime") or ""), row.get("languages")
    listed = Stored(
        url=str(row.get("url")),
        status=str(row.get("status")),
        content_type=kind,
        languages=languages if languages is None else str(languages),
        truncated="truncated" in row,
    )
    if not _refused(listed, source):
        yield place


def _named(archive: object) -> str:
    """An archive's path or web address; ValueError for what would lead elsewhere: a list comes from the web."""
    if not isinstance(archive, str):
        raise TypeError("not a path")
    elsewhere = "://" in archive and not archive.startswith(("http://", "https://"))
    if elsewhere or "::" in archive or ".." in archive.split("/") or archive.startswith("/"):
        raise ValueError(f"{archive[:200]!r} leads out of `base`")
    return archive


def _refused(page: Stored, source: Source) -> str | None:
    """Why a page is not wanted, if it is not."""
    if page.length > source["max_bytes"]:
        return "too_large"
    if page.status != "200":
        return "status_not_200"
    if page.content_type.partition(";")[0].strip().lower() not in PAGE_TYPES:
        return "not_a_page"
    if page.truncated:
        return "cut_short_when_crawled"
    if source["hosts"] and not _within(page.url, source["hosts"]):
        return "other_host"
    wanted, found = source["languages"], page.languages
    if wanted and found is not None and found.split(",")[0] not in wanted:
        return "other_language"
    return None


def _within(url: str, hosts: list[str]) -> bool:
    try:
        return within_hosts(URL(url).host or "", hosts)
    except ValueError:
        return False


def _take(source: Source, plan: Path, line: int, state: Path, number: int) -> int:
    """Fetch the piece in the plan's line that starts there; its counts are written last, and say that it is whole."""
    with plan.open("rb") as lines:
        lines.seek(line)
        piece = json.loads(lines.readline())
    outcomes: Counter[str] = Counter(fetched=0)
    places = piece.get("pages", [piece])
    with atomic_path(state / f"{number:06}.warc.gz") as temporary, temporary.open("wb") as out:
        for place in places:
            with _opened(source, place) as stream:
                for page in stored_records(stream, place["archive"], source["max_bytes"]):
                    reason = _refused(page, source)
                    outcomes[reason or "fetched"] += 1
                    if not reason:
                        out.write(page.packed())
    facts = {"first_archive": places[0]["archive"], "places": len(places), "outcomes": dict(outcomes)}
    write_json(_counts_file(state, number), facts)
    return outcomes["fetched"]


def _opened(source: Source, place: Piece) -> BinaryIO:
    """The unpacked records of an archive, or of a page within one."""
    name = place["archive"]
    address = name if "://" in name else f"{source['base'].rstrip('/')}/{name}"
    remote = _Remote(address, source, place.get("offset", 0), place.get("length"))
    if "length" in place:
        with remote:
            data = remote.read(place["length"])
        if len(data) < place["length"]:
            problem = f"it ends before the page at {place['offset']:,}, of {place['length']:,} bytes"
            raise InputError(f"common-crawl: {address}", problem, "The index and the archives must be of one crawl.")
        return gzip_stream(io.BytesIO(data))
    packed = cast(BinaryIO, io.BufferedReader(remote, BLOCK))
    return gzip_stream(packed) if name.endswith(".gz") else packed


async def _public_client(**settings: Any) -> aiohttp.ClientSession:
    """A client that reaches no private address, not through a redirect or a DNS answer either."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=public_socket({})), **settings)


class _Remote(io.RawIOBase):
    """A file at an address or a path, read block by block; a block that fails is asked for again."""

    def __init__(self, address: str, source: Source, start: int, length: int | None) -> None:
        self._address, self._source = address, source
        web = address.startswith(("http://", "https://"))
        waits = aiohttp.ClientTimeout(total=None, sock_connect=source["idle_seconds"], sock_read=source["idle_seconds"])
        client = {} if source["allow_private"] else {"get_client": _public_client}
        files, path = url_to_fs(address, **({"client_kwargs": {"timeout": waits}, **client} if web else {}))
        options: dict[str, Any] = {"block_size": BLOCK, "cache_type": "readahead"} if web else {}
        if web and length is not None:
            options |= {"size": start + length, "block_size": length}
        self._file = self._patiently(lambda: files.open(path, "rb", **options))
        self._patiently(lambda: self._file.seek(start))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        data = self._patiently(lambda: self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        with suppress(AttributeError):
            self._file.close()
        super().close()

    def _patiently(self, action: Callable[[], Made]) -> Made:
        for attempt in range(1, self._source["attempts"] + 1):
            try:
                return action()
            except (OSError, ValueError, aiohttp.ClientError) as caught:
                error: BaseException = caught
                while isinstance(error, FileNotFoundError) and error.__cause__:  # fsspec says so of any failure
                    error = error.__cause__
                status = getattr(error, "status", None)
                if isinstance(getattr(error, "os_error", None), RefusedAddressError):
                    problem = "its address is not on the public internet"
                    remedy = "Set allow_private, if that is meant."
                    raise InputError(f"common-crawl: {self._address}", problem, remedy) from caught
                lasting = isinstance(error, (FileNotFoundError, PermissionError, ValueError))
                passing = not lasting and (status is None or status in TRANSIENT_STATUS)
                if not passing or attempt == self._source["attempts"]:
                    problem = f"cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
                    remedy = "Check `base` and the network, then run again: what was fetched is kept."
                    raise InputError(f"common-crawl: {self._address}", problem, remedy) from caught
                time.sleep(min(self._source["backoff"] * 2 ** (attempt - 1), LONGEST_WAIT))
        raise AssertionError("attempts is at least 1")
