"""The look is one for all figures, can be changed from the config, and tells sizes and corpora apart."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scalelaws.errors import InputError
from scalelaws.figures.style import SizeColours, category_marks, pale, styled


def luminance(colour):
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


def test_the_study_may_change_settings_and_they_end_with_the_block():
    before = mpl.rcParams["font.size"]
    with styled({"font.size": 11}):
        assert mpl.rcParams["font.size"] == 11
    assert mpl.rcParams["font.size"] == before


def test_an_unknown_setting_is_refused_with_the_one_that_was_meant():
    with pytest.raises(InputError, match=r"no setting 'font\.siz'.*Did you mean 'font\.size'"), styled({"font.siz": 9}):
        pass


def test_a_refused_value_is_named():
    with pytest.raises(InputError, match=r"refuses 'huge' for 'lines\.linewidth'"), styled({"lines.linewidth": "huge"}):
        pass


@pytest.mark.parametrize("dial", ["N", "D", "C"])
def test_sizes_grow_lighter_one_by_one_and_stay_visible_on_white(dial):
    colours = SizeColours([1e3, 1e4, 1e5, 1e6, 1e7], dial)
    lightness = [luminance(colours(size)) for size in colours.sizes]
    assert lightness == sorted(lightness)
    assert min(np.diff(lightness)) > 0.05
    assert lightness[-1] < 0.82
    assert len({colours.marker(size) for size in colours.sizes}) == 5


def test_one_size_alone_has_a_colour():
    assert len(SizeColours([1e4], "N")(1e4)) == 4


def test_corpora_differ_in_colour_and_in_marker():
    marks = category_marks(["a", "b", "c", "d", "e", "f"])
    assert len({colour for colour, _ in marks.values()}) == len({marker for _, marker in marks.values()}) == 6


def test_a_pale_colour_lies_between_it_and_white():
    assert luminance("#0072b2") < luminance(pale("#0072b2")) < 1
