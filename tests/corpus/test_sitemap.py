"""A site's sitemaps lead to its pages, and to nothing else, whatever stands in them."""

import asyncio
import gzip
import json
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from scalelaws.corpus import sitemap
from scalelaws.corpus.sitemap import listed_pages, parse_sitemap
from scalelaws.corpus.sources import read_source, scrape
from scalelaws.errors import InputError
from scalelaws.io import read_json
from scalelaws.workers import silent

from .conftest import PINS, QUICK
from .servers import server

SPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def urlset(*addresses):
    entries = "".join(f"<url><loc>\n {each} </loc><priority>0.5</priority></url>" for each in addresses)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset {SPACE}>{entries}</urlset>'


def index(*addresses):
    return (
        f"<sitemapindex {SPACE}>{''.join(f'<sitemap><loc>{each}</loc></sitemap>' for each in addresses)}</sitemapindex>"
    )


def file(body, content_type="application/xml", status=200):
    async def handler(request):
        return web.Response(body=body, content_type=content_type, status=status)

    return handler


def listed(routes, starts, most=100, **changes):
    """(pages, outcome by sitemap, requests by path), addresses without the server's."""
    limits = replace(QUICK, **changes)

    async def run(folder):
        async with server(routes) as (address, hits):
            filled = {path: file(body(address)) for path, body in routes.items() if getattr(body, "fills", False)}
            routes.update(filled)
            sites = [start.format(address) for start in starts]
            pages, outcomes = await listed_pages(sites, limits, most, Path(folder) / "log", silent)
            return (
                [page.removeprefix(address) for page in pages],
                {row["sitemap"].removeprefix(address): row["outcome"] for row in outcomes},
                hits,
            )

    with TemporaryDirectory() as folder:
        return asyncio.run(run(folder))


def at(make):
    """A body that is made once the server's address is known."""
    make.fills = True
    return make


def test_pages_and_further_sitemaps_are_told_apart():
    found = parse_sitemap(urlset("https://a.example/1", "https://a.example/2?x=1&amp;y=2").encode())
    assert (found.pages, found.sitemaps) == (["https://a.example/1", "https://a.example/2?x=1&y=2"], [])
    found = parse_sitemap(index("https://a.example/s1.xml", "https://a.example/s2.xml.gz").encode())
    assert (found.pages, found.sitemaps) == ([], ["https://a.example/s1.xml", "https://a.example/s2.xml.gz"])


def test_text_gzip_and_files_without_a_name_space_are_read():
    assert parse_sitemap(b"\xef\xbb\xbfhttps://a.example/1\r\nhttps://a.example/2\n").pages[1] == "https://a.example/2"
    plain = "<urlset><url><loc>https://a.example/</loc></url></urlset>"
    assert parse_sitemap(gzip.compress(plain.encode())).pages == ["https://a.example/"]


