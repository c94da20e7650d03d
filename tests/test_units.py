"""Units and conversions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scalelaws.units import (
    PF_DAY,
    bits_per_byte,
    non_embedding_parameters,
    readable,
    total_parameters,
    training_flops,
)


def test_flops_of_gpt3_are_those_that_its_paper_gives():
    # Brown et al. 2020, table D.1: 174.6B parameters, 300B tokens, 3.64e3 PF-days
    assert training_flops(174.6e9, 300e9) / PF_DAY == pytest.approx(3.64e3, rel=0.01)


def test_a_uniform_guess_of_bytes_costs_eight_bits_each():
    assert bits_per_byte(math.log(256), bytes_per_token=1) == pytest.approx(8)
    assert bits_per_byte(math.log(256), bytes_per_token=4) == pytest.approx(2)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        *((768, "768"), (999, "999"), (1000, "1k"), (40_000, "40k"), (1_300_000, "1.3M"), (22_000_000, "22M")),
        *((1_500_000_000, "1.5B"), (999_400, "999k"), (999_600, "1M"), (23e9, "23B"), (5e12, "5T"), (999.6e9, "1T")),
    ],
)
def test_counts_are_written_as_people_write_them(count, text):
    assert readable(count) == text


@given(st.floats(1, 1e13))
def test_a_readable_count_is_within_half_a_percent(count):
    text = readable(count)
    unit = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text[-1], 1)
    assert float(text.rstrip("kMBT")) * unit == pytest.approx(count, rel=0.0051)


def test_counting_embeddings_and_leaving_them_out_undo_each_other():
    sizes = np.geomspace(1e3, 1e12, 30)
    np.testing.assert_allclose(non_embedding_parameters(total_parameters(sizes)), sizes, rtol=1e-6)


def test_embeddings_matter_for_small_models_only():
    assert total_parameters(1e6) / 1e6 > 4
    assert total_parameters(7e10) / 7e10 == pytest.approx(1, abs=0.01)
