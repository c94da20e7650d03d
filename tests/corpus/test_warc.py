import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus.files import read_files
from scalelaws.corpus.warc import MOST_BYTES, Response, info_record, read_warc, response_record
from scalelaws.errors import InputError
from warcio.archiveiterator import ArchiveIterator

DATE = "2026-11-20T00:00:00Z"


def record(url="http://a.example/", body=b"<p>hi</p>", headers=(("Content-Type", "text/html"),)):
    return response_record(Response(url, 200, list(headers), body, DATE))


DAMAGED = record(body=b"<p>hello</p>" * 9) + record("http://b.example/")


@given(st.binary(max_size=2000))
@settings(deadline=None, max_examples=60)
def test_any_body_comes_back(body):
    (page,) = read_warc(io.BytesIO(record(body=body)), "x.warc.gz")
    assert (page.url, page.content_type, page.body) == ("http://a.example/", "text/html", body)


def test_other_tools_read_the_records_and_find_the_digests_right():
    data = info_record({"software": "scalelaws"}, DATE) + record() + record("http://b.example/")
    read = [(r.rec_type, r.rec_headers["WARC-Target-URI"], r.content_stream().read())
            for r in ArchiveIterator(io.BytesIO(data), check_digests="raise")]  # fmt: skip
    assert [entry[:2] for entry in read[1:]] == [("response", "http://a.example/"), ("response", "http://b.example/")]
    assert read[0][0] == "warcinfo" and read[1][2] == b"<p>hi</p>"


def test_equal_responses_give_equal_bytes():
    assert record() == record() != record(body=b"else")


def test_headers_that_no_longer_hold_are_kept_under_another_name():
    headers = [("Content-Type", "text/html"), ("Content-Encoding", "gzip"), ("Content-Length", "999")]
    (found,) = ArchiveIterator(io.BytesIO(record(headers=headers)))
    assert found.http_headers["X-Crawl-Content-Encoding"] == "gzip"
    assert found.http_headers["Content-Length"] == "9" and found.http_headers["Content-Encoding"] is None


def test_only_successful_responses_are_pages():
    lost = response_record(Response("http://a/", 404, [("Content-Type", "text/html")], b"none", DATE))
    assert [page.url for page in read_warc(io.BytesIO(lost + record()), "x")] == ["http://a.example/"]


@pytest.mark.parametrize("damage", [lambda data: b"no warc at all", lambda data: data[:-40]])
def test_a_damaged_file_is_named(damage):
    with pytest.raises(InputError, match=r"pages\.warc\.gz: not readable as WARC"):
        list(read_warc(io.BytesIO(damage(record(body=bytes(range(256)) * 40))), "pages.warc.gz"))


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.97])
def test_wherever_a_packed_file_is_cut_short_it_is_named(tmp_path, kept):
    whole = record() + record("http://b.example/")
    (tmp_path / "x.warc.gz").write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError, match=r"x\.warc\.gz: not readable .*ended before"):
        list(read_files([tmp_path / "x.warc.gz"], {}))


def test_a_real_capture_of_common_crawl_is_read_as_page_and_as_text(shared_data):
    folder = shared_data / "crawl" / "warc"
    for ending in ("", ".gz"):
        (page,) = read_files([folder / f"whirlwind.warc{ending}"], {})
        assert page.url == "https://an.wikipedia.org/wiki/Escopete" and b"Biquipedia" in page.html
        text_file = folder / f"whirlwind.warc.wet{ending}"
        (text,) = read_files([text_file], {})
        assert text.url == page.url and text.text.startswith("Escopete - Biquipedia")
        assert len(text.text.encode()) == 4456


@given(st.binary(max_size=400) | st.integers(0, 3000).flatmap(lambda cut: st.just(DAMAGED[:cut] + DAMAGED[cut + 3 :])))
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_an_archive_or_a_named_damage(data):
    try:
        assert all(page.url is not None for page in read_warc(io.BytesIO(data), "x"))
    except InputError as error:
        assert str(error).startswith("x: not readable as WARC")


def test_a_bomb_is_told_and_not_inflated(tmp_path):
    body = gzip.compress(b"\0" * (2 * MOST_BYTES))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n"
    names = "WARC/1.0", "WARC-Type: response", "WARC-Target-URI: http://a.example/"
    names += "Content-Type: application/http; msgtype=response", "Content-Length: %d", "", ""
    first = "\r\n".join(names).encode()
    block = head + body
    after = gzip.decompress(record(body=b"<p>the next one</p>"))
    (tmp_path / "a.warc").write_bytes(first % len(block) + block + b"\r\n\r\n" + after)
    bomb, following = read_files([tmp_path / "a.warc"], {})
    assert (bomb.url, bomb.html, bomb.refused) == ("http://a.example/", None, "too_large")
    assert following.html == b"<p>the next one</p>" and not following.refused
