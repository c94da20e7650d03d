"""Pages come out of Common Crawl's archives whole, chosen by index or language, and every archive is fetched once."""

import asyncio
import gzip
import io
import json
import zlib
from collections import Counter
from contextlib import contextmanager

import pytest
from aiohttp import web
from scalelaws.corpus.sources import read_source, scrape
from scalelaws.corpus.warc import Response, info_record, response_record
from scalelaws.errors import InputError
from scalelaws.io import file_digest, read_json
from scalelaws.workers import silent
from warcio.warcwriter import WARCWriter

from .conftest import PINS
from .servers import server

DATE = "2026-11-20T00:00:00Z"
ARCHIVES = ("crawl/one.warc.gz", "crawl/two.warc.gz", "crawl/three.warc.gz")


def source(lists, base, **changes):
    settings = {"languages": [], "hosts": [], "max_entries": None, "max_bytes": 100_000, "connections": 2}
    settings["allow_private"] = True
    patience = {"idle_seconds": 20, "attempts": 3, "backoff": 0.01}
    return (
        {"kind": "common-crawl", "lists": [str(each) for each in lists], "base": base} | settings | patience | changes
    )


def page(url, body=b"<p>words</p>", status=200, kind="text/html; charset=utf-8"):
    return response_record(Response(url, status, [("Content-Type", kind)], body, DATE))


def wet(url, text, languages=None):
    stream, facts = io.BytesIO(), {"WARC-Date": DATE}
    if languages:
        facts["WARC-Identified-Content-Language"] = languages
    writer, payload = WARCWriter(stream, gzip=True), io.BytesIO(text.encode())
    writer.write_record(
        writer.create_warc_record(
            url, "conversion", payload=payload, warc_content_type="text/plain", warc_headers_dict=facts
        )
    )
    return stream.getvalue()


@pytest.fixture
def crawl(tmp_path):
    """A folder of archives as Common Crawl has them: three of three pages each, a WET file, a list, and an index."""
    (tmp_path / "crawl").mkdir()
    index = []
    for number, name in enumerate(ARCHIVES):
        data = info_record({"software": "test"}, DATE)
        for member in range(3):
            url = f"https://h{member}.example/{number}"
            record = page(url, f"<p>page {number}.{member} {'ö' * 50}</p>".encode())
            fields = {"url": url, "mime": "text/html", "mime-detected": "text/html", "status": "200", "digest": "X"}
            fields |= {"length": str(len(record)), "offset": str(len(data)), "filename": name}
            fields |= {"languages": ("eng", "deu,eng", "eng,fra")[member]}
            index.append(f"example,h{member})/{number} 20261120000000 {json.dumps(fields)}\n")
            data += record
        (tmp_path / name).write_bytes(data)
    texts = [("a", "English text", "eng"), ("b", "Deutscher Text", "deu,eng"), ("c", "of no known language", None)]
    (tmp_path / "crawl/texts.warc.wet.gz").write_bytes(
        b"".join(wet(f"https://{u}.example/", t, n) for u, t, n in texts)
    )
    with gzip.open(tmp_path / "warc.paths.gz", "wt") as file:
        file.writelines(f"{name}\n" for name in ARCHIVES)
    with gzip.open(tmp_path / "cdx-00000.gz", "wt") as file:
        file.writelines(sorted(index))
    return tmp_path


def taken(one, folder, show=silent):
    scrape([one], PINS, folder / "pages", folder / "state", "recipe", 1, show)
    return list(read_source(one, 0, folder / "pages", PINS, 1))


@contextmanager
def served(folder, misbehave=None):
    """Runs a function in a thread while the folder is served, with ranges; counts the requests by path and method."""
    hits = Counter()

    async def handler(request):
        hits[request.method, request.path] += 1
        odd = misbehave and await misbehave(request, hits[request.method, request.path])
        path = folder / request.path[1:]
        return odd or (web.FileResponse(path) if path.exists() else web.Response(status=404))

    def run(function):
        async def serving():
            routes = {f"/{path.relative_to(folder)}": handler for path in folder.rglob("*") if path.is_file()}
            async with server(routes) as (address, _):
                return await asyncio.to_thread(function, address)

        return asyncio.run(serving())

    yield run, hits


