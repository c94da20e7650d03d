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
    """A form with its true parameters, its variables by row, and the noise of ln loss (or of loss).

    Several rows of one run, its learning curve, share one draw of noise.
    """

    form: str
    truth: dict[str, float]
    x: dict[str, np.ndarray]
    noise: float = 0.01
    objective: Objective = field(default_factory=Objective)
    rows_per_run: int = 1


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
    "L(D) with floor, 27 runs": Case(
        "power_of_dataset_tokens_with_floor",
        {"E": 1.5, "alpha_D": 0.3, "D_0": 3e7},
        {"dataset_tokens": np.repeat(WIDE, 3)},
        noise=0.004,
    ),
    "L(C) with floor, 18 runs": Case(
        "power_of_flops_with_floor",
        {"E": 1.5, "alpha_C": 0.15, "C_0": 1e15},
        {"flops": np.repeat(WIDE, 2) ** 2},
        noise=0.002,
    ),
    "L(N) with floor, 6 sizes": Case(
        "power_of_parameters_with_floor",
        {"E": 1.5, "alpha_N": 0.3, "N_0": 3e7},
        {"parameters": np.geomspace(1e5, 1e9, 6)},
        noise=0.004,
    ),
    "L(C_min), 9 budgets": Case("power_of_flops_min", {"alpha_C": 0.05, "C_c": 2.7e28}, {"flops_min": WIDE**2}),
    "L(N,S), 24 curves": Case(
        "kaplan_steps",
        {"alpha_N": 0.077, "alpha_S": 0.76, "N_c": 6.5e13, "S_c": 2.1e3},
        {
            "parameters": np.repeat(np.geomspace(1e5, 1e9, 24), 6),
            "steps_min": np.tile(np.geomspace(2e3, 1e5, 6), 24),
        },
        noise=0.005,
        rows_per_run=6,
    ),
    "Kaplan, 35 runs": Case("kaplan", KAPLAN, DESIGN),
    "Chinchilla, 35 runs": Case("chinchilla", CHINCHILLA, DESIGN),
    "Chinchilla, E near 0, 35 runs": Case(
        "chinchilla", {"E": 1e-6, "A": 30.0, "B": 80.0, "alpha": 0.15, "beta": 0.32}, DESIGN
    ),
    "Chinchilla, small E, 35 runs": Case(
        "chinchilla", {"E": 0.4, "A": 30.0, "B": 80.0, "alpha": 0.15, "beta": 0.32}, DESIGN
    ),
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
    "Ghorbani, 36 runs": Case(
        "encoder_decoder",
        {"E": 1.3, "A": 60.0, "p_e": 0.12, "p_d": 0.1},
        {
            "encoder_parameters": np.repeat(np.geomspace(1e7, 1e9, 6), 6),
            "decoder_parameters": np.tile(np.geomspace(1e7, 1e9, 6), 6),
        },
        noise=0.002,
    ),
    "Repeated data, 96 runs": Case(
        "repeated_data",
        {"E": 1.87, "A": 521.0, "B": 1488.0, "alpha": 0.35, "beta": 0.35, "R_N": 5.3, "R_D": 15.4},
        {
            "parameters": np.tile(np.repeat(np.geomspace(1e7, 8e9, 6), 4), 4),
            "needed_parameters": np.minimum(
                np.tile(np.repeat(np.geomspace(1e7, 8e9, 6), 4), 4), np.repeat(np.geomspace(1e8, 3e10, 4), 24) / 20
            ),
            "tokens": np.tile([1.0, 4.0, 16.0, 64.0], 24) * np.repeat(np.geomspace(1e8, 3e10, 4), 24),
            "dataset_tokens": np.repeat(np.geomspace(1e8, 3e10, 4), 24),
        },
        noise=0.004,
    ),
    "Shape, 80 runs": Case(
        "shape_of_width_depth_dataset",
        {"E": 1.8, "A_w": 30.0, "A_d": 1.0, "A_D": 2000.0, "a_w": 0.6, "a_d": 0.7, "a_D": 0.37},
        {
            "width": np.tile(np.repeat([256.0, 512, 1024, 2048, 4096], 4), 4),
            "depth": np.tile([4.0, 8, 24, 64], 20),
            "dataset_tokens": np.repeat(np.geomspace(1e9, 1e11, 4), 20),
        },
        noise=0.002,
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
    runs = np.arange(len(exact)) // case.rows_per_run
    noise = case.noise * np.random.default_rng(seed).standard_normal(runs[-1] + 1)[runs]
    observed = exact * np.exp(noise) if form.logarithmic else exact + noise
    rows = pd.DataFrame({**case.x, "observed": observed, "used": True, "step": 0})
    rows["run"] = [f"r{run}" for run in runs]
    first = rows[form.variables[0]]
    rows = rows.assign(**{name: rows.get(name, first) for name in ("flops", "parameters")})
    return Task(case.form, case.form, case.form, "train", "test", rows, case.objective, tested=False)
