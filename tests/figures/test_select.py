"""Which rows a figure takes together."""

import itertools

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from scalelaws.figures.select import ALIKE, alike

SIZES = st.lists(st.floats(1e3, 1e12), min_size=1, max_size=30).map(pd.Series)


def test_shapes_of_nearly_one_size_are_one_size():
    assert alike(pd.Series([105.0, 300.0, 100.0, 124.0, 126.0])).tolist() == [100, 300, 100, 100, 126]


@given(SIZES)
def test_every_size_stands_for_itself_or_for_a_smaller_one_near_it(sizes):
    found = alike(sizes)
    assert found.isin(sizes).all()
    assert ((found <= sizes) & (sizes <= ALIKE * found)).all()
    apart = sorted(found.unique())
    assert all(larger > ALIKE * smaller for smaller, larger in itertools.pairwise(apart))
