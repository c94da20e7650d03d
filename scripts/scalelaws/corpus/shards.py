"""A crawl in shards of hosts, one after the other: memory stays that of one shard, however long the list of URLs.

All URLs of a host are in one shard, so a host is visited as politely as in one crawl of them all.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import xxhash

from scalelaws.corpus.crawl import crawl, publish
from scalelaws.corpus.fetch import Limits
from scalelaws.corpus.frontier import host_of
from scalelaws.io import atomic_path, link_or_copy, read_json, write_json
from scalelaws.workers import Show, silent

URLS_A_SHARD = 250_000
MOST_SHARDS = 500
"""Files that are open at a time; of more than 125 million URLs the shards are larger."""


async def crawl_in_shards(
    urls: Iterable[str],
    limits: Limits,
    state: Path,
    known_hosts: Mapping[str, tuple[str, int]] | None = None,
    show: Show = silent,
) -> None:
    """Fetch the canonical `urls`, in any order and some perhaps twice, into the folder `state`.

    The list is read once; a crawl that goes on visits the URLs that it began with, and of those only what is missing.
    """
    shards = state / "shards"
    if not shards.exists():
        _split(urls, shards)
    files = sorted(shards.iterdir())
    for number, file in enumerate(files):
        counts = state / f"{file.name}.json"
        if counts.exists():
            continue
        under_way = state / f"{file.name}.crawl"
        await crawl(
            file.read_text(encoding="utf-8").split("\n")[:-1],
            limits,
            under_way,
            known_hosts,
            stretch(show, number, len(files)),
        )
        found = publish(under_way, state / f"{file.name}.warc.gz", state / f"{file.name}.jsonl", limits)
        write_json(counts, found)
        shutil.rmtree(under_way)


def publish_shards(state: Path, folder: Path, number: int, unwanted: Path | None = None) -> dict[str, int]:
    """Put a finished crawl's WARC files into `folder` as <number>.<shard>.warc.gz, and <number>.jsonl, a line a URL.

    The lines of the file `unwanted`, where there is one, come last. Returns the count per outcome.
    """
    counts: Counter[str] = Counter()
    with (folder / f"{number}.jsonl").open("wb") as outcomes:
        for file in sorted(state.glob("*.warc.gz")):
            shard = file.name.removesuffix(".warc.gz")
            link_or_copy(file, folder / f"{number}.{file.name}")
            with (state / f"{shard}.jsonl").open("rb") as lines:
                shutil.copyfileobj(lines, outcomes)
            counts.update(read_json(state / f"{shard}.json"))
        if unwanted and unwanted.exists():
            with unwanted.open("rb") as lines:
                for line in lines:
                    outcomes.write(line)
                    counts[json.loads(line)["outcome"]] += 1
    return dict(sorted(counts.items()))


def stretch(show: Show, number: int, parts: int) -> Show:
    """Reports one of several parts of a job, about equally long, as part of the whole."""
    return lambda done, total, note: show(number * total + done, parts * total, note)


def _split(urls: Iterable[str], folder: Path) -> None:
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        listed = temporary / "listed"
        with listed.open("w", encoding="utf-8") as file:
            count = sum(bool(file.write(f"{url}\n")) for url in urls)
        shards = min(max(-(-count // URLS_A_SHARD), 1), MOST_SHARDS)
        with ExitStack() as stack:
            files = [
                stack.enter_context((temporary / f"{shard:03}").open("w", encoding="utf-8")) for shard in range(shards)
            ]
            with listed.open(encoding="utf-8") as lines:
                for line in lines:
                    files[xxhash.xxh3_64_intdigest(host_of(line.strip()).encode()) % shards].write(line)
        listed.unlink()
