import asyncio
import gzip
import json
from dataclasses import asdict

import pytest
from scalelaws.corpus.embedded import code, licences, messages, translations
from scalelaws.corpus.fetch import Limits
from scalelaws.corpus.parts import Part
from scalelaws.corpus.pinned import pinned_packages
from scalelaws.corpus.readmes import readme_page
from scalelaws.corpus.settings import any_crawled, input_files
from scalelaws.corpus.sources import listed_urls, read_source, scrape
from scalelaws.errors import InputError
from scalelaws.io import file_digest, read_json
from scalelaws.workers import silent

from .conftest import PINS, QUICK
from .servers import server


def installed(content, *packages):
    return {"kind": "installed-docs", "content": content, "packages": list(packages), "exclude": []}


def wanted(path, min_score):
    return list(listed_urls(path, min_score, path.with_name("unwanted.jsonl")))


def test_a_list_of_urls_is_canonical(tmp_path):
    (tmp_path / "l.txt").write_text("http://b.example\nHTTP://A.example/x#y\nnonsense\n\n")
    assert wanted(tmp_path / "l.txt", None) == ["http://b.example/", "http://a.example/x"]


def test_scores_choose_from_a_list(tmp_path):
    with gzip.open(tmp_path / "l.csv.gz", "wt") as file:
        file.write("score,url\n2,http://a.example/\n3,http://b.example/\n10,http://c.example/\n")
    assert wanted(tmp_path / "l.csv.gz", 3) == ["http://b.example/", "http://c.example/"]
    (line,) = map(json.loads, (tmp_path / "unwanted.jsonl").read_text().splitlines())
    assert (line["url"], line["outcome"], line["attempts"]) == ("http://a.example/", "low_score", 0)
    assert len(wanted(tmp_path / "l.csv.gz", None)) == 3


@pytest.mark.parametrize("header", ["url,score", '"url","score"', "URL, Score", "score,'url'"])
def test_columns_are_found_however_they_are_quoted(tmp_path, header):
    row = "5,http://a.example/" if header.startswith("score") else "http://a.example/,5"
    (tmp_path / "l.csv").write_text(f"{header}\n{row}\n")
    assert wanted(tmp_path / "l.csv", 3) == ["http://a.example/"]


def test_columns_that_no_comma_separates_are_named(tmp_path):
    (tmp_path / "l.csv").write_text("url;score\nhttp://a.example/;5\n")
    with pytest.raises(InputError, match=r"row 1: its columns are not separated by commas"):
        wanted(tmp_path / "l.csv", None)


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "l.csv").write_text("\ufeffurl,score\nhttp://a.example/,5\n", encoding="utf-8")
    assert wanted(tmp_path / "l.csv", 3) == ["http://a.example/"]


def test_mistakes_in_a_list_are_named(tmp_path):
    (tmp_path / "l.csv").write_text('url,score\nhttp://a.example/,5\n"http://b.example/,5\nhttp://c.example/,5\n')
    with pytest.raises(InputError, match=r"l.csv: after row 1: not CSV .* Close the quotes"):
        wanted(tmp_path / "l.csv", 3)
    (tmp_path / "l.csv").write_text("url,score\nhttp://a.example/,nan\n")
    with pytest.raises(InputError, match=r"row 1: its score is 'nan', not a number"):
        wanted(tmp_path / "l.csv", 3)
    (tmp_path / "l.txt").write_text("http://a.example/\n")
    with pytest.raises(InputError, match=r"row 1: its score is None, not a number. .* columns url and score"):
        wanted(tmp_path / "l.txt", 3)
    (tmp_path / "l.txt").write_text("# nothing\n")
    with pytest.raises(InputError, match="holds no http or https URL"):
        wanted(tmp_path / "l.txt", None)
    whole = gzip.compress(b"".join(b"https://a.example/%d\n" % number for number in range(1000)))
    (tmp_path / "l.txt.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"l.txt.gz: not readable .* It may be cut short"):
        wanted(tmp_path / "l.txt.gz", None)


def test_installed_docstrings_are_scraped_to_the_same_bits_each_time(tmp_path):
    sources = [installed("docstrings", "click")]
    digests = set()
    for attempt in range(2):
        pages = tmp_path / str(attempt) / "pages"
        scrape(sources, PINS, pages, tmp_path / "state", "recipe", 2, silent)
        digests.add(file_digest(pages))
    assert len(digests) == 1 and not (tmp_path / "state").exists()
    raws = list(read_source(sources[0], 0, pages, PINS, 1))
    assert [raw.url for raw in raws] == sorted(raw.url for raw in raws)
    core = next(raw.html.decode() for raw in raws if raw.url == "http://installed-docs.localhost/click/click.core.html")
    assert "<nav" in core and "<footer" in core and 'href="/click/click.' in core and "class Context" in core
    assert read_json(pages / "pages.json")["outcomes"] == {"0": {"fetched": len(raws)}}


def test_descriptions_become_pages_from_markdown_and_from_restructured_text():
    packages = {package.name: package for package in pinned_packages(PINS, ["rich", "docutils", "python"])}
    assert "<pre>" in readme_page(packages["rich"])
    assert "<h1" in readme_page(packages["docutils"])
    assert readme_page(packages["python"]) is None


def test_code_licences_and_messages_are_texts():
    packages = pinned_packages(PINS, ["sphinx"])
    assert any(raw.url.endswith("sphinx/application.py") and "class Sphinx" in raw.text for raw in code(packages))
    found = list(licences(packages))
    assert found and all("sphinx-" in raw.url for raw in found)
    german = next(raw for raw in messages(packages) if raw.title == "sphinx de")
    assert "Inhaltsverzeichnis" in german.text and "Table of Contents" not in german.text
    assert not [raw for raw in messages(packages) if raw.title.startswith("sphinx en")]
    pairs = {raw.text: raw.target for raw in translations(packages)}
    assert pairs["de Table of Contents"] == "Inhaltsverzeichnis"
    assert not any(source.startswith("en") for source in pairs)


def test_a_local_dataset_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"body": ["one", "two"]}).save_to_disk(tmp_path / "d")
    source = {
        "kind": "dataset",
        "path": str(tmp_path / "d"),
        "name": None,
        "split": "train",
        "field": "body",
        "max_bytes": None,
    }
    assert [raw.text for raw in read_source(source, 0, None, PINS, 1)] == ["one", "two"]
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / "rows.jsonl").write_text('{"body": "three"}\n')
    assert [raw.text for raw in read_source(source | {"path": str(tmp_path / "j")}, 0, None, PINS, 1)] == ["three"]


