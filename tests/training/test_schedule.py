from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scalelaws.training.schedule import average_weight, check_steps, evaluation_steps, learning_rate, passing_steps


@given(st.sampled_from(["cosine", "constant", "wsd"]), st.integers(2, 5000), st.integers(0, 3000))
def test_a_rate_rises_to_its_peak_and_never_above(schedule, steps, warmup):
    rates = [learning_rate(step, steps, 0.01, schedule, warmup) for step in range(1, steps + 1)]
    assert min(rates) >= 0
    assert max(rates) == pytest.approx(0.01, rel=0.01) or steps < 20
    top = int(np.argmax(rates))
    assert all(np.diff(rates[: top + 1]) >= 0)
    assert all(np.diff(rates[top:]) <= 1e-12)


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
def test_decaying_schedules_end_at_zero(schedule):
    assert learning_rate(1000, 1000, 0.01, schedule, 100) == pytest.approx(0, abs=1e-12)
    assert learning_rate(1000, 1000, 0.01, "constant", 100) == 0.01


def test_wsd_holds_for_four_fifths():
    assert learning_rate(799, 1000, 0.01, "wsd", 100) == 0.01
    assert learning_rate(900, 1000, 0.01, "wsd", 100) == pytest.approx(0.005)


@given(st.integers(2, 100_000), st.integers(2, 40))
def test_evaluations_are_log_spaced_and_end_with_the_run(steps, evaluations):
    found = evaluation_steps(steps, evaluations)
    assert found == sorted(set(found))
    assert found[0] >= 1
    assert found[-1] == steps
    assert len(found) <= evaluations
    passing = passing_steps(steps, evaluations)
    assert passing[-1] == steps
    assert set(passing) <= set(found)
    assert len(passing) == -(-len(found) // 3)


@given(st.integers(2, 10_000), st.floats(0.1, 5_000))
def test_checks_begin_after_the_first_epoch_and_are_a_tenth_and_half_an_epoch_apart(steps, epoch_steps):
    found = check_steps(steps, epoch_steps)
    assert found[-1] == steps
    assert all(step > epoch_steps for step in found[:-1])
    apart = [(before, after - before) for before, after in pairwise(found)]
    assert all(distance <= max(0.1 * before, 0.5 * epoch_steps) + 1 for before, distance in apart)
    assert all(distance >= max(0.1 * before, 0.5 * epoch_steps) - 0.5 for before, distance in apart[:-1])


@pytest.mark.parametrize("averaging", [0.1, 0.3])
def test_the_average_lags_by_half_its_share_at_every_length_of_run(averaging):
    for steps in (200, 2000):
        average = 0.0
        for step in range(1, steps + 1):
            average += average_weight(step, averaging) * (step - average)
        assert steps - average == pytest.approx(steps * averaging / 2, rel=0.1)


def test_no_averaging_is_the_weights_themselves():
    assert average_weight(17, 0) == 1.0
