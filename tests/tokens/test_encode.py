"""A token file holds every document once, in an order that no sharding changes, and is whole or absent."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from scalelaws.errors import InputError
from scalelaws.io import file_digest
from scalelaws.tokens import encode as encoding
from scalelaws.tokens import encoder
from scalelaws.tokens.bpe import END_OF_DOCUMENT
from scalelaws.tokens.encode import encode_documents
from scalelaws.tokens.store import open_tokens, token_paths

from .conftest import VOCABULARY, made_up_text, write_documents

DOCUMENTS = {f"d{i}": made_up_text(5 * i, seed=i) for i in range(400)} | {"spells": f"a {END_OF_DOCUMENT} b"}


@pytest.fixture
def encode(tmp_path, tokenizer_folder, quiet):
    def run(name, documents=DOCUMENTS, shards=1, seed=1, threads=2):
        folder = write_documents(tmp_path / f"documents-{name}", documents, shards)
        output = tmp_path / "tokens" / f"{name}.train.json"
        encode_documents(folder, tokenizer_folder, output, seed=seed, threads=threads, recipe="r", progress=quiet)
        return open_tokens(output)

    return run


def _documents(file):
    return [file.ids[a : b - 1].tolist() for a, b in zip(file.offsets[:-1], file.offsets[1:], strict=True)]


def test_every_document_is_there_once_and_decodes_to_its_text(encode, tokenizer):
    texts = [tokenizer.decode(ids, skip_special_tokens=False) for ids in _documents(encode("web"))]
    assert sorted(texts) == sorted(DOCUMENTS.values())


def test_ids_are_those_of_the_tokenizers_library(encode, tokenizer):
    expected = sorted(tokenizer.encode(text).ids for text in DOCUMENTS.values())
    assert sorted(_documents(encode("web"))) == expected


@pytest.mark.parametrize(("shards", "threads"), [(1, 1), (3, 2), (7, 5)])
def test_the_same_file_for_any_sharding_and_number_of_processes(encode, shards, threads, monkeypatch):
    one = encode("one")
    monkeypatch.setattr(encoding, "BYTES_PER_PROCESS", 1)
    monkeypatch.setattr(encoder, "GROUP_CHARACTERS", 500)
    other = encode("other", dict(reversed(DOCUMENTS.items())), shards, threads=threads)
    assert np.array_equal(one.ids, other.ids) and np.array_equal(one.offsets, other.offsets)


def test_the_seed_decides_the_order(encode):
    one, two = encode("one"), encode("two", seed=2)
    assert _documents(one) != _documents(two)
    assert sorted(_documents(one)) == sorted(_documents(two))


def test_the_sidecar_says_what_the_file_holds(encode, tmp_path, tokenizer_folder):
    file = encode("web")
    sidecar = json.loads(file.path.read_text())
    assert sidecar["tokens"] == len(file.ids) == file.offsets[-1]
    assert sidecar["documents"] == len(DOCUMENTS)
    assert sidecar["bytes"] == sum(len(text.encode()) for text in DOCUMENTS.values())
    assert (sidecar["vocabulary"], sidecar["dtype"]) == (VOCABULARY, "uint16")
    assert sidecar["tokenizer"] == file_digest(tokenizer_folder / "tokenizer.json")
    assert sidecar["digest"] == file_digest(token_paths(file.path)["ids"])
    assert sidecar["provenance"]["recipe"] == "r"


def test_equal_work_gives_equal_files(encode):
    first = encode("web").path.read_bytes()
    assert encode("web").path.read_bytes() == first


def test_a_failure_half_way_leaves_no_file(encode, tmp_path):
    bad = {**DOCUMENTS, "d0": None}
    with pytest.raises(InputError, match="a document has no id or no text"):
        encode("web", bad)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["00000.parquet"]


def test_a_failure_leaves_the_file_that_stood_there(encode, tmp_path, monkeypatch):
    before = encode("web")
    monkeypatch.setattr("scalelaws.tokens.encode._gather", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        encode("web", {"other": "text"})
    assert np.array_equal(open_tokens(before.path).ids, before.ids)
    assert len(list((tmp_path / "tokens").iterdir())) == 3


def test_a_killed_job_leaves_no_token_file(tmp_path, tokenizer_folder):
    documents = write_documents(tmp_path / "documents", {f"d{i}": made_up_text(1000, seed=i) for i in range(300)})
    output = tmp_path / "tokens" / "web.train.json"
    code = f"""
import time
from scalelaws.job import Progress
from scalelaws.tokens import encode
gather = encode._gather
def slow(*arguments):
    gather(*arguments)
    print("half way", flush=True)
    time.sleep(60)
encode._gather = slow
encode.encode_documents({str(documents)!r}, {str(tokenizer_folder)!r}, {str(output)!r}, 1, 1, "r", Progress("test"))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout.readline() == "half way\n"
        job.send_signal(signal.SIGKILL)
    assert not any(path.exists() for path in token_paths(output).values())
    with pytest.raises(InputError, match="rerun the rule encode"):
        open_tokens(output)