@pytest.mark.parametrize(("files", "parts"), [(1, 3), (5, 3), (3, 3), (0, 2)])
def test_the_rows_of_a_dataset_are_dealt_out_to_the_parts_each_to_one(tmp_path, files, parts):
    """Streamed from one file, from more files than parts or as many; and one that `datasets` has saved."""
    rows = [{"text": f"row {n}"} for n in range(20)]
    if files:
        for file in range(files):
            lines = "".join(json.dumps(row) + "\n" for row in rows[file::files])
            (tmp_path / f"{file}.jsonl").write_text(lines)
    else:
        pytest.importorskip("datasets").Dataset.from_list(rows).save_to_disk(tmp_path)
    source = {"kind": "dataset", "path": str(tmp_path), "name": None, "split": "train", "field": "text"}
    source |= {"max_bytes": None}
    whole = list(read_source(source, 0, None, PINS, 1))
    dealt = [list(read_source(source, 0, None, PINS, 1, part=Part(part, parts))) for part in range(parts)]
    assert all(dealt) and len(whole) == 20
    assert sorted((raw.url, raw.text) for part in dealt for raw in part) == sorted((raw.url, raw.text) for raw in whole)


def test_a_dataset_that_breaks_off_is_one_line(tmp_path):
    (tmp_path / "0.jsonl").write_text('{"text": "one"}\n' * 3 + '{"text": half a row')
    source = {"kind": "dataset", "path": str(tmp_path), "name": None, "split": "train", "field": "text"}
    with pytest.raises(InputError, match=rf"dataset {tmp_path}: "):
        list(read_source(source | {"max_bytes": None}, 0, None, PINS, 1))


def test_of_a_large_dataset_only_a_seeded_part_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": [f"{n:04}" * 25 for n in range(100)]}).save_to_disk(tmp_path / "d")
    source = {"kind": "dataset", "path": str(tmp_path / "d"), "name": None, "split": "train", "field": "text"}
    first, again, other = (
        [raw.text for raw in read_source(source | {"max_bytes": 1050}, 0, None, PINS, seed)] for seed in (1, 1, 2)
    )
    assert len(first) == 10 and first == again != other and first != sorted(first)


def test_a_dataset_that_cannot_be_opened_is_one_line(tmp_path):
    source = {
        "kind": "dataset",
        "path": str(tmp_path),
        "name": None,
        "split": "train",
        "field": "text",
        "max_bytes": None,
    }
    with pytest.raises(InputError, match="datasets cannot open it") as caught:
        list(read_source(source, 0, None, PINS, 1))
    assert "\n" not in str(caught.value)


def test_the_workflow_learns_what_is_crawled_and_which_files_are_read(tmp_path):
    (tmp_path / "u.txt").write_text("http://a.example/")
    urls, files = {"kind": "urls", "path": f"{tmp_path}/u.txt"}, {"kind": "files", "paths": [f"{tmp_path}/*.txt"]}
    assert any_crawled([files, urls]) and any_crawled([installed("readmes")])
    assert not any_crawled([files, installed("code")])
    assert input_files([urls, files], "config") == [f"{tmp_path}/u.txt"]
    with pytest.raises(InputError, match=r"config: nowhere\.txt: no such file"):
        input_files([{"kind": "urls", "path": "nowhere.txt"}], "config")


