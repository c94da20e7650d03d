"""A corpus made in parts is the corpus made in one."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scalelaws.corpus.clean import clean
from scalelaws.corpus.dedup import deduplicate, match, rounds_of, sign
from scalelaws.corpus.documents import DocumentWriter, read_documents
from scalelaws.corpus.extract import extract
from scalelaws.corpus.parts import Part, join_parts
from scalelaws.corpus.settings import ROUNDS
from scalelaws.corpus.survey import survey, write_survey
from scalelaws.errors import InputError
from scalelaws.io import file_digest, read_json
from scalelaws.workers import silent

from . import test_clean, test_dedup
from .conftest import PINS, prose

SETTINGS = test_clean.SETTINGS | {"boilerplate": {"min_pages": 3, "min_words": 4}, "max_bytes": 60_000}
FIELDS = {"text_field": "text", "html_field": "html", "url_field": "url"}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Two sources, five files in all: prose, a notice that every page of the site has, and pages that are too short."""
    folder = tmp_path_factory.mktemp("files")
    for number in range(5):
        notice = "All rights reserved by the owners of this site"
        pages = [
            {"url": f"https://s.org/{number}/{page}", "text": f"{prose(10 * number + page)}\n{notice}"}
            for page in range(6)
        ]
        pages.append({"url": f"https://s.org/{number}/short", "text": "too short"})
        pages.append({"url": "https://s.org/both", "text": prose(99)})  # that every file, of either source, has
        # Pairs, since what stands on three pages is boilerplate; enough of them that a sample holds some.
        for page in range(8):
            pages.append({"url": f"https://s.org/copy/{number}/{page}", "text": prose(200 + 8 * (number // 2) + page)})
            pages.append({"url": f"https://s.org/page/{number // 2}/{page}", "text": prose(300 + 8 * number + page)})
            near = f"{prose(400 + 8 * (number // 2) + page, 300)} and number {number}"
            pages.append({"url": f"https://s.org/near/{number}/{page}", "text": near})
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    paths = [[str(folder / f"{number}.jsonl") for number in numbers] for numbers in ((0, 1, 2), (3, 4))]
    return [{"kind": "files", "paths": some, **FIELDS} for some in paths]


def made(folder, sources, parts):
    """The corpus made in so many parts: its unique documents, and the reports of extraction and cleaning."""
    folder = folder / "corpus"
    folder.mkdir(parents=True)
    rest = 1, "r", 1, silent
    step = partial(extract, sources, None, PINS)
    in_parts(folder, "extracted", lambda to, report, part: step(to, report, *rest, part), parts)
    write_survey(survey(folder / "extracted", SETTINGS, 1, folder, 1, silent), folder / "survey.npz")
    step = partial(clean, folder / "extracted")
    surveyed = folder / "survey.npz"
    in_parts(folder, "cleaned", lambda to, report, part: step(to, report, SETTINGS, *rest, part, surveyed), parts)
    unique = folder / "unique"
    places = folder / "cleaned", None, unique, folder / "signatures", folder / "unique.json"
    deduplicate(*places, test_dedup.SETTINGS, *rest, **matched(folder, parts))
    return unique, [read_json(folder / f"{name}.json") for name in ("extracted", "cleaned", "unique")]


def matched(folder, parts):
    """What the jobs that sign and match a corpus's parts leave for the one that removes duplicates."""
    if parts == 1:
        return {}
    signed, found = [], []
    for number in range(parts):
        signed.append(folder / "signed" / f"{number:03}")
        sign(folder / "cleaned", signed[-1], test_dedup.SETTINGS, 1, 1, silent, Part(number, parts))
    for name in ROUNDS:
        former = rounds_of(list(found))
        for number in range(parts):
            found.append(str(folder / "matches" / name / f"{number:03}.npy"))
            match(signed, None, former, Path(found[-1]), test_dedup.SETTINGS, 1, name, Part(number, parts))
    return {"signed": signed, "matches": rounds_of(found)}


def in_parts(folder, name, step, parts):
    """Make a step in parts, and join them."""
    numbered = [(folder / f"{name}.parts" / f"{part:03}", Part(part, parts)) for part in range(parts)]
    for place, part in numbered:
        step(place, place.with_suffix(".json"), part)
    places = [place for place, _ in numbered]
    join_parts(places, [place.with_suffix(".json") for place in places], folder / name, folder / f"{name}.json")


@pytest.mark.parametrize("parts", [2, 5, 8])
def test_the_survivors_and_what_the_reports_count_are_the_same_for_any_number_of_parts(sources, tmp_path, parts):
    unique, reports = made(tmp_path / "one", sources, 1)
    others, of_parts = made(tmp_path / "several", sources, parts)
    assert file_digest(others) == file_digest(unique)
    for one, several in zip(reports, of_parts, strict=True):
        assert {name: several[name] for name in ("in", "out", "removed", "changed")} == {
            name: one[name] for name in ("in", "out", "removed", "changed")
        }
    assert (
        of_parts[0]["sources"]
        == reports[0]["sources"]
        == {number: {"pages": files * 32, "documents": files * 32} for number, files in (("1", 3), ("2", 2))}
    )
    assert of_parts[0]["provenance"] == reports[0]["provenance"], "all files of all parts"
    assert (others.parent / "signatures/keys.npy").read_bytes() == (unique.parent / "signatures/keys.npy").read_bytes()
    assert set(reports[2]["removed"]) == {"exact_duplicate", "same_page", "near_duplicate"}
    removed = reports[1]["removed"]
    assert removed["beyond_max_bytes"]["documents"] > 0, "the sample is taken of the whole"
    assert reports[1]["changed"]["boilerplate_paragraphs"]["times"] > 0


def test_parts_that_all_keep_nothing_fail_as_the_whole_would(sources, tmp_path):
    with pytest.raises(InputError, match=r"corpus: clean.*kept 0 of 0 documents"):
        report = {"step": "clean", "in": {"documents": 0, "bytes": 0, "digest": "0"}, "removed": {}, "changed": {}}
        report |= {"out": report["in"]}
        paths = [tmp_path / "corpus" / name for name in ("000.json", "001.json")]
        paths[0].parent.mkdir()
        for path in paths:
            path.write_text(json.dumps(report))
        join_parts([], paths, tmp_path / "corpus/cleaned", tmp_path / "corpus/cleaned.json")


def test_signatures_of_other_documents_are_refused(sources, tmp_path):
    unique, _ = made(tmp_path, sources, 1)
    folder = unique.parent
    others = matched(folder, 2)
    shard = min((folder / "cleaned").glob("*.parquet"))
    rows = list(read_documents([shard]))
    with DocumentWriter(folder / "cleaned", shard.stem.rpartition("-")[0]) as writer:
        for row in [*rows[:-1], replace(rows[-1], title="another")]:
            writer.write(row)
    places = folder / "cleaned", None, folder / "again", folder / "signatures", folder / "again.json"
    with pytest.raises(InputError, match=r"signed: the signatures are those of other documents\. Make them again"):
        deduplicate(*places, test_dedup.SETTINGS, 1, "r", 1, silent, **others)
    assert not (folder / "again").exists()


@given(st.lists(st.integers()), st.integers(1, 9), st.integers(0, 20))
def test_every_item_is_in_one_part(items, parts, first):
    dealt = [Part(number, parts).chosen(items, first) for number in range(parts)]
    assert sorted(item for part in dealt for item in part) == sorted(items)
