import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus import extract as module
from scalelaws.corpus.documents import Document, read_documents
from scalelaws.corpus.extract import extract, extracted
from scalelaws.corpus.raw import Raw
from scalelaws.corpus.site import Page, build_site
from scalelaws.errors import InputError
from scalelaws.io import read_json
from scalelaws.workers import silent

from .conftest import PINS, prose

FIELDS = {"text_field": "text", "html_field": "html", "url_field": "url"}


def files(*paths: Path):
    return {"kind": "files", "paths": [str(path) for path in paths], **FIELDS}


def test_the_text_of_a_page_is_taken_and_its_furniture_left(tmp_path):
    paragraph = prose(1).replace("\n", " ")
    article = f"<h1>pkg.mod</h1><p>{paragraph}</p><h2>f(x)</h2><p>What f does.</p><pre>&gt;&gt;&gt; f(1)\n   2</pre>"
    pages = [Page("pkg", "1.0", name, article) for name in ("pkg.a", "pkg.mod", "pkg.z")]
    build_site(pages, tmp_path)
    raw = Raw("http://x/pkg.mod.html", "urls", html=(tmp_path / "pkg/pkg.mod.html").read_bytes())
    document = extracted(raw)
    assert isinstance(document, Document)
    for wanted in ("pkg.mod", paragraph, "f(x)", "What f does.", ">>> f(1)\n   2"):
        assert wanted in document.text
    for furniture in ("Modules", "pkg.a", "pkg.z", "Search", "Copyright", "Previous", "Installed documentation"):
        assert furniture not in document.text
    assert document.title.startswith("pkg.mod")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (Raw("u", "s", html="<p>Grüße</p>".encode("latin-1"), content_type="text/html; charset=latin-1"), "Grüße"),
        (Raw("u", "s", html="<p>Grüße</p>".encode(), content_type='text/html; charset="utf-8"'), "Grüße"),
        (
            Raw("u", "s", html="<meta charset=utf-8><p>Grüße</p>".encode(), content_type="text/html; charset=ascii"),
            "Grüße",
        ),
        (
            Raw("u", "s", html="<meta charset=utf-8><p>Grüße</p>".encode(), content_type="text/html; charset=x-no"),
            "Grüße",
        ),
        (Raw("u", "s", html="<p>Grüße</p>".encode(), content_type="text/html; charset=ISO-8859-1"), "Grüße"),
        (
            Raw("u", "s", html="<p>It’s “so”</p>".encode("cp1252"), content_type="text/html; charset=iso-8859-1"),
            "It’s “so”",
        ),
        (Raw("u", "s", html="<p>朱镕基</p>".encode("gbk"), content_type="text/html; charset=GB2312"), "朱镕基"),
        *(
            (Raw("u", "s", html="<p>Grüße</p>".encode(), content_type=f"text/html; charset={name}"), "Grüße")
            for name in ("windows-1250", "windows-1251", "iso-8859-2", "iso-8859-15", "koi8-r", "macintosh")
        ),
        (
            Raw("u", "s", html="<p>Привет</p>".encode("cp1251"), content_type="text/html; charset=windows-1251"),
            "Привет",
        ),
        (Raw("u", "s", html="\ufeff<p>Grüße</p>".encode(), content_type="text/html; charset=shift_jis"), "Grüße"),
        (Raw("u", "s", html="<p>Grüße</p>"), "Grüße"),
        (Raw("u", "s", html=b"<p>Gr\xfc\x81\xdfe</p>", content_type="text/html; charset=iso-8859-1"), "Grüße"),
        (Raw("u", "s", html="Grüße".encode("cp1252"), content_type="text/plain"), "Grüße"),
        (Raw("u", "s", html="Grüße".encode("utf-16"), content_type="text/plain; charset=x-no"), "Grüße"),
        (Raw("u", "s", html=b"One <vector>.\n\nTwo.", content_type="text/plain"), "One <vector>.\n\nTwo."),
        (Raw("u", "s", text="plain\r\ntext"), "plain\ntext"),
    ],
)
def test_charsets_are_read_from_the_header_if_right_and_else_from_the_page(raw, text):
    assert text in extracted(raw).text


CHARSETS = [
    "utf-8",
    "utf-16",
    "utf-7",
    "latin-1",
    "shift_jis",
    "gb18030",
    "iso-2022-jp",
    "koi8-r",
    "idna",
    "hex",
    "zip",
]
NAMES = st.one_of(
    st.sampled_from([*CHARSETS, "", "utf-8 ", "unicode_escape", "raw_unicode_escape", "\0", "a" * 99]), st.text()
)


@given(st.one_of(st.binary(max_size=400), st.text(max_size=200).map(lambda text: text.encode("utf-16"))), NAMES, NAMES)
@settings(deadline=None, max_examples=300)
def test_no_bytes_and_no_charset_break_the_extractor(body, declared, written):
    head = f'<meta charset="{written}"><p>A page with some words in it.</p>'.encode("utf-8", "replace")
    for html in (head + body, body):
        found = extracted(Raw("http://a.example/", "urls", html=html, content_type=f"text/html; charset={declared}"))
        assert isinstance(found, Document) or found in ("no_text", "broken_html")
        if isinstance(found, Document):
            found.text.encode()


