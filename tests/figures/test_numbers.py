"""What stands in the CSV beside a figure is what the figure draws."""

import numpy as np
import pytest
from scalelaws.figures.marks import band, canvas, curve, key, law_curve, points
from scalelaws.figures.numbers import numbers_of

pytestmark = pytest.mark.usefixtures("style")
X = np.array([1.0, 2.0, 4.0, 8.0])


def test_points_curves_bands_and_intervals_come_back_as_they_were_drawn():
    sheet, (ax,) = canvas()
    ax.set(xlabel="size", ylabel="loss")
    points(ax, X, X + 1, "runs", "black", errors=(X + 0.5, X + 1.5))
    curve(ax, X, 3 * X, "law", "black")
    band(ax, X, 2 * X, 4 * X, "law, 95%", "black")
    table = numbers_of(sheet)
    assert set(table["panel"]) == {"loss against size"}
    got = {mark: rows.reset_index(drop=True) for mark, rows in table.groupby("mark")}
    assert {mark: set(rows["series"]) for mark, rows in got.items()} == {
        "points": {"runs"},
        "interval of y": {"runs"},
        "line": {"law"},
        "band": {"law, 95%"},
    }
    np.testing.assert_allclose(got["points"][["x", "y"]], np.c_[X, X + 1])
    np.testing.assert_allclose(got["interval of y"][["x", "low", "high"]], np.c_[X, X + 0.5, X + 1.5])
    np.testing.assert_allclose(got["line"][["x", "y"]], np.c_[X, 3 * X])
    np.testing.assert_allclose(got["band"][["x", "low", "high"]], np.c_[X, 2 * X, 4 * X])


def test_intervals_across_x_come_back_as_ends_of_x():
    sheet, (ax,) = canvas()
    points(ax, [2.0], [0.0], "offset", "black", across=([1.5], [2.5]))
    row = numbers_of(sheet).query("mark == 'interval of x'").iloc[0]
    assert (row["y"], row["low"], row["high"]) == (0.0, 1.5, 2.5)


def test_reference_lines_and_legend_keys_are_no_data():
    sheet, (ax,) = canvas()
    ax.axhline(1)
    key(ax, "black", "a law")
    assert numbers_of(sheet).empty


def test_a_law_is_solid_where_it_was_fitted_and_dashed_beyond():
    sheet, (ax,) = canvas()
    law_curve(ax, X, X, None, (2.0, 4.0), "law", "black")
    drawn = {line.get_gid(): line for line in ax.lines if len(line.get_xdata())}
    assert drawn["law"].get_linestyle() == "-"
    assert drawn["law, extrapolated"].get_linestyle() == "--"
    table = numbers_of(sheet).dropna(subset="y")
    assert list(table.loc[table["series"] == "law", "x"]) == [2, 4]
    assert sorted(table.loc[table["series"] != "law", "x"]) == [1, 2, 4, 8]