def test_archives_in_a_list_are_read_whole_from_a_folder_of_copies(crawl):
    pages = taken(source([crawl / "warc.paths.gz"], str(crawl)), crawl)
    assert [raw.url for raw in pages] == [
        f"https://h{member}.example/{number}" for number in range(3) for member in range(3)
    ]
    assert (
        pages[4].html == f"<p>page 1.1 {'ö' * 50}</p>".encode() and pages[4].content_type == "text/html; charset=utf-8"
    )
    facts = read_json(crawl / "pages/pages.json")["outcomes"]
    assert facts == {"0": {"fetched": 9}}
    lines = [json.loads(line) for line in (crawl / "pages/0.jsonl").read_text().splitlines()]
    assert [(line["first_archive"], line["outcomes"]["fetched"]) for line in lines] == [(name, 3) for name in ARCHIVES]


def test_by_the_index_only_the_wanted_pages_are_asked_for(crawl):
    with served(crawl) as (run, hits):
        pages = run(lambda base: taken(source([crawl / "cdx-00000.gz"], base, languages=["eng"]), crawl))
    assert sorted(raw.url for raw in pages) == sorted(f"https://h{m}.example/{n}" for m in (0, 2) for n in range(3))
    assert {raw.html for raw in pages} >= {f"<p>page 2.2 {'ö' * 50}</p>".encode()}
    assert hits["GET", f"/{ARCHIVES[0]}"] == 2, "one request a page"
    some = taken(source([crawl / "cdx-00000.gz"], str(crawl), hosts=["h1.example"]), crawl / "some")
    assert [raw.url for raw in some] == [f"https://h1.example/{number}" for number in range(3)]


def test_of_texts_the_language_is_known_to_the_archive(crawl):
    (crawl / "wet.paths").write_text("crawl/texts.warc.wet.gz\n")
    found = taken(source([crawl / "wet.paths"], str(crawl), languages=["eng"]), crawl)
    assert [(raw.text, raw.html) for raw in found] == [("English text", None), ("of no known language", None)]
    assert read_json(crawl / "pages/pages.json")["outcomes"] == {"0": {"fetched": 2, "other_language": 1}}


def test_what_is_no_page_is_counted_under_its_reason(crawl):
    unpacked = gzip.decompress(page("https://a.example/cut"))
    unpacked = unpacked.replace(b"WARC-Type: response", b"WARC-Type: response\r\nWARC-Truncated: length")
    data = page("https://a.example/", status=404) + page("https://a.example/p", kind="application/pdf")
    data += page("https://a.example/large", b"x" * 100_001) + gzip.compress(unpacked) + page("https://b.example/")
    data += page("https://not a url/") + page("https://a.example/good")
    (crawl / "odd.warc.gz").write_bytes(data)
    (crawl / "paths").write_text("\nodd.warc.gz\n")
    one = source([crawl / "paths"], str(crawl), hosts=["a.example"])
    assert [raw.url for raw in taken(one, crawl)] == ["https://a.example/good"]
    reasons = {"status_not_200", "not_a_page", "too_large", "cut_short_when_crawled", "fetched"}
    assert read_json(crawl / "pages/pages.json")["outcomes"] == {
        "0": dict.fromkeys(sorted(reasons), 1) | {"other_host": 2}
    }


