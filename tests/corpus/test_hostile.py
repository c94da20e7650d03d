"""Servers that break HTTP on purpose or by mistake: each page gets its outcome, and none costs more than itself."""

import asyncio
import gzip
import random
import zlib
from dataclasses import replace

import pytest
from scalelaws.corpus.crawl import crawl

from .conftest import QUICK
from .servers import published

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
PAGE = b"<p>a page of words</p>"
WHOLE = b"Content-Length: %d\r\n\r\n%s" % (len(PAGE), PAGE)


def chunked(*parts, end=b"0\r\n\r\n"):
    return b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + end


RESPONSES = {
    "plain": (OK + WHOLE, "fetched"),
    "until the end": (OK + b"Connection: close\r\n\r\n" + PAGE, "fetched"),
    "chunked": (OK + chunked(PAGE[:5], PAGE[5:]), "fetched"),
    "packed": (OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(PAGE), "fetched"),
    "deflated without its header": (
        OK + b"Content-Encoding: deflate\r\nConnection: close\r\n\r\n" + zlib.compress(PAGE)[2:-4], "fetched",
    ),
    "two types": (OK + b"Content-Type: text/plain\r\n" + WHOLE, "fetched"),
    "header that is no UTF-8": (OK + b"X-Odd: \xff\xfe\r\n" + WHOLE, "fetched"),
    "status with an odd reason": (OK.replace(b"OK", b"\xc3\xa4h ... no") + WHOLE, "fetched"),
    "less than promised": (OK + b"Content-Length: 999\r\n\r\n" + PAGE, "broken"),
    "negative length": (OK + b"Content-Length: -5\r\n\r\n" + PAGE, "broken"),
    "two lengths": (OK + b"Content-Length: 3\r\nContent-Length: 22\r\n\r\n" + PAGE, "broken"),
    "length that is none": (OK + b"Content-Length: many\r\n\r\n" + PAGE, "broken"),
    "chunk cut short": (OK + chunked(PAGE, end=b"ff\r\nhalf"), "broken"),
    "chunk without size": (OK + chunked(PAGE, end=b"zz\r\n"), "broken"),
    "chunk of endless size": (OK + chunked(PAGE, end=b"fffffffffffffffffff\r\nx"), "broken"),
    "packed, it says": (OK + b"Content-Encoding: gzip\r\n" + WHOLE, "broken"),
    "unknown packing": (OK + b"Content-Encoding: nonsense\r\n" + WHOLE, "any"),
    "endless headers": (OK + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 500) for n in range(2000)) + WHOLE, "any"),
    "one endless header": (OK + b"X: " + b"a" * 1_000_000 + b"\r\n" + WHOLE, "broken"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.9\r\n", "broken"),
    "HTTP/0.9": (PAGE, "broken"),
    "nothing": (b"", "broken"),
    "NUL bytes": (b"\0" * 1000, "broken"),
    "status 999": (b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n", "status"),
    "status that is none": (b"HTTP/1.1 abc\r\n\r\n", "broken"),
    "switched protocols": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "any"),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + WHOLE, "fetched"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "status"),
    "redirect to nowhere": (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "status"),
    "redirect to a file": (
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", "bad_redirect",
    ),
    "redirect to a script": (
        b"HTTP/1.1 302 Found\r\nLocation: javascript:alert(1)\r\nContent-Length: 0\r\n\r\n", "bad_redirect",
    ),
    "redirect to nonsense": (b"HTTP/1.1 302 Found\r\nLocation: http://[:::/\r\nContent-Length: 0\r\n\r\n", "any"),
}  # fmt: skip
EXPECTED = {
    "fetched": {"fetched"},
    "broken": {"broken_body", "broken_response", "connection_failed", "timed_out"},
    "status": {"status_999", "status_204", "status_302"},
    "bad_redirect": {"bad_redirect"},
}


LIMITS = replace(QUICK, idle_seconds=1.0, total_seconds=3.0, connections=32, per_host=32)


NONE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def crawled(responses, folder, robots=NONE):
    """The outcome and the page for each of the raw responses, from one crawl of one server that gives them all."""

    async def answer(reader, writer):
        path = (await reader.readline()).split()[1].decode()
        while (await reader.readline()).strip():
            pass
        writer.write(responses[int(path[1:])] if path[1:].isdecimal() else robots)
        writer.close()

    async def run():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await crawl([f"{address}/{n}" for n in range(len(responses))], LIMITS, folder / "state")
            return address

    lines, pages = published(folder, LIMITS, asyncio.run(run()))
    return [(lines[f"/{n}"]["outcome"], pages.get(f"/{n}")) for n in range(len(responses))]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    found = crawled([response for response, _ in RESPONSES.values()], tmp_path_factory.mktemp("hostile"))
    return dict(zip(RESPONSES, found, strict=True))


@pytest.mark.parametrize("name", RESPONSES)
def test_every_answer_has_its_outcome_and_what_is_kept_is_whole(outcomes, name):
    outcome, page = outcomes[name]
    expected = RESPONSES[name][1]
    assert expected == "any" or outcome in EXPECTED[expected]
    assert page == (PAGE.decode() if outcome == "fetched" else None)


def test_flipped_bytes_end_no_crawl(tmp_path):
    draw = random.Random(1)
    answers = []
    for name in ("plain", "chunked", "packed", "header that is no UTF-8", "redirect to a file"):
        for _ in range(60):
            response = bytearray(RESPONSES[name][0])
            for _ in range(draw.randint(1, 4)):
                response[draw.randrange(len(response))] = draw.randrange(256)
            answers.append(bytes(response))
    found = [outcome for outcome, _ in crawled(answers, tmp_path)]
    assert len(found) == len(answers) and 10 < found.count("fetched") < len(answers) - 10


DATE = "Mon, {} Jan 2024 00:00:00 {}"


@pytest.mark.parametrize(
    "wish", [DATE.format("01", "+99999999999999999999"), DATE.format("99999999999999", "GMT"), "9" * 400, "-1", "²"]
)
def test_no_wish_to_be_asked_later_ends_a_crawl(tmp_path, wish):
    busy = f"HTTP/1.1 503 Busy\r\nRetry-After: {wish}\r\nContent-Length: 0\r\n\r\n".encode()
    ((outcome, _),) = crawled([busy], tmp_path)
    assert outcome == "status_503"


@pytest.mark.parametrize("name", RESPONSES)
def test_no_robots_txt_ends_a_crawl(tmp_path, name):
    ((outcome, _),) = crawled([OK + WHOLE], tmp_path, RESPONSES[name][0])
    assert outcome in ("fetched", "robots_unreachable")
