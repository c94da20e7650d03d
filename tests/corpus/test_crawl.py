import asyncio
import gzip
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict
from itertools import pairwise

import pytest
from aiohttp import web
from scalelaws.corpus.crawl import FIXED_DATE, crawl, publish
from scalelaws.io import file_digest
from warcio.archiveiterator import ArchiveIterator

from .servers import crawled, published, redirect_to, server


def reasons(outcomes):
    return {path: line["outcome"] for path, line in outcomes.items()}


def test_pages_are_fetched_and_every_url_gets_its_line(tmp_path, limits):
    outcomes, pages, _ = crawled({"/a": "<p>A</p>", "/b": "<p>B</p>"}, ["/a", "/b", "/none"], limits(), tmp_path)
    assert pages == {"/a": "<p>A</p>", "/b": "<p>B</p>"}
    assert reasons(outcomes) == {"/a": "fetched", "/b": "fetched", "/none": "status_404"}


def test_robots_txt_is_obeyed_with_wildcards_and_its_most_specific_rule(tmp_path, limits):
    robots = "User-agent: *\nDisallow: /private/\nAllow: /private/open\nDisallow: /*.cgi$\n"
    paths = ["/private/x", "/private/open", "/run.cgi", "/run.cgi2"]
    routes = {"/robots.txt": robots, **dict.fromkeys(paths, "page")}
    outcomes, _, hits = crawled(routes, paths, limits(), tmp_path)
    assert reasons(outcomes) == {
        "/private/x": "robots_disallowed",
        "/private/open": "fetched",
        "/run.cgi": "robots_disallowed",
        "/run.cgi2": "fetched",
    }
    assert "/private/x" not in hits and hits["/robots.txt"] == 1


def test_a_robots_txt_for_this_crawler_counts_and_a_broken_server_keeps_it_out(tmp_path, limits):
    robots = "User-agent: scalelaws-tests\nDisallow: /\n\nUser-agent: *\nAllow: /\n"
    outcomes, _, _ = crawled({"/robots.txt": robots, "/a": "page"}, ["/a"], limits(), tmp_path / "1")
    assert reasons(outcomes) == {"/a": "robots_disallowed"}

    async def broken(request):
        return web.Response(status=503)

    outcomes, _, hits = crawled({"/robots.txt": broken, "/a": "page"}, ["/a"], limits(), tmp_path / "2")
    assert reasons(outcomes) == {"/a": "robots_unreachable"} and "/a" not in hits


def test_crawl_delay_and_the_configured_delay_hold_between_requests(tmp_path, limits):
    for folder, robots, delay in (("robots", "User-agent: *\nCrawl-delay: 0.15\n", 0.0), ("limit", "", 0.15)):
        times = []

        async def page(request, times=times):
            times.append(time.monotonic())
            return web.Response(text="x", content_type="text/html")

        paths = [f"/{n}" for n in range(4)]
        routes = {"/robots.txt": robots, **dict.fromkeys(paths, page)}
        crawled(routes, paths, limits(delay=delay), tmp_path / folder)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert len(times) == 4 and min(gaps) > 0.1


def test_one_host_never_gets_more_requests_at_a_time_than_allowed(tmp_path, limits):
    active, most = 0, 0

    async def page(request):
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0.02)
        active -= 1
        return web.Response(text="x", content_type="text/html")

    paths = [f"/{n}" for n in range(20)]
    crawled(dict.fromkeys(paths, page), paths, limits(per_host=3, connections=16), tmp_path)
    assert most == 3


def test_redirects_are_followed_to_the_page_and_loops_given_up(tmp_path, limits):
    routes = {
        "/old": lambda request: redirect_to(request, "/newer"),
        "/newer": lambda request: redirect_to(request, "new?utm_source=mail", 301),
        "/new": "page",
        "/loop": lambda request: redirect_to(request, "/loop"),
        "/away": lambda request: redirect_to(request, "ftp://elsewhere.example/"),
    }
    outcomes, pages, hits = crawled(routes, ["/old", "/loop", "/away"], limits(), tmp_path)
    assert reasons(outcomes) == {"/old": "fetched", "/loop": "too_many_redirects", "/away": "bad_redirect"}
    assert outcomes["/old"]["final_url"].endswith("/new") and pages == {"/new": "page"}
    assert hits["/loop"] == limits().max_redirects + 1