def test_of_many_entries_a_sample_that_is_always_the_same_is_taken(crawl):
    one = source([crawl / "cdx-00000.gz"], str(crawl), max_entries=4)
    first = taken(one, crawl)
    with gzip.open(crawl / "cdx-00000.gz", "rt") as file:
        lines = file.readlines()
    with gzip.open(crawl / "cdx-00000.gz", "wt") as file:
        file.writelines(reversed(lines))
    again = taken(one, crawl / "again")
    assert [raw.url for raw in again] == [raw.url for raw in first] and len(first) == 4


def test_busy_servers_and_broken_connections_cost_nothing_but_time(crawl, monkeypatch):
    monkeypatch.setattr("scalelaws.corpus.commoncrawl.BLOCK", 500)  # an archive is asked for in several blocks

    async def misbehave(request, count):
        if request.method == "GET" and count == 2:
            return web.Response(status=503)
        if request.method == "GET" and count == 3:
            request.transport.close()
        return None

    with served(crawl, misbehave) as (run, hits):
        pages = run(lambda base: taken(source([crawl / "warc.paths.gz"], base), crawl))
    undisturbed = taken(source([crawl / "warc.paths.gz"], str(crawl)), crawl / "undisturbed")
    assert [raw.html for raw in pages] == [raw.html for raw in undisturbed]
    assert hits["GET", f"/{ARCHIVES[0]}"] > 3


def test_an_archive_that_is_not_there_or_ends_early_is_named_and_what_was_fetched_is_kept(crawl):
    whole = (crawl / ARCHIVES[2]).read_bytes()
    one = source([crawl / "warc.paths.gz"], str(crawl), connections=1)
    for damage, problem in (
        (None, "FileNotFoundError"),
        (whole[:-5], "ended before"),
        (whole[: len(whole) // 2], "ended"),
    ):
        (crawl / ARCHIVES[2]).unlink()
        if damage:
            (crawl / ARCHIVES[2]).write_bytes(damage)
        with pytest.raises(InputError, match=rf"three\.warc\.gz: .*{problem}"):
            taken(one, crawl)
        (crawl / ARCHIVES[2]).write_bytes(whole)
    finished = {path.name: path.stat().st_mtime_ns for path in (crawl / "state").glob("*/*.warc.gz")}
    assert len(finished) == 2
    assert len(taken(one, crawl)) == 9
    assert all(finished.get(path.name.removeprefix("0."), path.stat().st_mtime_ns) == path.stat().st_mtime_ns
               for path in (crawl / "pages").glob("*.warc.gz"))  # fmt: skip


def test_the_result_is_the_same_for_any_number_of_connections_and_after_an_interruption(crawl):
    def interrupted(done, total, note):
        raise ConnectionAbortedError

    one = source([crawl / "warc.paths.gz", crawl / "cdx-00000.gz"], str(crawl), connections=1)
    with pytest.raises(ConnectionAbortedError):
        taken(one, crawl / "a", interrupted)
    taken(one, crawl / "a")
    several = {**one, "connections": 8}
    taken(several, crawl / "b")
    for file in (crawl / "a/pages").glob("*.warc.gz"):
        assert zlib.crc32(file.read_bytes()) == zlib.crc32((crawl / "b/pages" / file.name).read_bytes())
    assert file_digest(crawl / "a/pages/0.jsonl") == file_digest(crawl / "b/pages/0.jsonl")


def test_a_line_that_is_no_index_is_named(crawl):
    (crawl / "cdx").write_text('com,example)/ 2026 {"url": "https://example.com/"}\n')
    with pytest.raises(InputError, match=r"cdx: line 1: neither a path .* \(KeyError: 'offset'\)"):
        taken(source([crawl / "cdx"], str(crawl)), crawl)
    (crawl / "cdx").write_text("\n")
    with pytest.raises(InputError, match="they name no archive and no page that is wanted"):
        taken(source([crawl / "cdx"], str(crawl)), crawl)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("file:///etc/passwd", "leads out of `base`"),
        ("../private.warc.gz", "leads out of `base`"),
        ("/etc/passwd", "leads out of `base`"),
        ("zip://x::crawl/one.warc.gz", "leads out of `base`"),
        ('a 1 {"filename": "../x", "offset": "0", "length": "9"}', "leads out of `base`"),
        ('a 1 {"filename": 7, "offset": "0", "length": "9"}', "TypeError"),
        ('a 1 {"filename": "x", "offset": null, "length": "9"}', "TypeError"),
        ('a 1 {"filename": "x", "offset": "-5", "length": "9"}', "no place in an archive"),
        ('a 1 {"filename": "x", "offset": "5", "length": "-1"}', "no place in an archive"),
    ],
)
def test_a_list_cannot_lead_elsewhere(crawl, line, problem):
    (crawl / "list").write_text(f"\n{line}\n")
    with pytest.raises(InputError, match=rf"list: line 2: .*{problem}"):
        taken(source([crawl / "list"], str(crawl)), crawl)


