import math
from dataclasses import replace

import numpy as np
import pytest
from scalelaws.errors import InputError
from scalelaws.laws.budget import (
    CHINCHILLA,
    HIGHEST_LOSS,
    QUANTITIES,
    RATIOS,
    best_design,
    doubted,
    expected_errors,
    jacobian,
    optimum,
    plain_grid,
    prior_of,
)
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.starts import refit, solve
from scalelaws.laws.study import fit_laws
from scalelaws.models.shapes import shape_of

from .synthetic import CHINCHILLA as TRUTH
from .synthetic import study

BUDGET, RUNS, TARGET, SIZES, NOISE = 1e20, 20, 1e21, (3e6, 1e9), 0.005


@pytest.fixture(scope="module")
def design():
    return best_design(BUDGET, RUNS, TARGET, SIZES, 1e12)


def loss(law, n, d):
    return FORMS["chinchilla"].predict(law, {"parameters": n, "dataset_tokens": d})


def test_a_design_spends_its_budget_on_runs_that_can_be_made(design):
    assert len(design.parameters) == RUNS
    assert 0.9 * BUDGET < design.flops.sum() <= BUDGET
    ratios = design.tokens / design.parameters
    assert RATIOS[0] <= ratios.min() and ratios.max() <= RATIOS[1]
    assert loss(CHINCHILLA, design.parameters, design.tokens).max() <= HIGHEST_LOSS
    assert len({*zip(design.parameters, design.tokens, strict=True)}) == RUNS
    assert 0.8 * SIZES[0] <= design.parameters.min() and design.parameters.max() <= 1.25 * SIZES[1]


def test_a_corpus_limits_the_tokens():
    assert best_design(BUDGET, RUNS, TARGET, SIZES, 2e9).tokens.max() <= 2e9


def test_the_jacobian_is_the_derivative(design):
    n, d = design.parameters, design.tokens
    analytic = jacobian(CHINCHILLA, n, d, design)
    n0, d0, step = np.exp(np.log(n).mean()), np.exp(np.log(d).mean()), 1e-6
    shifted = {
        "E": lambda law, h: {**law, "E": law["E"] + h},
        "A": lambda law, h: {**law, "A": law["A"] * math.exp(h)},
        "B": lambda law, h: {**law, "B": law["B"] * math.exp(h)},
        "alpha": lambda law, h: {**law, "alpha": law["alpha"] + h, "A": law["A"] * n0**h},
        "beta": lambda law, h: {**law, "beta": law["beta"] + h, "B": law["B"] * d0**h},
    }
    for column, change in enumerate(shifted.values()):
        up, down = (np.log(loss(change(CHINCHILLA, h), n, d)) for h in (step, -step))
        np.testing.assert_allclose(analytic[:, column], (up - down) / 2 / step, rtol=1e-5)


def test_the_optimum_is_where_no_other_split_is_better():
    n, d = optimum(CHINCHILLA, 1e21)
    assert 6 * n * d == pytest.approx(1e21)
    for factor in (0.9, 1.1):
        assert loss(CHINCHILLA, n * factor, d / factor) > loss(CHINCHILLA, n, d)


def test_fits_to_synthetic_studies_err_by_what_was_expected(design):
    studies = 300
    x = {"parameters": design.parameters, "dataset_tokens": design.tokens}
    exact = loss(CHINCHILLA, *x.values())
    observed = exact * np.exp(NOISE * np.random.default_rng(0).standard_normal((studies, len(exact))))
    problem = Problem(FORMS["chinchilla"], x, Objective("log", None))
    start = solve(problem, exact, np.ones(len(exact))).theta
    fits = refit(problem, np.repeat(start, studies, axis=0), observed, np.ones(observed.shape))
    floor, _, _, alpha, beta = problem.form.to_parameters(fits.theta).T
    expected = expected_errors(design, CHINCHILLA, NOISE, TARGET)
    found = {"E": floor, "alpha": alpha, "beta": beta, "a": beta / (alpha + beta)}
    for name, values in found.items():
        assert 1.96 * values.std() == pytest.approx(expected[name], rel=0.15), name


@pytest.mark.parametrize("law", doubted(CHINCHILLA), ids=range(5))
@pytest.mark.parametrize("span", [10, 30, 60])
def test_a_design_beats_plain_grids_of_its_cost_also_where_the_prior_is_wrong(design, law, span):
    grid = plain_grid(BUDGET, (5, 4), (span, span))
    assert grid.flops.sum() == pytest.approx(BUDGET)
    ours, plain = (expected_errors(d, law, NOISE, TARGET) for d in (design, grid))
    assert np.mean([math.log(plain[name] / ours[name]) for name in QUANTITIES]) > math.log(1.3)


def test_a_budget_that_is_too_small_says_what_to_do():
    with pytest.raises(InputError, match=r"1e\+10 FLOPs buy fewer than 20 runs .* Allow other sizes or fewer runs"):
        best_design(1e10, RUNS, TARGET, SIZES, 1e12)


def test_sizes_below_that_of_any_model_say_what_to_do():
    with pytest.raises(InputError, match=r"runs of N 1 to 30 .* Allow other sizes"):
        best_design(BUDGET, RUNS, TARGET, (1, 30), 1e12)


def test_a_budget_in_total_flops_pays_for_attention_and_output_layer():
    design = best_design(1e18, 10, 1e19, (1e5, 3e7), 1e12, total=True)
    shapes = [shape_of(n, 1024, 50257) for n in design.parameters]
    assert design.flops_total == pytest.approx([3 * s.forward_flops for s in shapes] * design.tokens)
    assert 0.8e18 < design.flops_total.sum() <= 1e18
    assert design.flops.sum() < 0.8e18


def test_a_study_s_own_law_and_noise_can_be_believed():
    laws = fit_laws(
        study(noise=0.01, seeds=1), {"fit": ["loss_of_parameters_and_data_chinchilla"], "resamples": 100}, 0
    )
    law, noise = prior_of(laws, "laws.json")
    assert law["alpha"] == pytest.approx(TRUTH["alpha"], abs=0.1)
    assert noise == pytest.approx(0.01, rel=0.5)
    design = best_design(1e16, 12, 1e17, (1e4, 3e6), 1e9, law)
    assert loss(law, design.parameters, design.tokens).max() <= HIGHEST_LOSS
    with pytest.raises(InputError, match=r"laws\.json: holds no fitted law of N and D"):
        prior_of(replace(laws, laws={}), "laws.json")
