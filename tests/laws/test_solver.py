import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.solver import minimise
from scalelaws.laws.starts import solve

CHINCHILLA = FORMS["chinchilla"]
TRUTH = np.array([1.82, 482.0, 2085.0, 0.348, 0.366])


def points(count, noise, seed, form=CHINCHILLA, truth=TRUTH):
    rng = np.random.default_rng(seed)
    x = {"parameters": 10 ** rng.uniform(7, 10, count), "dataset_tokens": 10 ** rng.uniform(9, 11.5, count)}
    exact = form.predict(dict(zip((p.name for p in form.parameters), truth, strict=True)), x)
    return x, exact * np.exp(noise * rng.standard_normal(count))


@settings(max_examples=15, deadline=None)
@given(
    E=st.floats(1.0, 3.0),
    at_1b=st.tuples(st.floats(0.1, 1.0), st.floats(0.1, 1.0)),
    alpha=st.floats(0.15, 0.8),
    beta=st.floats(0.15, 0.8),
)
def test_exact_data_give_back_the_law(E, at_1b, alpha, beta):
    truth = np.array([E, at_1b[0] * 1e8**alpha, at_1b[1] * 1e10**beta, alpha, beta])
    x, loss = points(60, 0.0, 0, truth=truth)
    solution = solve(Problem(CHINCHILLA, x, Objective()), loss, np.ones(60))
    np.testing.assert_allclose(CHINCHILLA.to_parameters(solution.theta[0]), truth, rtol=1e-4)


@pytest.mark.parametrize("key", ["chinchilla", "kaplan"])
def test_the_order_of_rows_does_not_matter(key):
    x, loss = points(80, 0.01, 1)
    problem = Problem(FORMS[key], x, Objective())
    best = solve(problem, loss, np.ones(80))
    order = np.random.default_rng(3).permutation(80)
    shuffled = Problem(FORMS[key], {name: values[order] for name, values in x.items()}, Objective())
    other = solve(shuffled, loss[order], np.ones(80))
    assert other.objective[0] == pytest.approx(best.objective[0], rel=1e-11)
    np.testing.assert_allclose(other.theta, best.theta, rtol=1e-5)


def test_a_batch_gives_what_its_resamples_give_one_by_one():
    x, loss = points(60, 0.01, 4)
    problem = Problem(CHINCHILLA, x, Objective())
    best = solve(problem, loss, np.ones(60))
    weights = np.random.default_rng(5).multinomial(60, np.full(60, 1 / 60), size=20).astype(float)
    batch = minimise(problem, np.repeat(best.theta, 20, axis=0), loss, weights)
    alone = [minimise(problem, best.theta, loss, row[None]).objective[0] for row in weights]
    np.testing.assert_allclose(batch.objective, alone, rtol=1e-9)
    assert batch.converged.all()


def test_weights_are_repetitions():
    x, loss = points(40, 0.01, 6)
    weights = np.ones(40)
    weights[:10] = 2
    repeated = {name: np.concatenate([values, values[:10]]) for name, values in x.items()}
    weighted = solve(Problem(CHINCHILLA, x, Objective()), loss, weights)
    doubled = solve(Problem(CHINCHILLA, repeated, Objective()), np.concatenate([loss, loss[:10]]), np.ones(50))
    assert weighted.objective[0] == pytest.approx(doubled.objective[0], rel=1e-10)


def test_huber_ignores_a_wild_point_and_squares_do_not():
    x, loss = points(60, 0.002, 7)
    loss[0] *= 2
    errors = [
        abs(
            CHINCHILLA.to_parameters(solve(Problem(CHINCHILLA, x, Objective("log", d)), loss, np.ones(60)).theta[0])[0]
            - 1.82
        )
        for d in (1e-3, None)
    ]
    assert errors[0] < 0.03 < errors[1]


def test_an_exponent_that_the_data_push_below_zero_stops_at_its_bound():
    x = {"parameters": np.geomspace(1e6, 1e9, 6)}
    form = FORMS["power_of_parameters"]
    rising = np.array([2.0, 2.1, 2.2, 2.3, 2.4, 2.5])
    solution = solve(Problem(form, x, Objective()), rising, np.ones(6))
    assert solution.at_bound[0, form.coordinates.index("b")]
    assert solution.converged[0]


def test_of_equally_good_optima_the_same_one_is_found_from_any_order_of_rows():
    """Six rows, far from one line: absolute deviations are least along a whole stretch of slopes."""
    x = np.array([250_000.0, 25_000.0, 800_000.0, 80_000.0, 8_000.0, 8_000.0])
    y = np.array([5.221, 6.597, 5.039, 5.859, 7.198, 7.222])
    found = []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(6)
        problem = Problem(FORMS["power_of_dataset_tokens"], {"dataset_tokens": x[order]}, Objective("log", 1e-3))
        found.append(solve(problem, y[order], np.ones(6)).theta[0])
    np.testing.assert_allclose(found, np.broadcast_to(found[0], (6, 2)), rtol=1e-4)
