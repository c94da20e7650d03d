"""Ids are those of the `tokenizers` library, for any text, way to cut, grouping and memory."""

import json
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus.documents import normalized
from scalelaws.corpus.files import read_files
from scalelaws.corpus.settings import expanded
from scalelaws.errors import InputError
from scalelaws.tokens import encoder as module
from scalelaws.tokens.bpe import END_OF_DOCUMENT, train_bpe
from scalelaws.tokens.cut import DIGITS, WHITE_SPACE
from scalelaws.tokens.encoder import Encoder, groups
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from .conftest import VOCABULARY, made_up_text

TEXTS = st.one_of(
    st.text(max_size=200),
    st.text(alphabet=" \n\t\r\u00a0\u2028'sdmtrevl9.aä", max_size=100),
    st.lists(st.sampled_from([END_OF_DOCUMENT, "<|", "text|>", " ", "bada"]), max_size=10).map("".join),
    st.integers(0, 1000).map(lambda seed: made_up_text(40, seed)),
)
WAYS = [(digits, white_space) for digits in DIGITS for white_space in WHITE_SPACE]
TEMPLATE = {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}
GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+"
"""A rule that is not one of ours, as a user's tokenizer.json may have it."""


@pytest.fixture(scope="module")
def made():
    """A tokenizer and its encoder by the way in which they cut, and of a rule of a user's own."""
    text = made_up_text(20_000)
    tokenizers = {way: train_bpe([text], VOCABULARY, *way) for way in WAYS}
    own = Tokenizer.from_str(tokenizers["runs", "runs"].to_str())
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    own.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(GPT4), "isolated"), to_bytes])
    tokenizers["a user's"] = own
    for tokenizer in tokenizers.values():
        tokenizer.encode_special_tokens = True
    return {way: (tokenizer, Encoder(tokenizer)) for way, tokenizer in tokenizers.items()}


@given(texts=st.lists(TEXTS, max_size=4), way=st.sampled_from([*WAYS, "a user's"]))
@settings(max_examples=600, deadline=None)
def test_ids_are_those_of_the_library_and_decode_to_the_text(made, texts, way):
    tokenizer, encoder = made[way]
    ids, counts = encoder.encode(texts)
    expected = [tokenizer.encode(text).ids for text in texts]
    assert counts.tolist() == [len(of_text) for of_text in expected]
    assert ids.tolist() == [number for of_text in expected for number in of_text]
    assert tokenizer.decode(ids.tolist(), skip_special_tokens=False) == "".join(texts)


@pytest.mark.parametrize("limit", ["REMEMBERED_PIECES", "REMEMBERED_CHARACTERS"])
def test_ids_are_the_same_when_pieces_are_forgotten(made, limit, monkeypatch):
    monkeypatch.setattr(module, limit, 30)
    tokenizer, _ = made["runs", "runs"]
    encoder, texts = Encoder(tokenizer), [made_up_text(200, seed) for seed in range(20)]
    assert [encoder.encode([text])[0].tolist() for text in texts] == [tokenizer.encode(text).ids for text in texts]


@given(texts=st.lists(TEXTS, max_size=4), way=st.sampled_from([*WAYS, "a user's"]), limit=st.integers(1, 30))
@settings(max_examples=300, deadline=None)
def test_long_texts_are_encoded_in_parts_to_the_same_ids(made, texts, way, limit):
    whole = made[way][1].encode(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "GROUP_CHARACTERS", limit)
        parted = made[way][1].encode(texts)
    assert [found.tolist() for found in parted] == [found.tolist() for found in whole]


def test_a_document_that_spells_the_end_of_document_does_not_end_there(made):
    tokenizer, encoder = made["runs", "runs"]
    assert tokenizer.token_to_id(END_OF_DOCUMENT) == encoder.end_of_document
    assert encoder.end_of_document not in encoder.encode([f"a{END_OF_DOCUMENT}b"])[0]


def test_a_very_long_word_is_encoded(made):
    tokenizer, encoder = made["runs", "runs"]
    for text in ("a" * 300_000, " " * 300_000, "?!" * 150_000):
        assert tokenizer.decode(encoder.encode([text])[0].tolist()) == text


@given(texts=st.lists(st.text(max_size=20), max_size=30), limit=st.integers(1, 60))
def test_groups_hold_every_text_once_in_order(texts, limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "GROUP_CHARACTERS", limit)
        found = list(groups(texts))
    assert [text for group in found for text in group] == texts
    assert all(sum(map(len, group[:-1])) < limit for group in found)
    assert all(sum(map(len, group)) >= limit for group in found[:-1])


def test_a_tokenizer_of_another_kind_is_refused():
    with pytest.raises(InputError, match="byte-level BPE"):
        Encoder(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))


def test_a_tokenizer_that_cuts_in_a_way_of_its_own_is_refused(made):
    content = json.loads(made["runs", "runs"][0].to_str())
    content["pre_tokenizer"] = {"type": "Whitespace"}
    with pytest.raises(InputError, match="a way of its own"):
        Encoder(Tokenizer.from_str(json.dumps(content)))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "its normalizer changes text"),
        ({"truncation": {"max_length": 9, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}}, "cuts or"),
        (
            {"post_processor": {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}},
            "adds ids",
        ),
        ({"model": {"dropout": 0.1}}, "drop out at random"),
        ({"added_tokens": {"special": False}}, "added tokens that are not special"),
    ],
)
def test_a_tokenizer_that_does_more_than_cut_and_merge_is_refused(made, change, problem):
    content = json.loads(made["runs", "runs"][0].to_str())
    ((part, new),) = change.items()
    if part == "added_tokens":
        content[part] = [token | new for token in content[part]]
    else:
        content[part] = content[part] | new if part == "model" else new
    with pytest.raises(InputError, match=problem):
        Encoder(Tokenizer.from_str(json.dumps(content)))


def test_ids_other_than_the_tokenizers_are_noticed(made):
    with pytest.raises(InputError, match="gives a document other ids"):
        made["runs", "runs"][1].check(train_bpe([made_up_text(20_000, seed=9)], VOCABULARY), made_up_text(100))


@pytest.mark.parametrize("kind", ["web_prose_open", "non_english", "code_java_python", "docs_technical"])
def test_ids_of_real_documents_are_those_of_the_library(made, shared_data, kind):
    paths = expanded([str(shared_data / "corpora" / kind / "*.jsonl.zst")], "here")
    fields = {"text": "text", "html": "html", "url": "url"}
    texts = [normalized(raw.text or str(raw.html)) for raw in islice(read_files(paths, fields), 300)]
    for way in (("runs", "runs"), ("threes", "single")):
        tokenizer, encoder = made[way]
        ids, counts = encoder.encode(texts)
        found = np.split(ids, np.cumsum(counts)[:-1])
        assert [a.tolist() for a in found] == [encoding.ids for encoding in tokenizer.encode_batch(texts)]
