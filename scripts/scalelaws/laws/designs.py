"""Laws of tables that vary more than N and D: repeats, over-training, width and depth, encoder and decoder."""

import numpy as np
import pandas as pd

from scalelaws.laws.curves import FIRST_EPOCH
from scalelaws.laws.estimate import Task
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.rows import result_rows
from scalelaws.laws.starts import solve
from scalelaws.laws.status import FEWEST_VALUES, sparse
from scalelaws.observations.table import Observations

ROUNDS = 3
"""How often the size that data need is computed anew from the law that was fitted with it."""


def design_tasks(shapes: Observations, halves: Observations, objective: Objective) -> list[Task]:
    """The laws of the held-out loss that a table's design may determine.

    shapes: the grid and what varies a model's shape; halves: the grid and what varies an encoder's share.
    """
    train = shapes.train_corpus
    results = shapes.results(train)
    rows = result_rows(results).assign(width=results["d_model"], depth=results["n_layer"])
    of_halves = halves.results(train)
    encoders = _halves(result_rows(of_halves), of_halves)
    tables = {
        "loss_of_overtraining": ("overtraining", "L(N,M), over-training", _overtrained(rows)),
        "loss_of_repeated_data": ("repeated_data", "L(N,D), repeated data", _repeated(rows, objective)),
        "loss_of_shape": ("shape_of_width_depth_dataset", "L(width, depth, D)", _shapes(rows)),
        "loss_of_shape_and_parameters": (
            "shape_of_width_depth_parameters_dataset",
            "L(width, depth, N, D)",
            _shapes(rows),
        ),
        "loss_of_encoder_and_decoder": (
            "encoder_decoder",
            "L(encoder, decoder)",
            encoders,
        ),
    }
    return [
        Task(name, form, title, train, "test", table, objective)
        for name, (form, title, table) in tables.items()
        if table is not None
    ]


def _overtrained(rows: pd.DataFrame) -> pd.DataFrame | None:
    """Runs on fresh tokens, by N and M = tokens/N; of runs on one D either follows from the other."""
    fresh = rows["tokens"] <= FIRST_EPOCH * rows["dataset_tokens"]
    if rows.loc[fresh, "tokens"].nunique() < FEWEST_VALUES:
        return None
    return rows.assign(tokens_per_parameter=rows["tokens"] / rows["parameters"], used=fresh)


def _repeated(rows: pd.DataFrame, objective: Objective) -> pd.DataFrame | None:
    """Runs with the parameters that their unique tokens can use: by the law of the fresh runs, then by that of all."""
    fresh = rows[rows["tokens"] <= FIRST_EPOCH * rows["dataset_tokens"]]
    form = FORMS["chinchilla"]
    if len(fresh) == len(rows) or sparse(form, fresh):
        return None
    x = {name: fresh[name].to_numpy(float) for name in form.variables}
    theta = solve(Problem(form, x, objective), fresh["observed"].to_numpy(float), np.ones(len(fresh))).theta[0]
    # Runs on fewer tokens than their unique ones have seen only those.
    rows = rows.assign(dataset_tokens=np.minimum(rows["dataset_tokens"], rows["tokens"]))
    observed, whole = rows["observed"].to_numpy(float), FORMS["repeated_data"]
    for _ in range(ROUNDS):
        best = needed_parameters(
            dict(zip(form.coordinates, theta, strict=True)), rows["dataset_tokens"].to_numpy(float)
        )
        rows["needed_parameters"] = np.minimum(rows["parameters"], best)
        x = {name: rows[name].to_numpy(float) for name in whole.variables}
        theta, form = solve(Problem(whole, x, objective), observed, np.ones(len(rows))).theta[0], whole
    return rows


def needed_parameters(theta: dict[str, float], unique_tokens: np.ndarray) -> np.ndarray:
    """The N at which unique tokens D are compute-optimal by Chinchilla's law (Muennighoff et al. 2023, section 3.1).

    theta: the law's coordinates ln A, ln B, α, β as of its form. At C = 6ND the optimum has αA/N^α = βB/D^β.
    """
    log_ratio = np.log(theta["alpha"] / theta["beta"]) + theta["s_N"] - theta["s_D"]
    return np.exp((log_ratio + theta["beta"] * np.log(unique_tokens)) / theta["alpha"])


def _shapes(rows: pd.DataFrame) -> pd.DataFrame | None:
    """Runs whose widths and depths were varied apart: of models of one family of shapes either follows from N."""
    pairs = rows[["width", "depth"]].drop_duplicates()
    if (pairs <= 0).any(axis=None) or len(pairs) <= max(pairs["width"].nunique(), pairs["depth"].nunique()):
        return None
    return rows


def _halves(rows: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame | None:
    """Runs of encoder-decoders on the largest dataset: the law holds data fixed."""
    halves = ["encoder_parameters", "decoder_parameters"]
    if not set(halves) <= set(results):
        return None
    rows = rows.assign(**{name: results[name] for name in halves})
    return rows.assign(used=(rows["dataset_tokens"] == rows["dataset_tokens"].max()) & (rows[halves] > 0).all(axis=1))
