"""What intervals are worth is measured on runs that the law has not seen."""

from dataclasses import replace

import numpy as np
import pytest
from scalelaws.figures.refits import unseen_inside, widths_by_runs
from scalelaws.laws.study import fit_laws

from .study import CHINCHILLA, synthetic_observations

NAME = "loss_of_parameters_and_data_chinchilla"
NOISE = 0.01


@pytest.fixture(scope="module")
def lawful():
    """Runs whose results follow Chinchilla's law but for the noise between seeds, and that law fitted to them."""
    observations = synthetic_observations()
    p, rng = CHINCHILLA, np.random.default_rng(4)
    runs = observations.runs.set_index("run")
    expected = p["E"] + p["A"] * runs["parameters"] ** -p["alpha"] + p["B"] * runs["dataset_tokens"] ** -p["beta"]
    noisy = expected * np.exp(NOISE * rng.standard_normal(len(expected)))
    losses = observations.losses.query("result and corpus == 'documentation' and split == 'test'")
    observations = replace(observations, losses=losses.assign(loss=losses["run"].map(noisy)))
    return observations, fit_laws(observations, {"resamples": 200, "fit": [NAME]}, seed=1).laws[NAME]


def test_intervals_of_a_true_law_hold_about_as_many_unseen_runs_as_they_promise(lawful):
    half, most = unseen_inside(*lawful, np.array([0.5, 0.95]))
    assert 0.3 < half < 0.75
    assert most > 0.85


def test_more_runs_give_narrower_intervals(lawful):
    widths = widths_by_runs(*lawful)
    for _, rows in widths.groupby("series"):
        assert rows["width"].iloc[-1] < rows["width"].iloc[0]
    assert widths["runs"].max() == len(lawful[0].runs)
