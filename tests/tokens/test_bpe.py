"""The tokenizer is reversible, has the size asked for, and is the same in transformers."""

import json
from pathlib import Path

import pytest
from scalelaws.errors import InputError
from scalelaws.tokens.bpe import (
    END_OF_DOCUMENT,
    byte_characters,
    load_tokenizer,
    save_tokenizer,
    train_bpe,
    train_tokenizer,
)
from scalelaws.tokens.cut import WHITE_SPACE
from scalelaws.tokens.encoder import Encoder
from scalelaws.tokens.given import take_tokenizer
from tokenizers import Tokenizer, pre_tokenizers

from .conftest import VOCABULARY, made_up_text, write_documents


def test_ids_are_laid_out_as_in_gpt2(tokenizer):
    vocabulary = tokenizer.get_vocab()
    assert sorted(vocabulary.values()) == list(range(VOCABULARY))
    assert {token for token, i in vocabulary.items() if i < 256} == set(byte_characters())
    assert vocabulary[END_OF_DOCUMENT] == VOCABULARY - 1


def test_byte_characters_are_those_of_the_tokenizers_library():
    assert set(byte_characters()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(byte_characters().values()) == list(range(256))


def test_transformers_loads_the_folder_and_agrees(tokenizer_folder, tokenizer):
    from transformers import PreTrainedTokenizerFast

    loaded = PreTrainedTokenizerFast.from_pretrained(tokenizer_folder)
    text = made_up_text(500, seed=5) + " it's  fine .\n"
    assert loaded(text)["input_ids"] == tokenizer.encode(text).ids
    assert loaded.decode(loaded(text)["input_ids"]) == text
    assert len(loaded) == VOCABULARY
    assert loaded.eos_token_id == tokenizer.token_to_id(END_OF_DOCUMENT)


def test_the_vocabulary_of_webtext_studies_can_be_made():
    text = made_up_text(400_000, seed=1, different=200_000)
    tokenizer = train_bpe([text], 50_257)
    assert tokenizer.get_vocab_size() == 50_257
    assert tokenizer.token_to_id(END_OF_DOCUMENT) == 50_256
    assert Encoder(tokenizer).encode([text[:5000]])[0].tolist() == tokenizer.encode(text[:5000]).ids


def test_a_vocabulary_of_bytes_alone_can_be_made():
    assert train_bpe(["aa"], 257).encode("aaé").ids == [64, 64, 127, 102]


def test_too_little_text_for_the_vocabulary_is_refused_with_what_it_can_reach():
    with pytest.raises(InputError, match=r"config: tokenizer.vocabulary: .* 5,000 are asked for. Lower it to (\d+)"):
        train_bpe(["one two one two"], 5000)


@pytest.mark.parametrize(("digits", "size", "longest"), [("runs", 265, 8), ("threes", 262, 3), ("single", 257, 1)])
def test_no_id_holds_more_digits_than_asked(digits, size, longest):
    tokenizer = train_bpe(["12345678 " * 50], size, digits)
    runs = [sum(map(str.isdigit, token)) for token in tokenizer.get_vocab()]
    assert max(runs) == longest


def test_white_space_cut_singly_is_never_merged():
    text = "if x:\n        return x\n" * 50
    spaces = {way: train_bpe([text], 262, white_space=way).encode("\n        ").ids for way in WHITE_SPACE}
    assert len(spaces["single"]) == 9 > len(spaces["runs"])


def test_a_vocabulary_given_as_merges_is_the_one_they_were_learned_for(tmp_path, tokenizer):
    model = json.loads(tokenizer.to_str())["model"]
    merges = tmp_path / "vocab.bpe"
    merges.write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in model["merges"]) + "\n")
    take_tokenizer(merges, tmp_path / "taken", VOCABULARY, "r")
    taken = load_tokenizer(tmp_path / "taken")
    assert taken.get_vocab() == tokenizer.get_vocab()
    text = made_up_text(500, seed=5)
    assert taken.encode(text).ids == tokenizer.encode(text).ids
    assert (tmp_path / "taken" / "provenance.json").is_file()


def test_a_vocabulary_given_as_tokenizer_json_keeps_its_way_to_cut(tmp_path):
    made = train_bpe([made_up_text(20_000)], VOCABULARY, "single", "single")
    save_tokenizer(made, tmp_path / "made")
    take_tokenizer(tmp_path / "made" / "tokenizer.json", tmp_path / "taken", VOCABULARY, "r")
    assert load_tokenizer(tmp_path / "taken").encode("in 2024  ").ids == made.encode("in 2024  ").ids


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("merges.txt", "a b\nzz q\n", "line 2 is no pair of pieces"),
        ("merges.txt", "a b\n", r"has 258 ids, and 300 are asked for. Set it to 258"),
        ("tokenizer.json", "{}", "not a vocabulary"),
        ("none.bpe", None, "not a vocabulary"),
    ],
)
def test_a_file_that_is_no_vocabulary_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        take_tokenizer(tmp_path / name, tmp_path / "taken", 300, "r")


def _train(tmp_path: Path, documents: dict[str, str], progress, shards=1, **changes) -> Tokenizer:
    folder = write_documents(tmp_path / f"documents{shards}", documents, shards)
    arguments = {
        "vocabulary": 400,
        "digits": "runs",
        "white_space": "runs",
        "sample_bytes": 10**6,
        "seed": 1,
        "recipe": "r",
        "progress": progress,
        **changes,
    }
    train_tokenizer(folder, tmp_path / f"tokenizer{shards}", **arguments)
    return load_tokenizer(tmp_path / f"tokenizer{shards}")


def test_the_same_tokenizer_for_any_sharding_and_on_every_run(tmp_path, quiet):
    documents = {f"d{i}": made_up_text(300, seed=i) for i in range(30)}
    one = _train(tmp_path, documents, quiet).to_str()
    assert one == _train(tmp_path, documents, quiet, shards=4).to_str()
    assert one == _train(tmp_path / "again", documents, quiet).to_str()


def test_training_reads_at_most_the_sample(tmp_path, quiet):
    documents = {f"d{i}": made_up_text(30, seed=i) for i in range(30)}
    text_bytes = sum(len(text.encode()) for text in documents.values())
    with pytest.raises(InputError, match=r"tokenizer\.vocabulary"):
        _train(tmp_path, documents, quiet, sample_bytes=text_bytes // 10, vocabulary=450)
    assert _train(tmp_path, documents, quiet, vocabulary=450).get_vocab_size() == 450


def test_provenance_stands_beside_the_tokenizer(tmp_path, quiet):
    _train(tmp_path, {"d": made_up_text(3000)}, quiet)
    origin = json.loads((tmp_path / "tokenizer1" / "provenance.json").read_text())
    assert origin["recipe"] == "r" and origin["seed"] == 1 and list(origin["inputs"]) == ["documents1"]


def test_a_folder_without_tokenizer_and_a_broken_one_are_refused(tmp_path):
    with pytest.raises(InputError, match="rerun the rule tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0", "model"')
    with pytest.raises(InputError, match="rerun the rule tokenizer"):
        load_tokenizer(tmp_path)