def test_a_crawl_that_fetched_nothing_fails_with_the_outcomes(tmp_path):
    (tmp_path / "u.txt").write_text("http://127.0.0.1:9/\n")
    crawl = {field: 1 for field in Limits.__dataclass_fields__ if field != "allow_private"} | {"user_agent": "t"}
    source = {"kind": "urls", "path": f"{tmp_path}/u.txt", "min_score": None, "allow_private": False, "crawl": crawl}
    with pytest.raises(InputError, match=r"source 0 \(urls\): fetched 0 of 1 pages \(private_address 1\)"):
        scrape([source], PINS, tmp_path / "pages", tmp_path / "state", "recipe", 1, silent)
    assert not (tmp_path / "pages").exists()


def test_every_line_of_a_list_gets_its_outcome_and_every_file_its_digest(tmp_path):
    async def run():
        async with server({"/good": "<p>read me</p>"}) as (address, _):
            (tmp_path / "l.csv").write_text(f"url,score\n{address}/good,5\n{address}/poor,1\nmailto:me,5\n,5\n")
            arguments = ([source], PINS, tmp_path / "pages", tmp_path / "state", "recipe", 1, silent)
            await asyncio.to_thread(scrape, *arguments)
            return address

    crawl = {name: value for name, value in asdict(QUICK).items() if name != "allow_private"}
    source = {"kind": "urls", "path": f"{tmp_path}/l.csv", "min_score": 3, "crawl": crawl, "allow_private": True}
    address = asyncio.run(run())
    lines = map(json.loads, (tmp_path / "pages" / "0.jsonl").read_text().splitlines())
    outcomes = {f"{address}/good": "fetched", f"{address}/poor": "low_score", "mailto:me": "not_a_url"}
    assert {line["url"]: line["outcome"] for line in lines} == outcomes
    facts = read_json(tmp_path / "pages" / "pages.json")
    assert facts["outcomes"] == {"0": {"fetched": 1, "low_score": 1, "not_a_url": 1}}
    assert facts["files"] == {
        name: file_digest(tmp_path / "pages" / name)[:16] for name in ("0.000.warc.gz", "0.jsonl")
    }


def test_pages_that_were_fetched_stay_when_another_list_is_mended_or_the_crawl_is_made_more_patient(tmp_path):
    lists = [tmp_path / "good.txt", tmp_path / "bad.txt"]
    crawl = {name: value for name, value in asdict(QUICK).items() if name != "allow_private"}

    def sources(**changes):
        common = {"kind": "urls", "min_score": None, "crawl": crawl | changes, "allow_private": True}
        return [{"path": str(path)} | common for path in lists]

    async def run():
        async with server({"/a": "<p>one</p>", "/b": "<p>two</p>"}) as (address, hits):
            lists[0].write_text(f"{address}/a\n")
            lists[1].write_text(f"{address}/none\n")
            rest = (PINS, tmp_path / "pages", tmp_path / "state")
            with pytest.raises(InputError, match=r"source 1 \(urls\): fetched 0 of 1"):
                await asyncio.to_thread(scrape, sources(), *rest, "one recipe", 1, silent)
            lists[1].write_text(f"{address}/b\n")
            await asyncio.to_thread(scrape, sources(connections=3, delay=0.01), *rest, "another", 1, silent)
            return hits

    hits = asyncio.run(run())
    assert hits["/a"] == hits["/b"] == 1
    assert {file.name for file in (tmp_path / "pages").glob("*.warc.gz")} == {"0.000.warc.gz", "1.000.warc.gz"}


def test_pages_linked_from_reddit_are_crawled_and_their_karma_kept(tmp_path):
    async def run():
        async with server({"/good": "<p>read me</p>", "/poor": "<p>not me</p>"}) as (address, hits):
            rows = [{"url": f"{address}/{name}", "score": score, "subreddit": "science", "created_utc": 0}
                    for name, score in (("good", 5), ("good", 4), ("poor", 1))]  # fmt: skip
            (tmp_path / "RS_1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            arguments = ([source], PINS, tmp_path / "pages", tmp_path / "state", "recipe", 1, silent)
            await asyncio.to_thread(scrape, *arguments)
            return address, hits

    crawl = {name: value for name, value in asdict(QUICK).items() if name != "allow_private"}
    source = {"kind": "reddit", "paths": [f"{tmp_path}/RS_*"], "min_karma": 3, "blocked_hosts": [], "crawl": crawl}
    source |= {"allow_private": True}
    address, hits = asyncio.run(run())
    assert [raw.html for raw in read_source(source, 0, tmp_path / "pages", PINS, 1)] == [b"<p>read me</p>"]
    assert hits == {"/robots.txt": 1, "/good": 1}
    (link,) = map(json.loads, (tmp_path / "pages" / "0.links.jsonl").read_text().splitlines())
    assert (link["url"], link["score"], link["date"]) == (f"{address}/good", 5, "1970-01-01T00:00:00Z")
    counts = read_json(tmp_path / "pages" / "pages.json")["submissions"]
    assert counts == {"0": {"duplicate": 1, "kept": 1, "low_karma": 1}}
