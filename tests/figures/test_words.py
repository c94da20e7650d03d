"""Numbers are written with the digits that their intervals justify, and never say anything else than the value."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.figures.words import estimate_value, law_label, number, percent, with_interval
from scalelaws.laws.fitted import Estimate

SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.07642, "0.0764"), (3.4249, "3.42"), (1240, "1,240"), (8.8e13, "8.80×10¹³"), (-0.5, "−0.500"), (0, "0")],
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        ((0.0764, 0.0702, 0.0811), "0.0764 [0.0702, 0.0811]"),
        ((0.99993, 0.9972, 1.0023), "0.9999 [0.9972, 1.0023]"),
        ((0.5139, 0.34, 0.71), "0.51 [0.34, 0.71]"),
        ((8.8e13, 7.1e13, 9.9e13), "(8.8 [7.1, 9.9])×10¹³"),
        ((4.1e8, 1.2e8, 1.8e9), "(4.1 [1.2, 18.0])×10⁸"),
        ((3e9, 1e5, 8e14), "3.0×10⁹ [1.0×10⁵, 8.0×10¹⁴]"),
        ((-1e-13, -4e-13, 1.28), "0.000 [0.000, 1.280]"),
        ((1.0, 1.0, 1.0), "1.000 [1.000, 1.000]"),
    ],
)
def test_with_interval(estimate, text):
    assert with_interval(*estimate) == text


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-3, 1e15), st.floats(1e-4, 0.9), st.floats(1e-4, 5))
def test_the_text_says_the_value_and_its_interval(value, below, above):
    low, high = value * (1 - below), value * (1 + above)
    text = with_interval(value, low, high)
    power = re.fullmatch(r"\((.*)\)×10(.*)", text)
    scale = 10.0 ** int(power[2].translate(SUPERSCRIPTS)) if power else 1.0
    shown = [float(part) for part in re.findall(r"[\d.]+", (power[1] if power else text).replace(",", ""))]
    if "×" in text and not power:
        return
    for given_value, said in zip((value, low, high), shown, strict=False):
        assert abs(said * scale - given_value) <= 0.05 * value


def test_a_percentage_has_digits_where_they_matter():
    assert [percent(share) for share in (0.0004, 0.0231, -0.0996, 0.12)] == ["0.04%", "2.3%", "10%", "12%"]


def test_a_law_is_labelled_with_its_formula_and_every_number(laws):
    law = laws.laws["loss_of_parameters_and_data_chinchilla"]
    label = law_label(law)
    assert label.startswith(f"${law.formula}$")
    for estimate in law.parameters.values():
        assert f"${estimate.symbol}$ = {with_interval(estimate.value, estimate.low, estimate.high)}" in label


def test_a_label_fits_one_column_of_a_paper(laws):
    wide = Estimate(1.8e20, 4.3e17, 2.3e24, "parameters", "N_c")
    law = replace(laws.laws["loss_of_parameters"], parameters={"N_c": wide, "D_c": wide, "C_c": wide})
    assert len(law_label(law).splitlines()) == 4


def test_a_floor_of_nothing_is_no_tiny_number():
    assert estimate_value(Estimate(4.8e-8, 4.8e-8, 4.8e-8, "nats/token", "E")) == "0"
    assert estimate_value(Estimate(1e-5, 1e-9, 8e-4, "nats/token", "E")) == "0 [0, 8×10⁻⁴]"


def test_a_law_that_the_data_do_not_determine_says_so_first(laws):
    law = replace(laws.laws["loss_of_parameters"], status="undetermined")
    assert law_label(law).startswith("Not determined")
