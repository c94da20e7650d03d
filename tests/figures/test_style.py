"""The look is one for all figures, can be changed from the config, and tells sizes and corpora apart."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scalelaws.errors import InputError
from scalelaws.figures.style import COLUMN_INCHES, STYLES, SizeColours, category_marks, pale, styled


def luminance(colour):
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


def test_the_study_may_change_settings_and_they_end_with_the_block():
    before = mpl.rcParams["font.size"]
    with styled(changes={"font.size": 11}):
        assert mpl.rcParams["font.size"] == 11
    assert mpl.rcParams["font.size"] == before


def test_an_unknown_setting_is_refused_with_the_one_that_was_meant():
    with (
        pytest.raises(InputError, match=r"no setting 'font\.siz'.*Did you mean 'font\.size'"),
        styled(changes={"font.siz": 9}),
    ):
        pass


def test_a_refused_value_is_named():
    with (
        pytest.raises(InputError, match=r"refuses 'huge' for 'lines\.linewidth'"),
        styled(changes={"lines.linewidth": "huge"}),
    ):
        pass


def test_a_screen_has_larger_letters_than_a_column_of_a_paper():
    sizes = {}
    for style in STYLES:
        with styled(style):
            sizes[style] = mpl.rcParams["figure.figsize"][0], mpl.rcParams["font.size"]
    assert sizes["screen"] > sizes["paper"]
    assert sizes["paper"][0] == COLUMN_INCHES


def test_a_style_file_of_ones_own_is_read_and_its_mistakes_are_named(tmp_path):
    file = tmp_path / "mine.mplstyle"
    file.write_text("# mine\nfont.size: 8  # small\nfigure.figsize: 5, 4\n")
    with styled(file):
        assert (mpl.rcParams["font.size"], *mpl.rcParams["figure.figsize"]) == (8, 5, 4)
    file.write_text("font.siz: 8\n")
    with pytest.raises(InputError, match=r"mine\.mplstyle.*no setting 'font\.siz'"), styled(file):
        pass
    with pytest.raises(InputError, match="no such style or file"), styled("poster"):
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
