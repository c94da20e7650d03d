"""Pairs from the fields of records to documents, and what becomes of the character between their halves."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scalelaws.corpus.clean import clean
from scalelaws.corpus.documents import DocumentWriter, document, read_documents
from scalelaws.corpus.extract import extracted
from scalelaws.corpus.files import read_files
from scalelaws.corpus.pairs import BOUND, halves
from scalelaws.corpus.parts import WHOLE
from scalelaws.corpus.raw import Raw
from scalelaws.corpus.sources import read_source
from scalelaws.errors import InputError
from scalelaws.io import read_json
from scalelaws.workers import silent

from .conftest import prose
from .test_clean import SETTINGS

FIELDS = {"text": "question", "target": "answer", "url": "url"}
ROWS = [{"question": f"Why {n}?", "answer": f"Because of {n}.", "id": n} for n in range(5)]


def written(folder, rows):
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [folder / "pairs.jsonl"]


def test_a_record_of_two_fields_becomes_one_document_of_two_halves(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "pairs.parquet")
    for files in (written(tmp_path, ROWS), [tmp_path / "pairs.parquet"]):
        found = [extracted(raw) for raw in read_files(files, FIELDS)]
        assert [halves(one.text) for one in found] == [[row["question"], row["answer"]] for row in ROWS]
        assert len({one.id for one in found}) == 5


def test_the_rows_of_a_dataset_may_be_pairs_too(tmp_path):
    import datasets

    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "saved"))
    source = {"kind": "dataset", "path": str(tmp_path / "saved"), "name": None, "split": "train", "max_bytes": None}
    source |= {"source_field": "question", "target_field": "answer"}
    raws = list(read_source(source, 0, None, tmp_path, 0, part=WHOLE))
    assert [(raw.text, raw.target) for raw in raws] == [(row["question"], row["answer"]) for row in ROWS]
    assert len({raw.url for raw in raws}) == 5


def test_the_bound_is_taken_out_of_every_text_that_has_it_already():
    assert document(f"one{BOUND}text", "s", "u").text == "onetext"
    pair = document(f"a{BOUND} source ", "s", "u", target=f"\na{BOUND} target\n")
    assert halves(pair.text) == ["a source", "a target"]


def test_half_a_pair_is_no_document():
    assert extracted(Raw("u", "s", text="source", target=" \n")) == "no_target"
    assert extracted(Raw("u", "s", text="source", target=BOUND)) == "no_target"
    assert extracted(Raw("u", "s", text="", target="target")) == "no_text"


def test_a_record_without_the_fields_and_a_file_without_any_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"#1: has no pair of texts in 'question' and 'answer' \(it has question\)"):
        list(read_files(written(tmp_path, [{"question": "Why?"}]), FIELDS))
    assert next(read_files(written(tmp_path, [{"question": "Why?", "answer": None}]), FIELDS)).target == ""
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(InputError, match=r"a\.txt: has no fields, .* Give pairs as JSON lines or parquet"):
        list(read_files([tmp_path / "a.txt"], FIELDS))


def cleaned(folder, pairs):
    with DocumentWriter(folder / "in", "documents") as writer:
        for number, (source, target) in enumerate(pairs):
            writer.write(document(source, "files 1", f"http://site.example/{number}", target=target))
    clean(folder / "in", folder / "out", folder / "out.json", SETTINGS, 1, "recipe", 1, silent)
    return [halves(one.text) for one in read_documents(folder / "out")], read_json(folder / "out.json")


def test_cleaning_keeps_the_halves_of_a_pair_apart_and_drops_a_pair_that_a_rule_for_lines_has_joined(tmp_path):
    good = [(f"What does text {n} say?", prose(n)) for n in range(5)]
    kept, report = cleaned(tmp_path, [*good, ("We use cookies, do you?", prose(9))])
    assert kept == [list(pair) for pair in good]
    assert {name: count["documents"] for name, count in report["removed"].items()} == {"halves_cut_apart": 1}


def test_pairs_of_one_page_are_as_many_documents(tmp_path):
    rows = [{"q": f"question {n}", "a": f"answer {n}", "url": "http://a.org/faq"} for n in range(3)]
    (tmp_path / "faq.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {"text": "q", "target": "a", "url": "url"}
    found = [extracted(raw) for raw in read_files([tmp_path / "faq.jsonl"], fields)]
    assert len({document.id for document in found}) == 3
    assert {document.url for document in found} == {"http://a.org/faq"}
