"""Text is cut where the `tokenizers` library cuts it, every character of Unicode and every way to cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.tokens.cut import (
    DIGITS,
    WHITE_SPACE,
    code_points,
    first_characters,
    kinds_of_characters,
    piece_starts,
    pieces,
    starts_by_pattern,
)
from tokenizers import Regex, pre_tokenizers

WAYS = [(digits, white_space) for digits in DIGITS for white_space in WHITE_SPACE]
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.text(alphabet=" \n\t\r\u00a0\u2028'sdmtrevlLS912.!aä中", max_size=60),
        st.lists(
            st.sampled_from(["'", "'s", "'ll", "'re", "re", "s", " ", "\n", "12345", "a", "!", "Ⅷ"]), max_size=12
        ).map("".join),
    ),
    min_size=1,
    max_size=4,
)


def starts(texts, *way):
    return np.flatnonzero(piece_starts(code_points("".join(texts)), first_characters(texts), *way)).tolist()


@given(texts=TEXTS, way=st.sampled_from(WAYS))
@settings(max_examples=2000, deadline=None)
def test_texts_are_cut_where_the_pattern_says(texts, way):
    assert starts(texts, *way) == np.flatnonzero(starts_by_pattern(texts, pieces(*way))).tolist()


@given(texts=TEXTS)
@settings(max_examples=500, deadline=None)
def test_texts_are_cut_where_gpt2s_tokenizer_cuts_them(texts):
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    lengths = np.cumsum([0, *(len(text) for text in texts)])
    expected = [
        int(before) + start for before, text in zip(lengths, texts, strict=False) for _, (start, _) in cut(text)
    ]
    # The library gives a piece to each byte of a character that it cuts; ours begin at whole characters.
    assert starts(texts) == sorted(set(expected))


@pytest.mark.parametrize("before", ["a", "1", ".", " "])
def test_every_character_of_unicode_is_cut_from_its_neighbour_as_there(before):
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    pairs = [before + character for character in characters]
    cut = pre_tokenizers.Split(Regex(pieces()), "isolated").pre_tokenize_str
    ours = piece_starts(code_points("".join(pairs)), first_characters(pairs))[1::2]
    theirs = [len(cut(pair)) == 2 for pair in pairs]
    assert [pair for pair, a, b in zip(pairs, ours, theirs, strict=True) if a != b] == []


def test_kinds_are_those_that_everybody_knows():
    kinds = kinds_of_characters()
    assert [kinds[ord(character)] for character in "aé中д1٣½ \n\u3000._'€\U0001f600"] == [0] * 4 + [1] * 3 + [2] * 3 + [
        3
    ] * 5


def test_nothing_is_cut_from_no_text():
    assert starts([""]) == [] and starts(["", "a", ""]) == [0]


def test_long_runs_are_cut_at_once():
    for text in ("a" * 300_000, " " * 300_000, "?!" * 150_000):
        assert starts([text]) == [0]
