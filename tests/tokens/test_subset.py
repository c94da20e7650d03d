"""Subsets are nested prefixes; evaluation windows are fixed, spread out and never overlap."""

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.errors import InputError
from scalelaws.tokens.store import open_tokens
from scalelaws.tokens.subset import UNSEEN_SPREAD, subset, unseen_from, windows

from .conftest import write_token_file


def test_every_subset_holds_every_smaller_one(tmp_path):
    file = open_tokens(write_token_file(tmp_path / "a.train", [[5, 6, 7], [8], [9, 10, 11, 12]]))
    subsets = [subset(file, count) for count in range(1, file.tokens + 1)]
    for smaller, larger in itertools.pairwise(subsets):
        assert len(larger) == len(smaller) + 1
        assert np.array_equal(larger[: len(smaller)], smaller)
    assert np.array_equal(subsets[-1], file.ids)


def test_a_subset_is_not_a_copy(tmp_path):
    file = open_tokens(write_token_file(tmp_path / "a.train", [[5, 6, 7]]))
    assert np.shares_memory(subset(file, 2), file.ids)


def test_a_subset_larger_than_the_corpus_is_refused_with_both_sizes(tmp_path):
    file = open_tokens(write_token_file(tmp_path / "a.train", [[5, 6, 7]]))
    with pytest.raises(InputError, match=re.escape("config: training.dataset_tokens: 5 tokens are asked for")) as error:
        subset(file, 5)
    assert "holds 4" in str(error.value)


@given(length=st.integers(2, 5000), tokens=st.integers(2, 4000), context=st.integers(1, 64), seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_windows_fit_never_overlap_and_are_the_same_every_time(length, tokens, context, seed):
    ids = np.zeros(length, np.uint16)
    if min(tokens // context, length // (context + 1)) < 2:
        with pytest.raises(InputError, match="two are needed"):
            windows(ids, tokens, context, seed)
        return
    starts = windows(ids, tokens, context, seed)
    assert len(starts) == min(tokens // context, length // (context + 1))
    assert starts.min() >= 0 and starts.max() + context + 1 <= length
    assert np.all(np.diff(starts) >= context + 1)
    assert np.array_equal(starts, windows(ids, tokens, context, seed))


def test_windows_are_spread_over_the_whole_file():
    starts = windows(np.zeros(1_000_000, np.uint16), 12_800, 128, seed=0)
    in_each_tenth = np.histogram(starts, bins=10, range=(0, 1_000_000))[0]
    assert in_each_tenth.tolist() == [10] * 10


def test_another_seed_gives_other_windows():
    ids = np.zeros(1_000_000, np.uint16)
    assert not np.array_equal(windows(ids, 12_800, 128, seed=0), windows(ids, 12_800, 128, seed=1))


def test_a_file_too_small_gives_fewer_windows():
    assert len(windows(np.zeros(40, np.uint16), 1000, 9, seed=0)) == 4


@pytest.mark.parametrize(("tokens", "evaluated", "unseen"), [(30_000, 1000, 3000), (10**9, 1000, UNSEEN_SPREAD * 1000)])
def test_unseen_text_is_the_end_of_the_training_tokens_and_a_tenth_of_them_at_most(tokens, evaluated, unseen):
    assert unseen_from(SimpleNamespace(tokens=tokens), evaluated) == tokens - unseen