def test_what_is_cut_short_is_read_as_far_as_it_goes():
    whole = urlset(*(f"https://a.example/{n}" for n in range(100))).encode()
    found = parse_sitemap(whole[: len(whole) // 2]).pages
    assert 40 < len(found) < 60 and found[0] == "https://a.example/0"


def test_no_entity_is_expanded_and_no_file_is_read(tmp_path):
    (tmp_path / "secret").write_text("https://a.example/secret")
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha" * 10}">' for n in range(9))
    body = f"""<!DOCTYPE x [{bomb}<!ENTITY file SYSTEM "{(tmp_path / "secret").as_uri()}">]><urlset>
        <url><loc>https://a.example/&e8;</loc></url><url><loc>&file;</loc></url>
        <url><loc>https://a.example/1</loc></url></urlset>"""
    found = parse_sitemap(body.encode())
    assert not found or not [page for page in found.pages if "secret" in page or "haha" in page]


def test_a_bomb_and_what_is_no_sitemap_are_refused(monkeypatch):
    monkeypatch.setattr(sitemap, "MOST_BYTES", 100_000)
    assert parse_sitemap(gzip.compress(urlset(*["https://a.example/1"] * 10_000).encode())) is None
    for body in (
        b"",
        b"\x1f\x8b nonsense",
        b"<!doctype html><p>Not found</p>",
        b"Not found",
        b"%PDF-1.7 https://a.example/",
    ):
        assert parse_sitemap(body) is None, body


@given(st.one_of(st.binary(), st.text().map(lambda text: urlset(text).encode("utf-8", "surrogatepass"))))
def test_no_bytes_break_it(body):
    found = parse_sitemap(body)
    assert found is None or all(isinstance(each, str) for each in found.pages + found.sitemaps)


def test_a_site_leads_to_its_pages_by_its_robots_txt_an_index_and_packed_parts():
    routes = {
        "/robots.txt": at(lambda host: f"User-agent: *\nSitemap: {host}/map/index.xml\n".encode()),
        "/map/index.xml": at(
            lambda host: index(f"{host}/map/1.xml.gz", f"{host}/map/2.txt", f"{host}/gone.xml").encode()
        ),
        "/map/1.xml.gz": at(lambda host: gzip.compress(urlset(f"{host}/b", f"{host}/a#part", f"{host}/a").encode())),
        "/map/2.txt": at(lambda host: f"{host}/c\nhttps://elsewhere.example/d\n".encode()),
    }
    pages, outcomes, hits = listed(routes, ["{}/"])
    assert pages == ["/a", "/b", "/c"], "canonical, each once, none of another host"
    assert outcomes == {
        "/map/index.xml": "fetched", "/map/1.xml.gz": "fetched", "/map/2.txt": "fetched", "/gone.xml": "status_404",
    }  # fmt: skip
    assert hits["/robots.txt"] == 1


def test_a_site_that_names_none_is_asked_for_the_usual_one():
    pages, outcomes, _ = listed({"/sitemap.xml": at(lambda host: urlset(f"{host}/a").encode())}, ["{}"])
    assert pages == ["/a"] and outcomes == {"/sitemap.xml": "fetched"}


def test_an_index_without_end_ends():
    async def endless(request):
        number, host = int(request.query.get("n", 0)), f"http://{request.host}"
        deeper = (f"{host}/endless.xml?n={2 * number + more}" for more in (1, 2))
        return web.Response(text=index(*deeper), content_type="text/xml")

    async def again(request):
        return web.Response(text=index(f"http://{request.host}/again.xml"), content_type="text/xml")

    routes = {"/endless.xml": endless, "/again.xml": again, "/s.xml": at(lambda host: urlset(f"{host}/a").encode())}
    hits = listed(routes, ["{}/endless.xml", "{}/again.xml", "{}/s.xml"])[2]
    assert (hits["/endless.xml"], hits["/again.xml"]) == (1 + 2 + 4 + 8, 1)


def test_a_server_that_is_busy_is_asked_again():
    times = []

    async def busy(request):
        times.append(1)
        if len(times) == 1:
            return web.Response(status=503)
        return web.Response(text=urlset(f"http://{request.host}/a"), content_type="text/xml")

    assert listed({"/s.xml": busy}, ["{}/s.xml"])[0] == ["/a"]


def test_of_too_many_pages_a_sample_is_taken():
    names = [f"/{n}" for n in range(500)]
    one = listed({"/s.xml": at(lambda host: urlset(*(host + name for name in names)).encode())}, ["{}/s.xml"], most=50)[
        0
    ]
    assert len(one) == 50 and one == sorted(one)
    assert 5 < sum(int(page[1:]) < 250 for page in one) < 45, "a sample, not the first"


def test_a_listing_that_was_killed_asks_for_no_sitemap_twice_and_finds_the_same_pages(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"

    def stopping(done, total, note):
        if done == 3:
            raise ConnectionAbortedError

    async def run():
        routes = {}
        async with server(routes) as (address, hits):
            maps = [f"/{number}.xml" for number in range(6)]
            routes["/sitemap.xml"] = file(index(*(address + each for each in maps)).encode())
            for each in maps:
                routes[each] = file(urlset(*(f"{address}{each}/{page}" for page in range(40))).encode())
            with pytest.raises(ConnectionAbortedError):
                await listed_pages([address], QUICK, 30, killed, stopping)
            half = len(killed.read_bytes()) - 100
            killed.write_bytes(killed.read_bytes()[:half])
            before = dict(hits)
            resumed = await listed_pages([address], QUICK, 30, killed, silent)
            after = {path: hits[path] - before.get(path, 0) for path in ["/sitemap.xml", *maps]}
            return resumed, await listed_pages([address], QUICK, 30, whole, silent), after

    resumed, undisturbed, after = asyncio.run(run())
    assert resumed == undisturbed and len(resumed[0]) == 30
    assert list(after.values()) == [0, 0, 1, 1, 1, 1, 1], "the one whose line was cut, and those that had none"
    assert sum(len(json.loads(line)["kept"]) for line in whole.open()) < 6 * 40, "a page that cannot stay is not kept"


def test_a_listing_that_goes_on_tries_again_what_an_outage_hid_and_loses_no_site_to_one(tmp_path):
    down = set()

    async def run():
        routes = {}

        def unless_down(body):
            async def handler(request):
                return web.Response(status=503) if request.path in down else web.Response(body=body)

            return handler

        async with server(routes) as (address, _):
            routes["/robots.txt"] = unless_down(f"Sitemap: {address}/own.xml\n".encode())
            routes["/own.xml"] = unless_down(index(f"{address}/1.xml", f"{address}/2.xml").encode())
            for number in (1, 2):
                routes[f"/{number}.xml"] = unless_down(urlset(f"{address}/page-{number}").encode())
            limits, log = replace(QUICK, attempts=1), tmp_path / "log"
            found = []
            for hidden in ({"/2.xml"}, set(), {"/robots.txt"}):
                down.clear()
                down.update(hidden)
                pages, _ = await listed_pages([f"{address}/"], limits, 10, log, silent)
                found.append([page.removeprefix(address) for page in pages])
            return found

    assert asyncio.run(run()) == [["/page-1"], ["/page-1", "/page-2"], ["/page-1", "/page-2"]]


def test_neither_private_addresses_nor_what_robots_txt_forbids_is_reached():
    routes = {"/s.xml": at(lambda host: urlset(f"{host}/a").encode())}
    with pytest.raises(InputError, match=r"they list no page \(.*/s.xml: private_address\)"):
        listed(routes, ["{}/s.xml"], allow_private=False)
    forbidden = {**routes, "/robots.txt": "User-agent: *\nDisallow: /s.xml\n"}
    with pytest.raises(InputError, match="robots_disallowed"):
        listed(forbidden, ["{}/s.xml"])


def test_pages_in_a_sitemap_are_crawled_and_a_crawl_that_goes_on_does_not_ask_for_it_again(tmp_path, monkeypatch):
    crawl = {name: value for name, value in asdict(QUICK).items() if name != "allow_private"} | {"per_host": 1}
    broken = []

    async def run():
        routes = {"/a": "<p>one</p>", "/b": "<p>two</p>", "/c": "<p>not listed</p>"}
        async with server(routes) as (address, hits):
            routes["/sitemap.xml"] = file(urlset(f"{address}/a", f"{address}/b").encode())
            source = {"kind": "sitemap", "sites": [address], "max_pages": 10, "allow_private": True, "crawl": crawl}
            arguments = ([source], PINS, tmp_path / "pages", tmp_path / "state", "recipe", 1)

            def breaking(done, total, note):
                if "MB" in note and not broken:
                    broken.append(done)
                    raise ConnectionAbortedError

            with pytest.raises(ExceptionGroup):
                await asyncio.to_thread(scrape, *arguments, breaking)
            await asyncio.to_thread(scrape, *arguments, silent)
            return source, hits, address

    source, hits, address = asyncio.run(run())
    assert broken
    assert hits["/sitemap.xml"] == hits["/a"] == hits["/b"] == 1 and "/c" not in hits
    pages = [raw.html for raw in read_source(source, 0, tmp_path / "pages", PINS, 1)]
    assert pages == [b"<p>one</p>", b"<p>two</p>"]
    facts = read_json(tmp_path / "pages" / "pages.json")
    assert facts["sitemaps"] == {"0": [{"sitemap": f"{address}/sitemap.xml", "outcome": "fetched", "pages": 2}]}
    assert json.dumps(facts["outcomes"]) == '{"0": {"fetched": 2}}'


@pytest.mark.parametrize(
    "body",
    [
        "<!-- made by hand --><url><loc>https://a.example/1</loc></url>",
        "<?xml-stylesheet href='x'?><urlset><url><loc>https://a.example/1</loc></url></urlset>",
        "<urlset><url><loc>https://a.example/1</loc><image:image><image:loc>x</image:loc></image:image></url></urlset>",
        "<a:urlset><a:url><a:loc>https://a.example/1</a:loc></a:url></a:urlset>",
        "<urlset><a:b:c/><url><loc>https://a.example/1</loc></url></urlset>",
    ],
)
def test_what_a_parser_stumbles_over_is_read_all_the_same(body):
    assert parse_sitemap(body.encode()).pages[:1] == ["https://a.example/1"]


@given(
    st.lists(
        st.sampled_from(["<", ">", "/", "url", "loc", "x:", "<!--", "-->", "<?", "?>", " ", "&", ";", "http://a/"])
    )
)
def test_no_mark_up_breaks_it(parts):
    parse_sitemap(("<urlset>" + "".join(parts)).encode())


@pytest.mark.parametrize("start", ["http://[::1", "http://a.example:99999/", "ftp://a.example/", "not an address"])
def test_a_start_that_is_no_web_address_is_named(start):
    with pytest.raises(InputError, match="not an http or https address"):
        listed({}, [start])