TAGS = """
p div span table tr td th ul li dl dt h1 h9 article main nav pre code blockquote a img br hr b i q sub script style
noscript template svg math iframe form select option textarea title head body html meta base frameset x:y
"""
ENTITIES = ["&amp;", "&#0;", "&#x110000;", "&bogus;", "<", ">", "\ufeff", "\0"]
MARKS = ["<!--", "-->", "<![CDATA[", "]]>", "<?php", "?>", "<!DOCTYPE html>", "</", "<br/"]
WORDS = st.one_of(
    st.text(max_size=20), st.sampled_from(["Words of a sentence that is long enough. ", *ENTITIES, *MARKS])
)
NAMES_OF_TAGS = st.sampled_from(TAGS.split())
ATTRIBUTES = st.sampled_from(
    ["", " class='main'", " id=", " href='//[::1'", " src=x onerror", " style='display:none'", " ="]
)


@st.composite
def elements(draw, inside):
    """An element, whose end may be missing or another's."""
    name, end = draw(NAMES_OF_TAGS), draw(st.one_of(st.none(), NAMES_OF_TAGS))
    ends = draw(st.sampled_from([f"</{name}>", "", f"</{end}>"]))
    return f"<{name}{draw(ATTRIBUTES)}>{''.join(draw(inside))}{ends}"


PAGES = st.recursive(WORDS, lambda inside: st.one_of(WORDS, elements(st.lists(inside, max_size=5))), max_leaves=40)


@given(st.lists(PAGES, max_size=6).map("".join), st.integers(1, 3))
@settings(deadline=None, max_examples=300)
def test_no_mark_up_breaks_the_extractor(page, times):
    for html in (page.encode("utf-8", "surrogatepass"), f"<html><body>{page * times}<p>{prose(1)}</p></body></html>"):
        found = extracted(Raw("http://a.example/", "urls", html=html))
        assert isinstance(found, Document) or found in ("no_text", "broken_html")
        if isinstance(found, Document):
            found.text.encode()


@pytest.mark.parametrize("name", ["div", "b", "table", "blockquote", "li", "span"])
def test_elements_within_elements_without_end_cost_no_more_than_their_page(name):
    page = f"<html><body>{f'<{name}>' * 20_000}<p>{prose(1)}</p>".encode()
    found = extracted(Raw("http://a.example/", "urls", html=page))
    assert isinstance(found, Document) or found in ("no_text", "broken_html")


def test_what_its_source_refused_is_a_reason():
    assert extracted(Raw("http://a.example/", "files", refused="too_large")) == "too_large"


@pytest.mark.parametrize("html", [b"", b"\x00\x01\x02", b"<html></html>", "<p>   </p>"])
def test_a_page_without_text_is_a_reason(html):
    assert extracted(Raw("u", "s", html=html)) in ("no_text", "broken_html")


def test_sources_become_documents_in_order_with_a_report(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"text": "one", "url": "http://a/1"}\n{"text": " "}\n{"html": "<p>three is here</p>"}\n'
    )
    (tmp_path / "b.txt").write_text("four")
    sources = [files(tmp_path / "a.jsonl"), files(tmp_path / "b.txt")]
    shown = []

    def show(done, total, note):
        shown.append((done, total))

    extract(sources, None, PINS, tmp_path / "out", tmp_path / "out.json", 1, "recipe", 2, show)
    size = sum((tmp_path / name).stat().st_size for name in ("a.jsonl", "b.txt"))
    assert shown == sorted(shown) and shown[-1] == (size, size)
    assert [row.text for row in read_documents(tmp_path / "out")] == ["one", "three is here", "four"]
    report = read_json(tmp_path / "out.json")
    assert report["in"]["documents"] == 4 and report["removed"]["no_text"]["documents"] == 1
    assert report["provenance"]["recipe"] == "recipe" and "a.jsonl" in report["provenance"]["inputs"]


def test_a_page_that_hangs_the_extractor_costs_only_itself(tmp_path, monkeypatch):
    def hanging(tree, **settings):
        if "hang" in tree.text_content():
            time.sleep(60)
        return "text " + tree.text_content()

    monkeypatch.setattr(module, "SECONDS_PER_PAGE", 3)
    monkeypatch.setattr(module.trafilatura, "extract", hanging)
    for name, body in (("a", "fine one"), ("b", "hang me"), ("c", "fine too")):
        (tmp_path / f"{name}.html").write_text(f"<p>{body}</p>")
    extract([files(tmp_path / "*.html")], None, PINS, tmp_path / "out", tmp_path / "out.json", 1, "recipe", 2, silent)
    assert len(list(read_documents(tmp_path / "out"))) == 2
    removed = read_json(tmp_path / "out.json")["removed"]
    assert removed["timed_out"]["documents"] == 1 and removed["timed_out"]["examples"][0]["url"] == "b.html"


def test_a_source_without_any_text_fails_though_others_have_some(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n')
    for content, pages in (("", 0), ('{"text": " "}\n', 1)):
        (tmp_path / "b.jsonl").write_text(content)
        sources = [files(tmp_path / "a.jsonl"), files(tmp_path / "b.jsonl")]
        with pytest.raises(InputError, match=rf"extract: source 2: kept 0 of {pages} pages or texts"):
            extract(sources, None, PINS, tmp_path / "out", tmp_path / "r.json", 1, "recipe", 1, silent)
        assert not (tmp_path / "out").exists()


def test_a_corpus_without_any_text_fails_and_says_why(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": ""}\n{"text": " "}\n')
    with pytest.raises(InputError, match=r"extract: kept 0 of 2 documents \(removed: no_text 2\)"):
        extract(
            [files(tmp_path / "a.jsonl")], None, PINS, tmp_path / "out", tmp_path / "r.json", 1, "recipe", 1, silent
        )
    assert not (tmp_path / "out").exists() and not (tmp_path / "r.json").exists()
