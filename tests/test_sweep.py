"""What a variant of a sweep is called, and what its name tells."""

import pytest
from scalelaws.sweep import changes_only, most_runs, variants


def names(**settings):
    """Of the variants that change these settings, each to every one of its values."""
    return [variant.name for variant in variants({"sweep": [settings]})[1:]]


@pytest.mark.parametrize(
    ("setting", "value", "label"),
    [("learning_rate", 5e-5, "rate0.00005"), ("weight_decay", 1e-6, "decay0.000001"),
     ("learning_rate", {"times_width": 2e-5, "at_batch_tokens": 1_048_576}, "ratewidth0.00002at1048576"),
     ("max_tokens", 1e16, "max10000000000000000")],
)  # fmt: skip
def test_numbers_are_named_by_their_decimals(setting, value, label):
    (name,) = names(**{setting: value})
    assert name == label
    assert changes_only(name, [setting])


def test_names_that_need_no_exponent_stay_as_studies_have_them():
    assert names(learning_rate=[0.0005, "kaplan", {"times_width": 0.4, "at_batch_tokens": 1024}]) == [
        "rate0.0005", "ratekaplan", "ratewidth0.4at1024",
    ]  # fmt: skip
    assert names(max_tokens=[4_000_000, 1.3e11], dropout=0.0) == [
        "max4000000-dropout0.0", "max130000000000.0-dropout0.0",
    ]  # fmt: skip


def test_runs_are_counted_as_they_are_made():
    grid = {"parameters": [1e3, 1e4], "dataset_tokens": [1e4, 1e5], "repeats": {"seeds": 3, "dataset_tokens": [1e4]}}
    sweep = [{"context": [32, 64], "dropout": 0.1}, {"parameters": [1e5], "dataset_tokens": [1e4]}]
    assert most_runs({**grid, "sweep": []}) == 2 * (3 + 1)
    assert most_runs({**grid, "sweep": sweep}) == 8 + 2 * 8 + 3
