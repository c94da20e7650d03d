import numpy as np
import pytest
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.solver import Held

X = {
    "parameters": np.geomspace(1e6, 1e9, 7),
    "dataset_tokens": np.geomspace(1e9, 1e11, 7)[::-1].copy(),
    "flops": np.geomspace(1e15, 1e20, 7),
    "loss": np.linspace(2.0, 5.0, 7),
    "flops_min": np.geomspace(1e14, 1e19, 7),
    "steps_min": np.geomspace(1e3, 1e6, 7)[::-1].copy(),
    "encoder_parameters": np.geomspace(1e6, 1e9, 7),
    "decoder_parameters": np.array([1e8, 2e7, 4e8, 2e9, 5e6, 3e7, 6e8]),
    "tokens_per_parameter": np.array([20.0, 5, 80, 320, 10, 640, 40]),
    "tokens": np.geomspace(2e9, 1e12, 7)[::-1] * np.array([1, 3, 1, 8, 2, 1, 5]),
    "needed_parameters": np.geomspace(5e5, 8e8, 7),
    "width": np.array([256.0, 512, 1024, 2048, 512, 1536, 3072]),
    "depth": np.array([4.0, 16, 8, 12, 32, 24, 3]),
    "position": np.array([1.0, 2, 4, 8, 20, 50, 128]),
}
OBJECTIVES = [Objective("log", None), Objective("log", 0.3), Objective("loss", None), Objective("loss", 0.7)]


def problem_of(form, objective=OBJECTIVES[0]):
    return Problem(form, {name: X[name] for name in form.variables}, objective, scale=np.linspace(0.5, 2, 7))


def somewhere(problem, seed):
    """Coordinates within the bounds, where the law is of the order of one."""
    phi = 0.3 * np.random.default_rng(seed).standard_normal((3, problem.size))
    return np.clip(phi, np.maximum(problem.lower, -1) + 0.1, np.minimum(problem.upper, 1) - 0.1)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_printed_formula_and_solver_coordinates_are_the_same_law(form):
    problem = problem_of(form)
    theta = problem.theta(somewhere(problem, 0))[:1]
    parameters = dict(zip((p.name for p in form.parameters), form.to_parameters(theta[0]), strict=True))
    law = form.predict(parameters, {name: X[name] for name in form.variables})
    fitted = problem.fitted(theta)[0]
    np.testing.assert_allclose(np.log(law) if form.logarithmic else law, fitted, rtol=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_derivatives_are_those_of_the_objective(form, objective):
    problem = problem_of(form, objective)
    phi, weights = somewhere(problem, 1), np.random.default_rng(2).uniform(0.5, 2, (3, 7))
    target = problem.target(np.linspace(3.0, 2.0, 7))

    def derivatives(phi):
        prediction = problem.prediction(phi)
        return problem.value(prediction, target, weights), *problem.derivatives(phi, prediction, target, weights)

    _, gradient, hessian, stiffness = derivatives(phi)
    assert (stiffness > 0).all()
    for i, shift in enumerate(1e-5 * np.eye(problem.size)):
        up, down = (derivatives(phi + sign * shift) for sign in (1, -1))
        np.testing.assert_allclose(gradient[:, i], (up[0] - down[0]) / 2e-5, atol=1e-6 * np.abs(gradient).max())
        np.testing.assert_allclose(hessian[:, i], (up[1] - down[1]) / 2e-5, atol=1e-5 * np.abs(hessian).max())


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_held_coordinate_keeps_its_value_and_the_others_have_the_right_derivatives(form):
    problem = problem_of(form)
    start, weights = somewhere(problem, 1), np.random.default_rng(2).uniform(0.5, 2, (3, 7))
    target = problem.target(np.linspace(3.0, 2.0, 7))
    for column in range(problem.size):
        values = problem.theta(start)[:, column] + 0.01
        held = Held.at(problem, np.full(3, column), values)
        phi = held.kept(start)
        np.testing.assert_allclose(problem.theta(phi)[:, column], values, atol=1e-10)

        def derivatives(phi, held=held):
            phi = held.kept(phi)
            prediction = problem.prediction(phi)
            found = held.reduced(*problem.derivatives(phi, prediction, target, weights)[:2])
            return problem.value(prediction, target, weights), *found

        _, gradient, hessian = derivatives(phi)
        for i, shift in enumerate(1e-5 * np.eye(problem.size)):
            up, down = (derivatives(phi + sign * shift) for sign in (1, -1))
            np.testing.assert_allclose(gradient[:, i], (up[0] - down[0]) / 2e-5, atol=1e-5 * np.abs(gradient).max())
            np.testing.assert_allclose(hessian[:, i], (up[1] - down[1]) / 2e-5, atol=1e-4 * np.abs(hessian).max())


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_declared_in_full(form):
    assert form.source
    assert form.formula
    assert len(form.coordinates) == len(form.parameters)
    assert all(p.role in {"exponent", "scale", "floor", "slope", "offset"} for p in form.parameters)
