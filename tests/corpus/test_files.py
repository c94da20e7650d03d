import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from scalelaws.corpus import files as module
from scalelaws.corpus.files import read_files
from scalelaws.corpus.settings import expanded
from scalelaws.corpus.warc import Response, response_record
from scalelaws.errors import InputError

FIELDS = {"text": "text", "html": "html", "url": "url"}
LINES = b'{"text": "one", "url": "http://a/1", "title": "T"}\n\n{"html": "<p>two</p>"}\n'
RECORD = response_record(
    Response("http://a/1", 200, [("Content-Type", "text/html")], b"<p>w</p>", "2026-01-01T00:00:00Z")
)


def packed(data: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.compress(data)
    if suffix == ".zst":
        window = zstandard.ZstdCompressionParameters.from_level(3, window_log=28, enable_ldm=True)
        half = len(data) // 2
        pack = zstandard.ZstdCompressor(compression_params=window).compress
        return pack(data[:half]) + pack(data[half:])  # two frames, as concatenated archives have
    return data


@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", b"plain text", [(None, "plain text", "a.txt")]),
        ("a.html", b"<p>page</p>", [(b"<p>page</p>", None, "a.html")]),
        ("a.jsonl", LINES, [(None, "one", "http://a/1"), ("<p>two</p>", None, "a.jsonl")]),
        ("a.warc", gzip.decompress(RECORD), [(b"<p>w</p>", None, "http://a/1")]),
    ],
)
def test_each_format_is_read_plain_and_compressed(tmp_path, name, data, expected, compression):
    path = tmp_path / (name + compression)
    path.write_bytes(packed(data, compression))
    seen = []
    found = [(raw.html, raw.text, raw.url) for raw in read_files([path], FIELDS, seen.append)]
    assert [entry[:2] for entry in found] == [entry[:2] for entry in expected]
    assert sum(seen) == path.stat().st_size, "progress ends at all of the file, as it lies on the disk"
    assert all(got[2].startswith(wanted[2]) for got, wanted in zip(found, expected, strict=True))


def test_parquet_is_read_with_its_fields(tmp_path):
    pq.write_table(pa.table({"body": ["one", "two"], "link": ["http://a/1", None]}), tmp_path / "a.parquet")
    seen = []
    many = pa.table({"text": [f"text {number}" for number in range(1000)]})
    pq.write_table(many, tmp_path / "many.parquet")
    assert len(list(read_files([tmp_path / "many.parquet"], FIELDS, seen.append))) == 1000
    assert len(seen) > 9 and sum(seen) == (tmp_path / "many.parquet").stat().st_size
    raws = list(read_files([tmp_path / "a.parquet"], {"text": "body", "html": "html", "url": "link"}))
    assert [(raw.text, raw.url, raw.url_is_identity) for raw in raws] == [
        ("one", "http://a/1", True),
        ("two", "a.parquet#2", False),
    ]


def test_a_record_with_neither_text_nor_html_is_named_with_what_it_has(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n{"content": "x"}\n')
    with pytest.raises(InputError, match=r"a.jsonl#2: has no text in 'text' and no HTML in 'html' \(it has content\)"):
        list(read_files([tmp_path / "a.jsonl"], FIELDS))


def test_a_record_whose_text_is_null_is_an_empty_text_and_no_end_of_the_corpus(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": null, "url": "http://a/1"}\n{"text": "fine"}\n')
    assert [raw.text for raw in read_files([tmp_path / "a.jsonl"], FIELDS)] == ["", "fine"]


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 20)
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n{"text": "longer than that"}\n')
    with pytest.raises(InputError, match=r"a.jsonl: line 2: is longer than"):
        list(read_files([tmp_path / "a.jsonl"], FIELDS))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b'{"text": "x"}\nnot json\n', "a.jsonl: line 2: not JSON"),
        ("a.jsonl", b'{"text": ' + b"[" * 200_000 + b"\n", "a.jsonl: line 1: not JSON"),
        ("a.jsonl", b"[1]\n", "line 1: not a JSON object"),
        ("a.docx", b"x", "its format '.docx' is not known. Known are .txt"),
        ("a.txt.gz", gzip.compress(b"x" * 9999, mtime=0)[:-20], "a.txt.gz: not readable"),
        ("a.txt.zst", b"not zst at all", "a.txt.zst: not readable"),
        ("a.parquet", b"PAR1 no", "a.parquet: not readable"),
        ("a.parquet.gz", b"", "Unpack it: parquet is compressed inside"),
        ("a.warc", b"garbage", "a.warc: not readable as WARC"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_file_and_a_remedy(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        list(read_files([tmp_path / name], FIELDS))
    assert "\n" not in str(caught.value)


def test_patterns_name_files_once_and_sorted(tmp_path):
    for name in ("b/2.txt", "b/1.txt", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = expanded([f"{tmp_path}/**/*.txt", f"{tmp_path}/b/1.txt"], "here")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["b/1.txt", "b/2.txt", "c.txt"]
    with pytest.raises(InputError, match=r"here: .*none.*: no such file"):
        expanded([f"{tmp_path}/none*"], "here")


@pytest.mark.parametrize("kind", ["books_en", "non_english", "web_open_html"])
def test_real_archives_with_long_windows_are_read(shared_data, kind):
    (path,) = expanded([str(shared_data / "corpora" / kind / f"{kind}-000.jsonl.zst")], "here")
    first = next(iter(read_files([path], FIELDS)))
    assert len(first.text or first.html) > 100


def test_a_real_common_crawl_capture_is_read(shared_data):
    paths = sorted((shared_data / "crawl").rglob("*.warc.gz"))
    pages = list(read_files(paths[:1], FIELDS))
    assert pages and all(raw.url.startswith("http") for raw in pages)


def test_rows_of_json_lines_are_streamed(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": str(n)}) + "\n" for n in range(1000)) + "broken")
    rows = read_files([path], FIELDS)
    assert [next(rows).text for _ in range(5)] == ["0", "1", "2", "3", "4"]
