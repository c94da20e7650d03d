"""Which rows a figure takes together."""

import itertools

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from scalelaws.figures.select import ALIKE, alike, on_shared_data

SIZES = st.lists(st.floats(1e3, 1e12), min_size=1, max_size=30).map(pd.Series)


def test_of_a_ragged_grid_figures_of_size_take_the_data_that_most_sizes_had():
    cells = [(N, D) for D in (1e6, 2e6, 4e6, 3e7) for N in (1e4, 4e4, 2e5, 8e5) if N * D <= 8e11]
    shown = on_shared_data(pd.DataFrame(cells, columns=["parameters", "dataset_tokens"]))
    assert set(shown["dataset_tokens"]) == {4e6} and len(shown) == 3


def test_shapes_of_nearly_one_size_are_one_size():
    assert alike(pd.Series([105.0, 300.0, 100.0, 124.0, 126.0])).tolist() == [100, 300, 100, 100, 126]


@given(SIZES)
def test_every_size_stands_for_itself_or_for_a_smaller_one_near_it(sizes):
    found = alike(sizes)
    assert found.isin(sizes).all()
    assert ((found <= sizes) & (sizes <= ALIKE * found)).all()
    apart = sorted(found.unique())
    assert all(larger > ALIKE * smaller for smaller, larger in itertools.pairwise(apart))
