"""Pairs as ids: source, separator, target, end of document; other texts and tokenizers as ever."""

import json

import numpy as np
import pytest
from scalelaws.corpus.pairs import BOUND, halves
from scalelaws.errors import InputError
from scalelaws.tokens import encoder
from scalelaws.tokens.bpe import END_OF_DOCUMENT, SEPARATOR, load_tokenizer, save_tokenizer, train_bpe, train_tokenizer
from scalelaws.tokens.encode import encode_documents
from scalelaws.tokens.encoder import Encoder
from scalelaws.tokens.given import take_tokenizer
from scalelaws.tokens.store import open_tokens
from tokenizers import Tokenizer

from .conftest import VOCABULARY, made_up_text, write_documents

PAIRS = {
    f"d{i}": f"{made_up_text(1 + i % 7, seed=i)}{BOUND}{made_up_text(5 * i % 90 + 1, seed=900 + i)}" for i in range(60)
}


@pytest.fixture(scope="module")
def paired_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paired") / "tokenizer"
    save_tokenizer(train_bpe([made_up_text(20_000)], VOCABULARY, pairs=True), folder)
    return folder


def test_the_separator_is_the_last_id_and_the_end_of_a_document_the_one_before(paired_folder):
    tokenizer = load_tokenizer(paired_folder)
    assert tokenizer.get_vocab_size() == VOCABULARY
    assert tokenizer.token_to_id(SEPARATOR) == VOCABULARY - 1
    assert tokenizer.token_to_id(END_OF_DOCUMENT) == VOCABULARY - 2
    assert tokenizer.encode(f"a {SEPARATOR} b").ids.count(VOCABULARY - 1) == 0, "text that spells it gets its letters"


@pytest.mark.parametrize("group", [encoder.GROUP_CHARACTERS, 40])
def test_a_pair_is_its_source_the_separator_its_target_and_the_end(paired_folder, tmp_path, quiet, monkeypatch, group):
    monkeypatch.setattr(encoder, "GROUP_CHARACTERS", group)
    folder = write_documents(tmp_path / "documents", PAIRS | {"alone": "no pair"})
    output = tmp_path / "tokens/pairs.train.json"
    encode_documents(folder, paired_folder, output, seed=1, threads=1, recipe="r", progress=quiet)
    file, tokenizer = open_tokens(output), load_tokenizer(paired_folder)
    assert (file.separator, file.end_of_document) == (VOCABULARY - 1, VOCABULARY - 2)
    found = [file.ids[a:b].tolist() for a, b in zip(file.offsets[:-1], file.offsets[1:], strict=True)]
    expected = [[*tokenizer.encode("no pair").ids, file.end_of_document]]
    for text in PAIRS.values():
        source, target = (tokenizer.encode(half).ids for half in halves(text))
        expected.append([*source, file.separator, *target, file.end_of_document])
    assert sorted(found) == sorted(expected)


def test_an_empty_half_and_no_text_at_all_have_their_ids(paired_folder):
    ids, counts = Encoder(load_tokenizer(paired_folder)).encode([f"{BOUND}a", f"a{BOUND}", "", f"{BOUND}"])
    a = ids[1]
    assert ids.tolist() == [VOCABULARY - 1, a, a, VOCABULARY - 1, VOCABULARY - 1]
    assert counts.tolist() == [2, 2, 0, 1]
    assert not len(Encoder(load_tokenizer(paired_folder)).encode([])[0])


def test_merges_are_learned_on_each_half_and_cross_none(tmp_path, quiet):
    texts = {f"d{i}": f"aa{BOUND}bb" for i in range(40)}
    folder = write_documents(tmp_path / "documents", texts)
    train_tokenizer(folder, tmp_path / "made", 260, "runs", "runs", 10_000, 0, "r", quiet, pairs=True)
    vocabulary = load_tokenizer(tmp_path / "made").get_vocab()
    assert {token for token, number in vocabulary.items() if number >= 256} == {"aa", "bb", END_OF_DOCUMENT, SEPARATOR}


def test_a_vocabulary_that_is_given_gets_the_separator_behind_its_own_ids(tmp_path):
    merges = tmp_path / "merges.txt"
    merges.write_text("#version: 0.2\na b\n")
    take_tokenizer(merges, tmp_path / "taken", 259, "r", pairs=True)
    taken = load_tokenizer(tmp_path / "taken")
    assert (taken.token_to_id(END_OF_DOCUMENT), taken.token_to_id(SEPARATOR)) == (257, 258)
    with pytest.raises(InputError, match=r"259 ids, <\|target\|> for pairs included, and 258 are asked for"):
        take_tokenizer(merges, tmp_path / "other", 258, "r", pairs=True)


def test_a_sidecar_without_a_separator_opens_as_it_did(tmp_path, tokenizer_folder, quiet):
    folder = write_documents(tmp_path / "documents", {"one": "a text", "two": "another"})
    output = tmp_path / "tokens/texts.train.json"
    encode_documents(folder, tokenizer_folder, output, seed=1, threads=1, recipe="r", progress=quiet)
    assert "separator" not in json.loads(output.read_text())
    assert open_tokens(output).separator is None
    assert Encoder(Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))).separator is None
    assert not np.isin(VOCABULARY, open_tokens(output).ids)