def test_a_redirect_cannot_lead_past_robots_txt(tmp_path, limits):
    routes = {
        "/robots.txt": "User-agent: *\nDisallow: /private\n",
        "/open": lambda request: redirect_to(request, "/private"),
        "/private": "secret",
    }
    outcomes, _, hits = crawled(routes, ["/open"], limits(), tmp_path)
    assert reasons(outcomes) == {"/open": "robots_disallowed"} and "/private" not in hits


def test_failures_that_may_pass_are_tried_again_and_others_are_not(tmp_path, limits):
    tries = {"/flaky": 0}

    async def flaky(request):
        tries["/flaky"] += 1
        return web.Response(status=503 if tries["/flaky"] == 1 else 200, text="page", content_type="text/html")

    async def always(request):
        return web.Response(status=500)

    routes = {"/flaky": flaky, "/broken": always}
    outcomes, _, hits = crawled(routes, ["/flaky", "/broken", "/gone"], limits(attempts=3), tmp_path)
    assert reasons(outcomes) == {"/flaky": "fetched", "/broken": "status_500", "/gone": "status_404"}
    assert outcomes["/flaky"]["attempts"] == 2 and hits["/broken"] == 3 and hits["/gone"] == 1


def test_retry_after_is_waited_for(tmp_path, limits):
    times = []

    async def busy(request):
        times.append(time.monotonic())
        if len(times) == 1:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return web.Response(text="page", content_type="text/html")

    outcomes, _, _ = crawled({"/a": busy}, ["/a"], limits(), tmp_path)
    assert reasons(outcomes) == {"/a": "fetched"} and times[1] - times[0] >= 1


def test_a_hosts_wish_to_rest_holds_for_its_other_pages_too(tmp_path, limits):
    times = []

    async def busy(request):
        times.append(time.monotonic())
        return web.Response(status=429, headers={"Retry-After": "1"})

    paths = ["/a", "/b"]
    crawled(dict.fromkeys(paths, busy), paths, limits(attempts=1, per_host=1), tmp_path)
    assert times[1] - times[0] >= 1


def test_robots_txt_counts_as_a_request_and_is_not_hurried(tmp_path, limits):
    times = {"/robots.txt": [], "/a": []}

    async def answer(request):
        times[request.path].append(time.monotonic())
        if len(times["/robots.txt"]) == 1:
            return web.Response(status=503, headers={"Retry-After": "1"})
        return web.Response(text="", content_type="text/plain")

    outcomes, _, _ = crawled(dict.fromkeys(times, answer), ["/a"], limits(delay=0.2), tmp_path)
    assert reasons(outcomes) == {"/a": "fetched"}
    assert times["/robots.txt"][1] - times["/robots.txt"][0] >= 1
    assert times["/a"][0] - times["/robots.txt"][1] >= 0.2


def test_hosts_that_rest_before_their_robots_txt_hold_nobody_up(tmp_path, limits):
    """Three of them, and three connections: the pages of a fourth come first."""
    came = []

    def answers(name, status):
        async def robots(request):
            came.append(f"{name} robots.txt")
            return web.Response(status=status, headers={"Retry-After": "1"} if status != 200 else {})

        async def page(request):
            came.append(name)
            return web.Response(text="x", content_type="text/html")

        return {"/robots.txt": robots, "/a": page}

    async def run():
        async with AsyncExitStack() as servers:
            urls = []
            for name, status in (("busy 1", 503), ("busy 2", 503), ("busy 3", 503), ("good", 200)):
                address, _ = await servers.enter_async_context(server(answers(name, status)))
                urls.append(f"{address}/a")
            started = time.monotonic()
            await crawl(urls, limits(connections=3, attempts=2), tmp_path / "state")
            return time.monotonic() - started

    assert 1 <= asyncio.run(run()) < 15
    assert came.index("good") < 5 and came.count("busy 1 robots.txt") == 2
    outcomes, _ = published(tmp_path, limits(), "")
    assert sorted(reasons(outcomes).values()) == ["fetched", *["robots_unreachable"] * 3]


