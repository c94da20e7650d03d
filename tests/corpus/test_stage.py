"""The whole stage on the pages of one installed package: scrape, extract, clean, deduplicate, split."""

import pytest
from scalelaws.corpus.clean import clean
from scalelaws.corpus.dedup import deduplicate
from scalelaws.corpus.documents import count_documents
from scalelaws.corpus.extract import extract
from scalelaws.corpus.sources import scrape
from scalelaws.corpus.split import split
from scalelaws.io import file_digest
from scalelaws.workers import silent

from . import test_clean, test_dedup, test_split
from .conftest import PINS, texts_of

SOURCES = [
    {"kind": "installed-docs", "content": "docstrings", "packages": ["click", "jinja2", "rich"], "exclude": []},
    {"kind": "installed-docs", "content": "readmes", "packages": ["click", "jinja2", "rich"], "exclude": []},
]
SETTINGS = test_clean.SETTINGS | {"quality": {"gopher": {"min_words": 30}}}


def whole_stage(folder, processes):
    pages, extracted, cleaned, unique, documents = (
        folder / name for name in ("pages", "extracted", "cleaned", "unique", "documents")
    )
    scrape(SOURCES, PINS, pages, folder / "state", "r", processes, silent)
    extract(SOURCES, pages, PINS, extracted, folder / "extracted.json", 1, "r", processes, silent)
    clean(extracted, cleaned, folder / "cleaned.json", SETTINGS, 1, "r", processes, silent)
    signatures, report = folder / "signatures", folder / "unique.json"
    deduplicate(cleaned, None, unique, signatures, report, test_dedup.SETTINGS, 1, "r", processes, silent)
    split(unique, None, documents, folder / "documents.json", test_split.SETTINGS, 1, "r", processes, silent)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first") / "corpus"
    folder.mkdir()
    whole_stage(folder, 2)
    return folder


def test_made_again_with_other_processes_each_file_is_the_same_bit_for_bit(first, tmp_path):
    (tmp_path / "corpus").mkdir()
    whole_stage(tmp_path / "corpus", 1)
    assert file_digest(tmp_path / "corpus") == file_digest(first)


def test_documents_read_as_english_documentation_without_the_pages_furniture(first):
    texts = texts_of(first / "documents" / "train") + texts_of(first / "documents" / "test")
    assert len(texts) > 40 and count_documents(first / "documents" / "test") > 2
    together = "\n".join(texts)
    assert "Render the template" in together or "template" in together
    for furniture in ("Installed documentation", "Page source", "Previous: ", "Copyright by its authors"):
        assert furniture not in together
    readable = sum(text.count(" the ") > 0 for text in texts)
    assert readable > 0.9 * len(texts)


def test_nothing_but_the_results_is_left_behind(first):
    names = {path.name for path in first.iterdir()}
    steps = {"extracted", "cleaned", "unique", "documents"}
    assert names == {"pages", "signatures"} | steps | {f"{step}.json" for step in steps}
