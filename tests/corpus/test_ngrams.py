import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus.ngrams import ngram_hashes, word_hashes

WORDS = st.lists(st.text("abcdefgXYZ0189äé", min_size=1, max_size=6), max_size=40)
GAPS = st.sampled_from([" ", "\n", ", ", " - ", "\t\t", ". "])


def straightforward(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


@given(WORDS, GAPS, st.integers(1, 6))
@settings(deadline=None, max_examples=200)
def test_hashes_are_equal_exactly_where_the_runs_of_words_are(words, gap, n):
    hashes = ngram_hashes(word_hashes(gap.join(words)), n)
    runs = straightforward([word.lower() for word in words], n) if len(words) >= n else []
    if runs:
        assert len(hashes) == len(runs)
        for i, one in enumerate(runs):
            for j, other in enumerate(runs):
                assert (hashes[i] == hashes[j]) == (one == other)
    else:
        assert len(hashes) == (1 if words else 0)


@given(WORDS, WORDS)
@settings(deadline=None, max_examples=100)
def test_a_run_has_the_same_hash_wherever_it_stands(before, words):
    alone = word_hashes(" ".join(words))
    later = word_hashes(" ".join(before + words))
    assert np.array_equal(alone, later[len(before) :])


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_text_is_split_into_runs_of_letters_and_digits(text):
    lowered = text.lower()
    unspaced = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
    expected = 0
    for run in re.findall(r"[^\W_]+", "".join(c if c.isalnum() else " " for c in lowered)):
        alone = re.findall(unspaced, run)
        expected += len(alone) + len([part for part in re.split(unspaced, run) if part])
    assert len(word_hashes(text)) == expected


def test_case_and_punctuation_do_not_matter_and_scripts_without_spaces_go_by_character():
    assert np.array_equal(word_hashes("The Cat, sat!"), word_hashes("the cat sat"))
    assert len(word_hashes("日本語の文章")) == 6
    assert len(word_hashes("")) == len(word_hashes("--- !")) == 0


def test_many_different_words_have_different_hashes():
    words = [f"word{n}" for n in range(200_000)]
    hashes = word_hashes(" ".join(words))
    assert len(np.unique(hashes)) == len(words)
    assert len(np.unique(hashes >> np.uint64(44))) > 0.17 * 2**20  # the high bits alone are spread too