def test_a_host_that_asks_for_hours_of_peace_is_not_asked_again(tmp_path, limits):
    async def busy(request):
        return web.Response(status=429, headers={"Retry-After": "7200"})

    paths = [f"/{n}" for n in range(4)]
    outcomes, _, hits = crawled(dict.fromkeys(paths, busy), paths, limits(per_host=1, attempts=3), tmp_path)
    assert sorted(reasons(outcomes).values()) == ["host_abandoned"] * 3 + ["status_429"]
    assert sum(hits.get(path, 0) for path in paths) == 1


def test_a_redirect_waits_its_turn_at_the_host_that_it_leads_to(tmp_path, limits):
    times = []

    async def page(request):
        times.append(time.monotonic())
        return web.Response(text="page", content_type="text/html")

    async def run():
        async with server({"/a": page, "/b": page, "/own": page}) as (there, _):
            routes = {path: lambda request, p=path: redirect_to(request, there + p) for path in ("/a", "/b")}
            async with server(routes) as (here, _):
                urls = [f"{here}/a", f"{here}/b", f"{there}/own"]
                await crawl(urls, limits(delay=0.2), tmp_path / "state")
                return there

    outcomes, pages = published(tmp_path, limits(), asyncio.run(run()))
    assert set(reasons(outcomes).values()) == {"fetched"}
    assert pages == dict.fromkeys(("/a", "/b", "/own"), "page")
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.15


def test_servers_that_never_shake_hands_run_out_of_time(tmp_path, limits):
    """One whose queue of connections is full answers no SYN; one that takes a connection says nothing of TLS."""
    with socket.socket() as full, socket.socket() as mute, ExitStack() as waiting:
        for listening, queue in ((full, 0), (mute, 8)):
            listening.bind(("127.0.0.1", 0))
            listening.listen(queue)
        for _ in range(4):
            connection = waiting.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex(full.getsockname())
        urls = [f"http://127.0.0.1:{full.getsockname()[1]}/", f"https://127.0.0.1:{mute.getsockname()[1]}/"]
        started = time.monotonic()
        asyncio.run(crawl(urls, limits(attempts=1, connect_seconds=0.5, total_seconds=1.5), tmp_path / "state"))
        assert 0.5 < time.monotonic() - started < 15
    outcomes, _ = published(tmp_path, limits(), "")
    assert set(reasons(outcomes).values()) == {"robots_unreachable"}


def test_large_pages_and_bombs_are_given_up_early(tmp_path, limits):
    sent = 0

    async def endless(request):
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"x" * 10_000)
            sent += 10_000
        return response

    async def bomb(request):
        body = gzip.compress(b"\0" * 50_000_000)
        return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "text/html"})

    async def honest(request):
        return web.Response(text="x" * 200_000, content_type="text/html")

    routes = {"/endless": endless, "/bomb": bomb, "/honest": honest}
    outcomes, _, _ = crawled(routes, list(routes), limits(), tmp_path)
    assert set(reasons(outcomes).values()) == {"too_large"}
    assert sent < 5_000_000


def test_compressed_pages_are_stored_as_they_read(tmp_path, limits):
    async def packed(request):
        body = gzip.compress("<p>Grüße</p>".encode())
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/html; charset=utf-8"}
        return web.Response(body=body, headers=headers)

    _, pages, _ = crawled({"/a": packed}, ["/a"], limits(), tmp_path)
    assert pages == {"/a": "<p>Grüße</p>"}


