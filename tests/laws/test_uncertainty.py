from dataclasses import replace

import numpy as np
import pytest
from scalelaws.laws.estimate import fit_law
from scalelaws.laws.uncertainty import interval, student

from .cases import CASES, task

STUDIES, RESAMPLES = 60, 200


@pytest.mark.parametrize("name", ["L(N), 5 sizes", "L(D), 9 subsets", "Gap, 35 runs"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(name):
    """60 studies: a true rate of 95% gives less than 85% once in a thousand. benchmarks/laws.py checks it closely."""
    case = CASES[name]
    fits = [fit_law(task(case, seed), RESAMPLES, seed, 0.2).parameters for seed in range(STUDIES)]
    for key, truth in case.truth.items():
        held = np.mean([fit[key].contains(truth) for fit in fits])
        assert held >= 0.85, (key, held)


@pytest.mark.parametrize("name", ["Chinchilla, 240 runs", "Kaplan, 35 runs"])
def test_the_truth_comes_back_without_bias_beyond_the_noise(name):
    case = CASES[name]
    fits = [fit_law(task(case, seed), 100, seed, 0.2).parameters for seed in range(20)]
    for key, truth in case.truth.items():
        values = np.log([fit[key].value for fit in fits])
        assert abs(np.median(values) - np.log(truth)) < values.std(), key


def test_four_times_the_noise_is_four_times_the_interval():
    case = CASES["L(D), 9 subsets"]
    rows = task(case, 1).rows
    exact = rows["observed"] / np.exp(case.noise * np.random.default_rng(1).standard_normal(len(rows)))
    widths = []
    for factor in (1, 4):
        noisy = task(case, 1)
        noisy.rows["observed"] = exact * (rows["observed"] / exact) ** factor
        estimate = fit_law(noisy, RESAMPLES, 1, 0.2).parameters["alpha_D"]
        widths.append(estimate.high - estimate.low)
    assert widths[1] / widths[0] == pytest.approx(4, rel=0.1)


def test_few_degrees_of_freedom_widen_an_interval_as_students_t_does():
    assert student(3) == pytest.approx(3.182 / 1.960, abs=1e-3)
    assert student(1e6) == pytest.approx(1, abs=1e-4)


def test_an_interval_leaves_a_fortieth_on_either_side():
    low, high = interval(np.arange(1001.0)[:, None])
    assert (low[0], high[0]) == pytest.approx((25, 975))


def test_a_floor_that_the_data_cannot_tell_from_zero_has_an_interval_that_says_so():
    case = replace(CASES["Chinchilla, 35 runs"], truth={"E": 1e-6, "A": 30.0, "B": 80.0, "alpha": 0.15, "beta": 0.32})
    laws = [fit_law(task(case, seed), RESAMPLES, seed, 0.2) for seed in range(6)]
    vanished = [law for law in laws if law.parameters["E"].value < 0.01]
    assert vanished
    for law in vanished:
        assert law.parameters["E"].high > 0.2
        assert law.parameters["alpha"].high - law.parameters["alpha"].low > 0.02
        assert any("cannot be told from zero" in message for message in law.messages)
