"""The page is one file that needs nothing else, holds everything that the study found, and is well-formed."""

import re
from html.parser import HTMLParser

import pytest
from scalelaws.figures.draw import kinds
from scalelaws.figures.words import estimate_value, with_interval

from . import MISSING

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Structure(HTMLParser):
    """Elements in order, and every tag that is closed out of turn."""

    def __init__(self):
        super().__init__()
        self.elements, self.open, self.faults, self.words = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def structure(page):
    parser = Structure()
    parser.feed(page)
    return parser


@pytest.fixture(scope="module")
def text(structure):
    return " ".join(" ".join(structure.words).split())


def test_the_page_is_well_formed(structure):
    assert not structure.faults
    assert not structure.open
    ids = [attrs["id"] for _, attrs in structure.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert [tag for tag, _ in structure.elements].count("h1") == 1
    assert structure.all("html")[0]["lang"] == "en"


def test_nothing_is_loaded_from_elsewhere(page, structure):
    sources = [attrs.get("src") or attrs.get("href") for _, attrs in structure.elements]
    for source in filter(None, sources):
        assert re.match(r"data:|#|figures/[a-z_]+\.(png|pdf|csv)$", source), source[:80]
    style = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert not any("src" in attrs for attrs in structure.all("script"))


def test_links_within_the_page_lead_somewhere(structure):
    ids = {attrs.get("id") for _, attrs in structure.elements}
    inner = [attrs["href"][1:] for attrs in structure.all("a") if attrs["href"].startswith("#")]
    assert len(inner) >= 7
    assert set(inner) <= ids


def test_it_is_small(page):
    assert len(page.encode()) < 5_000_000


def test_every_figure_is_shown_with_its_words_or_named_with_the_reason(page, structure):
    pictures = {attrs["alt"] for attrs in structure.all("img") if attrs["src"].startswith("data:image/png")}
    for kind in kinds():
        assert f'id="figure-{kind.name}"' in page
        if kind.name != MISSING:
            assert f"{kind.title}. {kind.caption}" in pictures
    assert "trained on the same subset D with two seeds" in page


def test_every_picture_has_words_in_its_place(structure):
    assert all(attrs.get("alt", "").strip() for attrs in structure.all("img"))


def test_every_law_stands_with_all_its_numbers(page, text, laws):
    for name, law in laws.laws.items():
        assert f'id="law-{name}"' in page
        for estimate in law.parameters.values():
            assert with_interval(estimate.value, estimate.low, estimate.high) in text
        for message in law.messages:
            assert message in text
    for allocation in laws.allocations.values():
        assert allocation.title in text
        assert allocation.source in text


def test_exponents_stand_without_and_with_embeddings(text, laws):
    assert laws.accounts
    assert "embeddings counted in both" in text
    for found in laws.accounts.values():
        for estimate in found.estimates.values():
            assert estimate_value(estimate) in text


def test_corpora_stand_with_counts_sources_and_what_was_removed(text):
    assert "documentation trained on 6 2,400 400 600 3 300 4.00" in text
    assert "readmes out of distribution 3 1,200 200 300 3 300 4.00" in text
    assert "Language and quality rules 4 3 75.0% too short 1" in text.replace("\xa0", " ")
    assert "Crawl: ok 4, not found 1." in text


def test_text_from_corpora_is_shown_and_never_obeyed(page, text):
    assert "<b>Buy</b>" not in page
    assert "<b>Buy</b> now & save" in text
    assert "<i>was</i>" not in page
    assert "A page that <i>was</i> kept." in text


def test_the_plan_stands_against_what_it_cost(text):
    assert "Runs 36 35" in text
    assert re.search(r"never-run .{5,60} not run", text)
    assert "train 2 1 min 01 s 58.0 s 812 MB" in text
    assert "gather 1 2.5 s 2.0 s 90 MB" in text


def test_configuration_provenance_and_files_are_there(page, text):
    assert "learning_rate: 0.004" in page
    for value in ("fedcba9876543210", "0123456789abcdef", "observations.csv"):
        assert value in text
    assert "runs/ 40 B 20 files" in text
    assert "benchmarks/" not in text


def test_every_table_has_headings_and_can_be_scrolled_by_keyboard(structure):
    headings = structure.all("th")
    assert headings
    assert all(attrs.get("scope") in ("col", "row") for attrs in headings)
    regions = [attrs for attrs in structure.all("div") if attrs.get("class") == "scroll"]
    assert len(regions) == len(structure.all("table"))
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in regions)
