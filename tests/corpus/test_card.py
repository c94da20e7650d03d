import pytest
from scalelaws.corpus.card import describe, write_card
from scalelaws.corpus.clean import clean
from scalelaws.corpus.dedup import deduplicate
from scalelaws.corpus.extract import extract
from scalelaws.corpus.split import split
from scalelaws.errors import InputError
from scalelaws.io import read_json, write_json
from scalelaws.workers import silent

from . import test_clean, test_dedup, test_split
from .conftest import PINS, prose


def test_the_card_has_the_papers_table_and_what_each_step_removed(tmp_path):
    for n in range(40):
        (tmp_path / f"{n:02}.txt").write_text(prose(n) if n else "too short")
    (tmp_path / "copy.txt").write_text(prose(1))
    source = {"kind": "files", "paths": [f"{tmp_path}/*.txt"]} | {f"{f}_field": f for f in ("text", "html", "url")}
    steps = [tmp_path / "c" / f"{name}.json" for name in ("extracted", "cleaned", "unique", "documents")]
    folders = [step.with_suffix("") for step in steps]
    extract([source], None, PINS, folders[0], steps[0], 1, "r", 1, silent)
    clean(folders[0], folders[1], steps[1], test_clean.SETTINGS, 1, "r", 1, silent)
    signatures = tmp_path / "c" / "signatures"
    deduplicate(folders[1], None, folders[2], signatures, steps[2], test_dedup.SETTINGS, 1, "r", 1, silent)
    split(folders[2], None, folders[3], steps[3], test_split.SETTINGS, 1, "r", 1, silent)
    tokens = {}
    for name in ("train", "test"):
        tokens[name] = tmp_path / f"c.{name}.json"
        write_json(tokens[name], {"tokens": 1000, "documents": 1, "bytes": 1})
    scraped = {"outcomes": {"0": {"fetched": 41, "not_a_page": 1_002}}, "submissions": {"0": {"kept": 9, "over_18": 1}}}
    scraped |= {"files": {"0.jsonl": "a digest"}}
    write_json(tmp_path / "pages.json", scraped)
    write_card("mine", "train", [source], tmp_path, steps, tokens, tmp_path / "card.json", tmp_path / "card.md", "r")

    card = read_json(tmp_path / "card.json")
    train, test = card["splits"]["train"], card["splits"]["test"]
    assert train["documents"] + test["documents"] == 39 and train["words"] == 120 * train["documents"]
    assert train["tokens"] == 1000 and train["bytes_per_token"] == train["bytes"] / 1000
    removed = {step["step"]: set(step["removed"]) for step in card["steps"]}
    assert removed["clean"] == {"too_few_words"} and removed["deduplicate"] == {"exact_duplicate"}
    entered = [step["in"]["documents"] for step in card["steps"]]
    left = [step["out"]["documents"] for step in card["steps"]]
    assert entered == [41, *left[:-1]]

    page = (tmp_path / "card.md").read_text()
    assert f"| train | {train['documents']} |" in page
    assert "too few words" in page and "<00.txt> (2 against gopher.min_words 50): too short" in page
    assert "of the held-out documents" in page
    assert "Crawl of source 1: fetched 41, not a page 1,002." in page
    assert "Submissions of source 1: kept 9, over 18 1." in page

    write_json(tmp_path / "pages.json", scraped | {"files": {"0.000.warc.gz": "another"}})
    places = tmp_path / "card.json", tmp_path / "card.md"
    with pytest.raises(InputError, match="extract did not read the pages that scrape wrote"):
        write_card("mine", "train", [source], tmp_path, steps, tokens, *places, "r")

    report = read_json(steps[2])
    write_json(steps[2], report | {"in": report["in"] | {"digest": "another"}})
    with pytest.raises(InputError, match="deduplicate did not read the documents that clean wrote"):
        write_card("mine", "train", [source], None, steps, tokens, *places, "r")


def test_each_kind_of_source_is_told_in_a_line():
    sitemap = {"kind": "sitemap", "sites": ["https://a.example", "https://b.example"], "max_pages": 1000}
    assert describe(sitemap) == "at most 1,000 pages that the sitemaps of https://a.example, https://b.example list"
    archives = {"kind": "common-crawl", "lists": ["wet.paths.gz"], "languages": ["eng"]}
    assert describe(archives) == "pages in eng of the archives that wet.paths.gz name"
    docs = {"kind": "installed-docs", "content": "docstrings", "packages": [], "exclude": ["sympy"]}
    assert describe(docs) == "docstrings of all pinned packages except sympy, as installed"
    assert describe(docs | {"packages": ["a", "b"], "exclude": []}) == "docstrings of a, b, as installed"
    assert (
        describe({"kind": "urls", "path": "l.csv", "min_score": 3})
        == "pages of the URLs in l.csv with a score of at least 3"
    )
    assert describe({"kind": "files", "paths": ["a", "b"]}) == "files a, b"
    dataset = {"kind": "dataset", "path": "p", "name": "n", "split": "train", "field": "text"}
    assert describe(dataset) == "dataset p/n, split train, field text"
    halves = {"source_field": "question", "target_field": "answer"}
    del dataset["field"]
    assert describe(dataset | halves) == "dataset p/n, split train, pairs of question and answer"
    assert describe({"kind": "files", "paths": ["a", "b"]} | halves) == "pairs of question and answer in files a, b"
