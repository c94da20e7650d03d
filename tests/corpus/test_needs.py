"""What a corpus's jobs ask for grows with its text, and is known before any of it is read."""

import pytest
from scalelaws.corpus.needs import MARGIN, UNKNOWN_MB, check_packages, core_minutes, core_seconds, ordering_mb, texts_of
from scalelaws.errors import InputError
from scalelaws.resources import growing
from snakemake.iocontainers import Wildcards

CORPORA = {
    "web": {"role": "train", "parts": 10, "sources": []},
    "books": {"role": "ood", "parts": 1, "sources": []},
}
TEXTS = {"web": 40_000.0, "books": 40.0}


def job(**wildcards):
    """The wildcards of one of Snakemake's jobs."""
    return Wildcards(fromdict=wildcards)


def corpus(*sources, role="train"):
    return {"role": role, "parts": 1, "sources": list(sources)}


def files(path):
    return {"kind": "files", "paths": [str(path)]}


def test_a_corpus_of_files_is_about_as_large_as_they_are(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a" * 3_000_000)
    (tmp_path / "a.txt.gz").write_bytes(b"a" * 2_000_000)
    assert texts_of({"web": corpus(files(tmp_path / "*"))}, 0) == {"web": 3 + 5}


def test_a_list_of_urls_stands_for_the_pages_behind_it(tmp_path):
    (tmp_path / "urls.txt").write_text(
        "https://example.org/a-page-with-a-name-of-usual-length-in-it/page.html\n" * 1000
    )
    found = texts_of({"web": corpus({"kind": "urls", "path": str(tmp_path / "urls.txt")})}, 0)
    assert found["web"] == pytest.approx(5, rel=0.1)


def test_training_text_is_at_least_what_the_runs_ask_for(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a")
    small = corpus(files(tmp_path / "a.txt"))
    found = texts_of({"web": small, "books": {**small, "role": "ood"}}, tokens=1e9)
    assert found == {"web": 4200, "books": 1e-6}


def test_a_source_says_itself_how_much_of_it_is_read_or_is_taken_for_large():
    rows = {"kind": "dataset", "path": "corpus"}
    assert texts_of({"web": corpus({**rows, "max_bytes": 7e6})}, 0) == {"web": 7}
    assert texts_of({"web": corpus({**rows, "max_bytes": None})}, 0) == {"web": UNKNOWN_MB}


def test_files_that_are_not_there_are_an_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        texts_of({"web": corpus(files(tmp_path / "none"))}, 0)


def test_each_part_of_a_corpus_takes_its_share():
    asked = core_minutes("extract", TEXTS, CORPORA)
    assert asked(job(corpus="web", part="3")) == pytest.approx(asked(job(corpus="web")) / 10)
    assert asked(job(corpus="books")) < asked(job(corpus="web")) / 100
    assert asked(job(corpus="web")) * 60 == MARGIN * core_seconds("extract", "web", 1, TEXTS, CORPORA)


def test_what_is_compared_with_training_text_takes_the_time_to_read_that():
    of = lambda stage, corpus: core_seconds(stage, corpus, 1, TEXTS, CORPORA)  # noqa: E731
    assert of("split", "books") > of("split", "web")
    assert of("clean", "books") < of("clean", "web") / 100


def test_the_tokenizer_learns_on_training_text():
    expected = core_seconds("tokenizer", "web", 1, TEXTS, CORPORA)
    assert core_minutes("tokenizer", TEXTS, CORPORA)(job()) * 60 == MARGIN * expected


def test_the_memory_of_an_order_and_of_a_sample_grows_with_the_text_and_a_sample_is_bounded():
    tokenizer = ordering_mb(1000, TEXTS, CORPORA, sample_bytes=1e9)
    assert 5_000 < tokenizer(job()) < 7_000
    assert tokenizer(job()) - ordering_mb(1000, TEXTS, CORPORA, sample_bytes=5e8)(job()) == pytest.approx(1500)
    assert 800 < ordering_mb(800, TEXTS, CORPORA)(job(corpus="books")) < 900
    assert growing(ordering_mb(800, TEXTS, CORPORA), per_thread=200)(job(corpus="books"), 4, 1) == 1602
    pairs = CORPORA | {"books": {**CORPORA["books"], "sources": [{"target_field": "answer"}]}}
    assert 900 < ordering_mb(800, TEXTS, pairs)(job(corpus="books")) < 1000, "they are shorter, and as many more"


def test_threads_share_the_work_and_a_second_attempt_has_twice_the_time():
    minutes = growing(10, shared=core_minutes("extract", TEXTS, CORPORA))
    web = job(corpus="web")
    one, two, again = minutes(web, 1, 1), minutes(web, 2, 1), minutes(web, 1, 2)
    assert one - 10 == pytest.approx(2 * (two - 10), abs=2)
    assert again == pytest.approx(2 * one, abs=1)
    assert minutes(job(corpus="books"), 1, 1) < 20


def test_a_package_that_is_not_pinned_is_told_before_anything_is_read(tmp_path):
    pins = tmp_path / "requirements.txt"
    pins.write_text("not-installed-here==1.0\n")
    source = {"kind": "installed-docs", "content": "licences"}
    check_packages({"web": corpus({**source, "packages": ["Not_Installed.here", "python"], "exclude": []})}, pins)
    for key in ("packages", "exclude"):
        with pytest.raises(InputError, match=r"installed-docs: nosuchpkg: not pinned in \S*requirements.txt"):
            check_packages({"web": corpus(files("a.txt"), {**source, key: ["nosuchpkg"]})}, pins)