def test_packed_pages_that_are_cut_short_are_refused_where_nothing_else_tells_their_length(tmp_path, limits):
    async def cut(request):
        response = web.StreamResponse(headers={"Content-Encoding": "gzip", "Content-Type": "text/html"})
        response.force_close()
        await response.prepare(request)
        await response.write(gzip.compress(b"<p>a page with an end</p>")[:-9])
        return response

    outcomes, pages, _ = crawled({"/a": cut}, ["/a"], limits(attempts=1), tmp_path)
    assert reasons(outcomes) == {"/a": "broken_body"} and not pages


def test_slow_servers_run_out_of_time(tmp_path, limits):
    async def silent(request):
        await asyncio.sleep(60)

    async def drip(request):
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        for _ in range(600):
            await response.write(b"x")
            await asyncio.sleep(0.1)
        return response

    started = time.monotonic()
    hasty = limits(attempts=1, idle_seconds=0.5, total_seconds=1.0)
    outcomes, _, _ = crawled({"/silent": silent, "/drip": drip}, ["/silent", "/drip"], hasty, tmp_path)
    assert set(reasons(outcomes).values()) == {"timed_out"}
    assert time.monotonic() - started < 30


def test_what_is_no_page_is_not_kept(tmp_path, limits):
    async def image(request):
        return web.Response(body=b"\x89PNG", content_type="image/png")

    outcomes, pages, _ = crawled({"/a.png": image}, ["/a.png"], limits(), tmp_path)
    assert reasons(outcomes) == {"/a.png": "not_a_page"} and not pages


def test_hosts_that_do_not_answer_are_named_and_then_left_alone(tmp_path, limits):
    async def run():
        async with server({}) as (address, _):
            pass  # from here on nobody listens there
        urls = [f"{address}/{n}" for n in range(8)] + ["http://no-such-host.invalid/"]
        await crawl(urls, limits(attempts=1, per_host=1), tmp_path / "state")
        return address

    outcomes, _ = published(tmp_path, limits(), asyncio.run(run()))
    found = list(reasons(outcomes).values())
    assert found.count("host_abandoned") == 3 and found.count("robots_unreachable") == 6


def test_cookies_are_refused_and_the_crawler_says_who_it_is(tmp_path, limits):
    seen = []

    async def page(request):
        seen.append((request.headers["User-Agent"], "Cookie" in request.headers))
        response = web.Response(text="x", content_type="text/html")
        response.set_cookie("track", "you")
        return response

    crawled({"/a": page, "/b": page}, ["/a", "/b"], limits(per_host=1), tmp_path)
    assert seen == [("scalelaws-tests", False)] * 2


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://127.0.0.1:{port}/x", "private_address"),
        ("http://localhost:{port}/x", "private_address"),
        ("http://[::ffff:127.0.0.1]:{port}/x", "private_address"),
        ("http://2130706433:{port}/x", "robots_unreachable"),  # 127.0.0.1 as one number, which is no valid host
    ],
)
def test_private_addresses_are_refused_by_name_by_number_and_through_redirects(tmp_path, limits, target, reason):
    secret = []

    async def page(request):
        secret.append(request.path)
        return web.Response(text="secret", content_type="text/html")

    async def run():
        async with server({"/x": page}) as (address, _):
            port = address.rsplit(":", 1)[1]
            inside = target.format(port=port)
            async with server({"/out": lambda request: redirect_to(request, inside)}) as (public, _):
                known = {"public.example": ("127.0.0.1", int(public.rsplit(":", 1)[1]))}
                urls = [inside, "http://public.example/out"]
                await crawl(urls, limits(allow_private=False), tmp_path / "state", known)

    asyncio.run(run())
    outcomes, _ = published(tmp_path, limits(), "")
    assert set(reasons(outcomes).values()) == {reason} and not secret


