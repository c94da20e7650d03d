"""Links from Reddit's monthly submission dumps, as WebText took them: outbound, upvoted, each page once.

A dump is JSON lines, tens of GB a month, and is streamed. Links go to disk in buckets by a hash of their URL, a folder
a month; each bucket is then freed of duplicates by itself, so that memory does not grow with the months. A killed job
goes on with the month that it was in.
"""

import html
import json
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import xxhash
from yarl import URL

from scalelaws.corpus.addresses import within_hosts
from scalelaws.corpus.raw import reading
from scalelaws.corpus.urls import canonical_url
from scalelaws.errors import InputError
from scalelaws.io import atomic_path, read_json, write_json
from scalelaws.workers import Show, silent

BUCKETS = 256
LONGEST_LINE = 1 << 24
"""Bytes of a submission; a line that is longer is skipped as broken, so that it cannot fill the memory."""

OWN_HOSTS = frozenset({"reddit.com", "redd.it", "redditmedia.com", "redditstatic.com", "redditgifts.com"})
# fmt: off
MEDIA_HOSTS = frozenset({
    "bandcamp.com", "dailymotion.com", "deviantart.com", "flic.kr", "flickr.com", "gfycat.com", "giphy.com",
    "gyazo.com", "imgflip.com", "imgur.com", "instagram.com", "liveleak.com", "livememe.com", "min.us", "minus.com",
    "photobucket.com", "postimg.org", "prntscr.com", "quickmeme.com", "redgifs.com", "sli.mg", "soundcloud.com",
    "spotify.com", "streamable.com", "tenor.com", "tiktok.com", "tinypic.com", "twitch.tv", "vimeo.com", "vine.co",
    "youtu.be", "youtube.com",
})
"""Sites whose pages are pictures, films or sound."""
MEDIA_ENDINGS = (
    ".jpg", ".jpeg", ".png", ".gif", ".gifv", ".webp", ".bmp", ".svg", ".tif", ".tiff", ".ico", ".mp4", ".webm", ".mov",
    ".avi", ".mkv", ".flv", ".wmv", ".mp3", ".ogg", ".wav", ".flac", ".m4a", ".pdf", ".zip", ".gz", ".rar", ".7z",
    ".exe", ".dmg", ".apk", ".iso", ".swf", ".torrent", ".doc", ".docx", ".ppt", ".pptx", ".xls", ".xlsx",
)
# fmt: on


@dataclass(frozen=True)
class Link:
    """A page that was submitted: canonical URL, karma, date (ISO, UTC; empty if unknown), subreddit, submission."""

    url: str
    score: int
    date: str
    subreddit: str
    submission: str


def reddit_links(
    dumps: Sequence[Path], min_karma: float, blocked: Collection[str], state: Path, show: Show = silent
) -> tuple[Path, dict[str, int]]:
    """The links of `dumps`: (JSON lines by bucket, each URL once; submissions per reason, `kept` among them).

    Of a page's submissions the one with the most karma stays, of equal ones the first. Raises InputError for a dump
    that is cut short or damaged, and where no link stays.
    """
    links, counted = state / "links.jsonl", state / "links.json"
    months = [state / f"month-{number}" for number in range(len(dumps))]
    if not counted.exists():
        for number, (dump, month) in enumerate(zip(dumps, months, strict=True)):
            if not month.exists():
                with atomic_path(month) as temporary:
                    _scatter(dump, min_karma, frozenset(blocked), temporary)
            show(number + 1, len(dumps), dump.name)
        reasons = sum((Counter(read_json(month / "reasons.json")) for month in months), Counter[str]())
        with atomic_path(links) as temporary, temporary.open("w", encoding="utf-8") as out:
            for bucket in range(BUCKETS):
                best = _best(path for month in months for path in [month / str(bucket)] if path.exists())
                out.writelines(json.dumps(vars(link)) + "\n" for link in best)
                reasons["kept"] += len(best)
        reasons["duplicate"] = reasons.pop("link", 0) - reasons["kept"]
        if not reasons["kept"]:
            found = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()) if count)
            names = ", ".join(map(str, dumps))
            raise InputError(names, f"no link stays ({found or 'no submissions'})", "Check the dumps and min_karma.")
        write_json(counted, dict(sorted((+reasons).items())))
        for month in months:
            shutil.rmtree(month)
    return links, read_json(counted)


def wanted(submission: object, min_karma: float, blocked: Collection[str]) -> Link | str:
    """The link of a submission, or the reason why it is left out."""
    if not isinstance(submission, dict) or not isinstance(submission.get("url"), str):
        return "not_a_submission"
    if submission.get("is_self") or str(submission.get("domain")).startswith("self."):
        return "self_post"
    if submission.get("over_18"):
        return "over_18"
    score = _number(submission.get("score"))
    if score is None or score < min_karma:
        return "low_karma"
    url = canonical_url(html.unescape(submission["url"]))  # dumps hold URLs as they stand in HTML
    if url is None:
        return "not_a_web_address"
    parsed = URL(url)
    host = parsed.host or ""
    if within_hosts(host, OWN_HOSTS):
        return "not_outbound"
    if within_hosts(host, blocked):
        return "blocked_domain"
    if _is_media(submission, host, parsed.raw_path):
        return "media"
    return Link(
        url, int(score), _date(submission), str(submission.get("subreddit") or ""), str(submission.get("id") or "")
    )


def _is_media(submission: dict[str, Any], host: str, path: str) -> bool:
    hinted = submission.get("is_video") or str(submission.get("post_hint")).endswith(("image", "video"))
    return bool(hinted) or within_hosts(host, MEDIA_HOSTS) or path.lower().endswith(MEDIA_ENDINGS)


def submissions(stream: BinaryIO) -> Iterator[object]:
    """The JSON value of each line; None for a line that is none or is too long."""
    while line := stream.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
            yield None
        elif line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield None


def _submissions_in(dump: Path) -> Iterator[object]:
    with reading(dump) as stream:
        yield from submissions(stream)


def _scatter(dump: Path, min_karma: float, blocked: Collection[str], folder: Path) -> None:
    folder.mkdir()
    reasons: Counter[str] = Counter()
    with ExitStack() as stack:
        buckets = [stack.enter_context((folder / str(number)).open("w", encoding="utf-8")) for number in range(BUCKETS)]
        for submission in _submissions_in(dump):
            link = wanted(submission, min_karma, blocked)
            if isinstance(link, Link):
                bucket = buckets[xxhash.xxh3_64_intdigest(link.url.encode()) % BUCKETS]
                bucket.write(json.dumps(astuple(link)) + "\n")
            reasons["link" if isinstance(link, Link) else link] += 1
    write_json(folder / "reasons.json", dict(reasons))


def _best(files: Iterator[Path]) -> list[Link]:
    best: dict[str, Link] = {}
    for path in files:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                link = Link(*json.loads(line))
                known = best.get(link.url)
                if known is None or _rank(link) < _rank(known):
                    best[link.url] = link
    return [best[url] for url in sorted(best)]


def _rank(link: Link) -> tuple[int, str, str, str]:
    return -link.score, link.date, link.submission, link.subreddit


def _number(value: object) -> float | None:
    """A finite number, also where a dump has it as text."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) else float("nan")
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e15 else None


def _date(submission: dict[str, Any]) -> str:
    seconds = _number(submission.get("created_utc"))
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds is not None else ""
    except (ValueError, OverflowError, OSError):
        return ""
