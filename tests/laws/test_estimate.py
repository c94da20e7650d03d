"""What a fit may be told: weights, parameters that are held or tied; and that it says what it was told."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scalelaws.laws.estimate import fit_law
from scalelaws.laws.problem import Objective

from .cases import CASES, task

CASE = CASES["Chinchilla, 240 runs"]


def fitted(given, resamples=200):
    return fit_law(given, resamples, 1, 0.2)


def test_a_parameter_that_is_held_keeps_its_value_and_the_others_gain():
    free, held = fitted(task(CASE, 1)), fitted(replace(task(CASE, 1), fixed={"s_E": np.log(1.82)}))
    assert held.objective["fixed"] == {"s_E": np.log(1.82)}
    floor = held.parameters["E"]
    assert (floor.value, floor.low, floor.high) == pytest.approx((1.82, 1.82, 1.82))
    widths = [law.parameters["alpha"].high - law.parameters["alpha"].low for law in (held, free)]
    assert widths[0] < 0.8 * widths[1]
    assert held.objective["value"] >= free.objective["value"]


def test_tied_exponents_are_equal_in_every_resample():
    law = fitted(replace(task(CASE, 2), tied={"beta": "alpha"}))
    assert law.objective["tied"] == {"beta": "alpha"}
    assert law.best["alpha"] == law.best["beta"]
    np.testing.assert_array_equal(law.draws[:, 3], law.draws[:, 4])
    assert law.best["alpha"] == pytest.approx(0.357, abs=0.03)


def test_a_weight_of_two_is_a_row_given_twice_and_a_weight_near_zero_is_none():
    given = task(CASE, 3)
    given.rows["weight"] = np.where(given.rows.index < 60, 2.0, 1.0)
    twice = replace(given, rows=pd.concat([given.rows, given.rows.head(60)]).drop(columns="weight"))
    weighted = fitted(given, 100)
    assert weighted.objective["weights"] == "given"
    assert weighted.best == pytest.approx(fitted(twice, 100).best, rel=1e-4)
    wild = task(CASE, 3)
    wild.rows.loc[0, "observed"] *= 50
    wild.rows["weight"] = np.where(wild.rows.index == 0, 1e-12, 1.0)
    assert fitted(wild, 100).best == pytest.approx(fitted(replace(wild, rows=wild.rows.iloc[1:]), 100).best, rel=1e-4)


@pytest.mark.parametrize("objective", [Objective("log", None), Objective("loss", None), Objective("loss", 1e-3)])
def test_every_objective_finds_the_law_and_says_which_it_was(objective):
    law = fitted(replace(task(CASE, 4), objective=objective), 100)
    assert law.objective["residual"] == objective.residual
    assert law.objective["delta"] == objective.delta
    assert law.objective["loss"] == ("squared" if objective.delta is None else "huber")
    assert law.best["alpha"] == pytest.approx(0.348, abs=0.03)


def test_predictions_err_more_the_farther_they_reach_and_of_the_wrong_law_at_once():
    given = task(CASE, 5)
    rows = given.rows.assign(flops=6 * given.rows["parameters"] * given.rows["dataset_tokens"])
    tested = replace(given, rows=rows, tested=True)
    right, bent = (fitted(replace(tested, form=form), 100).extrapolation for form in ("chinchilla", "kaplan"))
    assert right["mean_error"].is_monotonic_increasing
    assert right["mean_error"].iloc[0] < CASE.noise
    assert (bent["mean_error"].iloc[:3] > 3 * right["mean_error"].iloc[:3]).all()
    assert right["decades"].is_monotonic_increasing