def test_a_robots_txt_that_leads_inside_allows_nothing(tmp_path, limits):
    secret = []

    async def inside(request):
        secret.append(request.path)
        return web.Response(text="User-agent: *")

    async def run():
        async with server({"/robots.txt": inside}) as (address, _):
            routes = {"/robots.txt": lambda request: redirect_to(request, f"{address}/robots.txt"), "/a": "page"}
            async with server(routes) as (public, _):
                known = {"public.example": ("127.0.0.1", int(public.rsplit(":", 1)[1]))}
                await crawl(["http://public.example/a"], limits(allow_private=False), tmp_path / "state", known)

    asyncio.run(run())
    outcomes, _ = published(tmp_path, limits(), "")
    assert set(reasons(outcomes).values()) == {"robots_unreachable"} and not secret


def test_the_files_do_not_depend_on_port_or_order_of_arrival(tmp_path, limits):
    digests = set()
    for attempt, delays in enumerate(([0.0, 0.05, 0.1], [0.1, 0.05, 0.0])):

        async def run(folder, delays=delays):
            async def page(request):
                await asyncio.sleep(delays[int(request.path[1:])])
                headers = {"Date": "Thu, 01 Jan 1970 00:00:00 GMT", "Server": "test"}
                return web.Response(text=request.path, content_type="text/html", headers=headers)

            routes = {f"/{n}": page for n in range(3)}
            async with server(routes) as (address, _):
                known = {"site.localhost": ("127.0.0.1", int(address.rsplit(":", 1)[1]))}
                urls = [f"http://site.localhost/{n}" for n in range(3)]
                await crawl(urls, limits(allow_private=False), folder / "state", known)

        folder = tmp_path / str(attempt)
        asyncio.run(run(folder))
        publish(folder / "state", folder / "out" / "pages.warc.gz", folder / "out" / "outcomes.jsonl", limits())
        digests.add(file_digest(folder / "out"))
    assert len(digests) == 1
    with (tmp_path / "0" / "out" / "pages.warc.gz").open("rb") as stream:
        records = [(r.rec_type, r.rec_headers["WARC-Date"]) for r in ArchiveIterator(stream, check_digests="raise")]
    assert records == [("warcinfo", FIXED_DATE)] + [("response", FIXED_DATE)] * 3


SCRIPT = """
import asyncio, json, sys
from pathlib import Path
from scalelaws.corpus.crawl import crawl
from scalelaws.corpus.fetch import Limits
asyncio.run(crawl(json.loads(sys.argv[1]), Limits(**json.loads(sys.argv[2])), Path(sys.argv[3])))
"""


def test_a_killed_crawl_resumes_without_fetching_again_what_it_has(tmp_path, limits):
    paths = [f"/{n:02}" for n in range(40)]
    found = {}

    async def page(request):
        await asyncio.sleep(0.02)
        return web.Response(text=f"page {request.path}" * 50, content_type="text/html")

    async def serve(ready, stop):
        async with server(dict.fromkeys(paths, page)) as (address, hits):
            found.update(address=address, hits=hits)
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.01)

    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve(ready, stop)))
    thread.start()
    ready.wait()
    try:
        settings = limits(per_host=2)
        urls = [found["address"] + path for path in paths]
        arguments = [json.dumps(urls), json.dumps(asdict(settings)), str(tmp_path / "state")]
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments])
        log = tmp_path / "state" / "log.jsonl"
        while not log.exists() or log.read_bytes().count(b"\n") < 10:
            time.sleep(0.005)
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        with log.open("ab") as file, (tmp_path / "state" / "pages.warc").open("ab") as warc:
            file.write(b'{"url": "half a li')  # as a kill in the middle of a write leaves them
            warc.write(b"\x1f\x8bhalf a record")
        before = sum(found["hits"].get(path, 0) for path in paths)
        assert before < 40
        asyncio.run(crawl(urls, settings, tmp_path / "state"))
    finally:
        stop.set()
        thread.join()
    outcomes, pages = published(tmp_path, settings, found["address"])
    assert pages == {path: f"page {path}" * 50 for path in paths}
    assert len(outcomes) == 40
    again = sum(found["hits"][path] for path in paths) - 40
    assert again <= 2, "only what was under way when it was killed is fetched twice"