def test_private_addresses_are_refused_unless_they_are_allowed(crawl):
    with served(crawl) as (run, hits):
        arguments = source([crawl / "warc.paths.gz"], "", allow_private=False)
        with pytest.raises(InputError, match=r"not on the public internet\. Set allow_private"):
            run(lambda base: taken({**arguments, "base": base}, crawl))
    assert not hits


def test_an_index_that_is_not_of_these_archives_is_named(crawl):
    fields = {"url": "https://a/", "mime": "text/html", "status": "200", "filename": ARCHIVES[0], "length": "300"}
    (crawl / "cdx").write_text("a 1 " + json.dumps(fields | {"offset": "1000000"}) + "\n")
    with pytest.raises(InputError, match=r"one\.warc\.gz: it ends before the page at 1,000,000, of 300 bytes"):
        taken(source([crawl / "cdx"], str(crawl)), crawl)


def test_a_list_that_is_cut_short_is_named_and_an_archive_that_is_named_twice_is_read_once(crawl):
    whole = (crawl / "warc.paths.gz").read_bytes()
    (crawl / "cut.gz").write_bytes(whole[:-9])
    with pytest.raises(InputError, match=r"cut\.gz: not readable"):
        taken(source([crawl / "cut.gz"], str(crawl)), crawl)
    (crawl / "twice").write_text(f"{ARCHIVES[0]}\n{ARCHIVES[0]}\n")
    assert len(taken(source([crawl / "twice"], str(crawl)), crawl)) == 3


def test_what_was_fetched_serves_a_start_with_more_patience_or_another_mirror(crawl):
    def interrupted(done, total, note):
        raise ConnectionAbortedError

    one = source([crawl / "warc.paths.gz"], str(crawl), connections=1)
    with pytest.raises(ConnectionAbortedError):
        taken(one, crawl, interrupted)
    mirror = crawl / "mirror"
    (mirror / "crawl").mkdir(parents=True)
    for name in ARCHIVES[1:]:
        (mirror / name).write_bytes((crawl / name).read_bytes())
    assert len(taken({**one, "base": str(mirror), "attempts": 9}, crawl)) == 9


def test_other_responses_than_pages_are_counted(crawl):
    unpacked = gzip.decompress(page("dns:a.example")).replace(b"application/http; msgtype=response", b"text/dns")
    (crawl / "dns.warc.gz").write_bytes(gzip.compress(unpacked) + page("https://a.example/"))
    (crawl / "list").write_text("dns.warc.gz\n")
    assert len(taken(source([crawl / "list"], str(crawl)), crawl)) == 1


def test_a_real_capture_is_read_as_page_and_as_text(shared_data, tmp_path):
    folder = shared_data / "crawl" / "warc"
    archives = sorted(path.name for path in folder.glob("*.gz"))
    (tmp_path / "paths").write_text("".join(f"{name}\n" for name in archives))
    found = taken(source([tmp_path / "paths"], str(folder)), tmp_path)
    assert any(raw.html for raw in found) and any(raw.text for raw in found)
