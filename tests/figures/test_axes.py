"""Axes carry ticks that a reader can read, whatever their span."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scalelaws.figures.axes import log_axis, tick_text

pytestmark = pytest.mark.usefixtures("style")


def labels(low, high):
    ax = Figure().subplots()
    log_axis(ax, "x", "Size (units)")
    ax.set_xlim(low, high)
    ticks = ax.xaxis.get_major_locator()()
    return list(ticks), [ax.xaxis.get_major_formatter()(tick, None) for tick in ticks]


@settings(max_examples=150, deadline=None)
@given(st.floats(-6, 22), st.floats(0.05, 12))
def test_an_axis_has_a_few_distinct_labels_within_its_limits(start, span):
    low, high = 10**start, 10 ** (start + span)
    ticks, texts = labels(low, high)
    assert 2 <= len(ticks) <= 9
    assert all(low * 0.999 <= tick <= high * 1.001 for tick in ticks)
    assert len(set(texts)) == len(texts)


def test_a_wide_axis_is_labelled_at_decades_a_narrow_one_between_them():
    assert labels(8e3, 2e6)[1] == ["$10^{4}$", "$10^{5}$", "$10^{6}$"]
    assert labels(9e3, 2.5e5)[1] == ["10k", "20k", "50k", "100k", "200k"]
    assert labels(2.8, 6.5)[1] == ["3", "4", "5", "6"]
    assert labels(3.2, 14)[1] == ["4", "6", "8", "10"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.02, "0.02"), (3.5, "3.5"), (500, "500"), (2e5, r"$2{\times}10^{5}$"), (1e-5, "$10^{-5}$"), (0, "0")],
)
def test_tick_text(value, text):
    assert tick_text(value) == text


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 9), st.integers(-9, 24))
def test_the_text_of_a_tick_is_its_value(mantissa, exponent):
    value = mantissa * 10.0**exponent
    text = tick_text(value).strip("$").replace(r"{\times}10^{", "e").replace("10^{", "1e").rstrip("}")
    assert math.isclose(float(text), value, rel_tol=1e-6)
