"""A crawl in shards of hosts fetches what one crawl would, each page once, whatever interrupts it."""

import asyncio
import json

import pytest
from scalelaws.corpus import shards
from scalelaws.corpus.files import read_files
from scalelaws.corpus.shards import crawl_in_shards, publish_shards

from .conftest import QUICK
from .servers import server

HOSTS, PAGES = 12, 5


def crawled(folder, show, urls_a_shard, monkeypatch):
    """(outcomes in order, pages in order, requests by path) of a crawl of all hosts, each named twice in the list."""
    monkeypatch.setattr(shards, "URLS_A_SHARD", urls_a_shard)
    (folder / "out").mkdir(parents=True, exist_ok=True)

    async def run():
        async with server({f"/{page}": f"<p>{page}</p>" for page in range(PAGES)}) as (address, hits):
            place = ("127.0.0.1", int(address.rsplit(":", 1)[1]))
            known = {f"h{host}.example": place for host in range(HOSTS)}
            urls = [f"http://{host}/{page}" for page in range(PAGES + 1) for host in (*known, *known)]
            await crawl_in_shards(urls, QUICK, folder / "state", known, show)
            return hits

    hits = asyncio.run(run())
    counts = publish_shards(folder / "state", folder / "out", 0)
    assert counts == {"fetched": HOSTS * PAGES, "status_404": HOSTS}
    lines = [json.loads(line) for line in (folder / "out" / "0.jsonl").read_text().splitlines()]
    pages = [raw.url for raw in read_files(sorted((folder / "out").glob("0.*.warc.gz")), {})]
    return lines, pages, hits


def quiet(done, total, note):
    pass


def test_shards_hold_whole_hosts_and_all_of_them_once(tmp_path, monkeypatch):
    one = crawled(tmp_path / "one", quiet, 1000, monkeypatch)
    lines, pages, hits = crawled(tmp_path / "many", quiet, 20, monkeypatch)
    files = sorted((tmp_path / "many" / "out").glob("*.warc.gz"))
    assert len(files) > 3
    assert sorted(map(str, lines)) == sorted(map(str, one[0])) and sorted(pages) == sorted(one[1])
    assert all(hits[f"/{page}"] == HOSTS for page in range(PAGES + 1))
    hosts = [{raw.url.split("/")[2] for raw in read_files([file], {})} for file in files]
    assert sum(map(len, hosts)) == HOSTS, "no host is in two shards"


@pytest.mark.parametrize("moment", [1, 17, 40, 71])
def test_an_interrupted_crawl_goes_on_to_the_same_outcomes_and_pages(tmp_path, monkeypatch, moment):
    told = []

    def breaking(done, total, note):
        told.append(done)
        if len(told) == moment:
            raise ConnectionAbortedError

    whole = crawled(tmp_path / "whole", quiet, 20, monkeypatch)
    with pytest.raises(ExceptionGroup):
        crawled(tmp_path / "again", breaking, 20, monkeypatch)
    again = crawled(tmp_path / "again", breaking, 20, monkeypatch)
    assert again[:2] == whole[:2]
    fetched = sum(again[2].get(f"/{page}", 0) for page in range(PAGES + 1))
    assert fetched <= HOSTS * (PAGES + 1) - moment + 1, "what was fetched before is not fetched again"
