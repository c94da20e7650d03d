import numpy as np
import pytest
from scalelaws.laws import kaplan

PAPER = kaplan.DataLaw(alpha_n=0.076, alpha_d=0.103, N_c=6.4e13, D_c=1.8e13)


def test_adjustments_meet_at_the_critical_batch():
    assert kaplan.critical_batch(2.0, 2.1e8, 0.21) == pytest.approx(2.1e8 / 2 ** (1 / 0.21))
    assert kaplan.least_steps(1000, 64, 64) == pytest.approx(500)
    assert kaplan.least_flops(1000, 64, 64) == pytest.approx(500)
    assert kaplan.least_steps(1000, 1e9, 64) == pytest.approx(1000, rel=1e-6)
    assert kaplan.least_flops(1000, 1e-9, 64) == pytest.approx(1000, rel=1e-6)


def test_a_scan_of_batch_sizes_gives_back_its_tradeoff():
    steps = np.array([1.1, 1.5, 2, 4, 10]) * 700
    examples = kaplan.examples_for_steps(steps, 700, 3e6)
    np.testing.assert_allclose((steps / 700 - 1) * (examples / 3e6 - 1), 1)
    np.testing.assert_allclose(kaplan.tradeoff(steps, examples), (700, 3e6))


def test_the_data_that_avoids_overfitting_grows_as_published():
    sizes = np.array([1e6, 1e9])
    data = PAPER.enough_data(sizes)
    assert np.log(data[1] / data[0]) / np.log(1e3) == pytest.approx(0.74, abs=0.005)
    np.testing.assert_allclose(data, 5e3 * sizes**0.74, rtol=0.25)
    np.testing.assert_allclose(PAPER.overfitting(sizes, data), 0.02)


def test_overfitting_depends_on_one_ratio():
    ratio = 0.076 / 0.103
    one, two = PAPER.overfitting(1e6, 1e8), PAPER.overfitting(1e8, 1e8 * 100**ratio)
    assert one == pytest.approx(two)


def test_stopping_comes_later_with_more_data():
    stops = PAPER.earliest_stop(1e7, np.array([1e7, 1e8, 1e9]), S_c=2.1e3, alpha_S=0.76)
    assert (np.diff(stops) > 0).all()


def test_exponents_of_compute_follow_from_the_other_laws():
    found = kaplan.compute_exponents(alpha_N=0.077, alpha_S=0.76, alpha_B=0.21)
    assert found["loss"] == pytest.approx(0.052, abs=0.002)
    assert found["parameters"] + found["dataset_tokens"] == pytest.approx(1)
    measured = {"parameters": 0.73, "batch_tokens": 0.24, "steps": 0.03, "dataset_tokens": 0.27}
    assert all(found[name] == pytest.approx(value, abs=0.055) for name, value in measured.items())


def test_efficient_runs_stop_ten_percent_above_convergence():
    assert kaplan.efficient_excess(0.077, 0.76) == pytest.approx(0.10, abs=0.005)


def test_sizes_from_0_6_to_2_2_of_the_best_cost_at_most_a_fifth_more():
    assert kaplan.cost_of_size(1.0, 0.077, 0.76) == pytest.approx(1)
    assert kaplan.cost_of_size([0.6, 2.2], 0.077, 0.76) == pytest.approx([1.18, 1.20], abs=0.03)
    around = kaplan.cost_of_size([0.99, 1.0, 1.01], 0.077, 0.76)
    assert around.argmin() == 1
    assert np.isnan(kaplan.cost_of_size(0.1, 0.077, 0.76))


@pytest.mark.parametrize(("growth", "flops", "loss"), [((0.27, 2e10), 1.1e4, 1.67), ((0.26, 4e10), 1.06e5, 1.49)])
def test_the_laws_contradict_each_other_where_they_cross(growth, flops, loss):
    found = kaplan.contradiction((0.050, 3.1e8), (0.095, 5.4e13), growth)
    assert found == pytest.approx((flops, loss), rel=0.03)
    assert (5.4e13 / (growth[1] * found[0] ** growth[0])) ** 0.095 == pytest.approx(found[1])
