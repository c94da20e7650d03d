"""Laws with known parameters on realistic designs, to check that intervals hold the truth as often as they say."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scalelaws.laws.estimate import Task
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective

SIZES = np.array([1e4, 2.5e4, 6.5e4, 1.6e5, 4e5])
SUBSETS = np.array([4e4, 1.3e5, 4e5, 1.3e6, 4e6])
WIDE = np.geomspace(1e5, 1e9, 9)


def grid(sizes, subsets, seeds=1):
    """A full grid of N and D, its two smallest subsets trained with several seeds."""
    cells = [(n, d) for d in subsets for n in sizes for _ in range(seeds if d in subsets[:2] else 1)]
    n, d = np.array(cells).T
    return {"parameters": n, "dataset_tokens": d}


def scattered(count):
    """Points spread over N and D as in the figure of Hoffmann et al. 2022."""
    rng = np.random.default_rng(240)
    return {"parameters": 10 ** rng.uniform(7.5, 10, count), "dataset_tokens": 10 ** rng.uniform(9, 11.5, count)}


@dataclass(frozen=True)
class Case:
    """A form with its true parameters, its variables by row, and the noise of ln loss (or of loss)."""

    form: str
    truth: dict[str, float]
    x: dict[str, np.ndarray]
    noise: float = 0.01
    objective: Objective = field(default_factory=Objective)


CHINCHILLA = {"E": 2.0, "A": 60.0, "B": 80.0, "alpha": 0.4, "beta": 0.32}
KAPLAN = {"alpha_N": 0.076, "alpha_D": 0.103, "N_c": 6.4e13, "D_c": 1.8e13}
DESIGN = grid(SIZES, SUBSETS, seeds=2)
CASES = {
    "L(N), 5 sizes": Case("power_of_parameters", {"alpha_N": 0.076, "N_c": 8.8e13}, {"parameters": SIZES}),
    "L(D), 9 subsets": Case("power_of_dataset_tokens", {"alpha_D": 0.095, "D_c": 5.4e13}, {"dataset_tokens": WIDE}),
    "L(C), 9 budgets": Case("power_of_flops", {"alpha_C": 0.057, "C_c": 1.4e27}, {"flops": WIDE**2}),
    "L(N) with floor, 27 runs": Case(
        "power_of_parameters_with_floor",
        {"E": 1.5, "alpha_N": 0.3, "N_0": 3e7},
        {"parameters": np.repeat(WIDE, 3)},
        noise=0.004,
    ),
    "Kaplan, 35 runs": Case("kaplan", KAPLAN, DESIGN),
    "Chinchilla, 35 runs": Case("chinchilla", CHINCHILLA, DESIGN),
    "Chinchilla, 240 runs": Case(
        "chinchilla", {"E": 1.82, "A": 482.0, "B": 2085.0, "alpha": 0.348, "beta": 0.366}, scattered(240)
    ),
    "Droppo, 240 runs": Case(
        "droppo",
        {"E": 1.8, "alpha_N": 0.25, "alpha_D": 0.25, "gamma": 0.6, "N_c": 1e9, "D_c": 2e10},
        scattered(240),
        noise=0.004,
    ),
    "Gadre, 40 runs": Case(
        "overtraining",
        {"E": 1.8, "a": 210.0, "b": 370.0, "eta": 0.136},
        {
            "parameters": np.repeat(np.geomspace(1e7, 7e9, 8), 5),
            "tokens_per_parameter": np.tile([5.0, 20.0, 80.0, 320.0, 640.0], 8),
        },
        noise=0.004,
    ),
    "Gap, 35 runs": Case("gap_power", {"G": 60.0, "p": 0.25, "q": 0.75}, DESIGN, noise=0.1),
    "B_crit(L), 12 losses": Case(
        "critical_batch", {"alpha_B": 0.21, "B_star": 2.1e8}, {"loss": np.geomspace(2.2, 6, 12)}, noise=0.1
    ),
    "OOD line, 35 runs": Case(
        "transfer_line",
        {"slope": 1.1, "offset": 0.4},
        {"loss": np.linspace(2.5, 6, 35)},
        objective=Objective("loss", 4e-3),
    ),
}


def task(case: Case, seed: int) -> Task:
    """A case's rows with fresh noise: a study that could have been."""
    form = FORMS[case.form]
    exact = form.predict(case.truth, case.x)
    noise = case.noise * np.random.default_rng(seed).standard_normal(len(exact))
    observed = exact * np.exp(noise) if form.logarithmic else exact + noise
    rows = pd.DataFrame({**case.x, "observed": observed, "used": True, "step": 0})
    rows["run"] = [f"r{i}" for i in range(len(rows))]
    first = rows[form.variables[0]]
    rows = rows.assign(**{name: rows.get(name, first) for name in ("flops", "parameters")})
    return Task(case.form, case.form, case.form, "train", "test", rows, case.objective)
