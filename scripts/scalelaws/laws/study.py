"""All laws of a study: from its observations to one JSON of laws and one file of bootstrap draws."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalelaws.job import Progress
from scalelaws.laws import allocation
from scalelaws.laws.curves import curve_rows, profiles, seed_noise
from scalelaws.laws.estimate import Task, fit_law
from scalelaws.laws.files import write_laws
from scalelaws.laws.fitted import Allocation, FittedLaw, Laws
from scalelaws.laws.problem import Objective
from scalelaws.laws.rows import LAWS, envelope_task, gap_task, held_out_tasks, ood_tasks
from scalelaws.laws.uncertainty import Resampled
from scalelaws.observations.table import Observations, read_observations
from scalelaws.recipe import provenance

USUAL_NOISE = 0.01
"""Run-to-run standard deviation of ln loss where no cell was trained twice and no law of N and D tells its residuals;
about Kaplan's 0.02 nats between seeds."""
DEFAULTS: dict[str, Any] = {
    "fit": list(LAWS),
    "resamples": 1000,
    "residual": "log",
    "huber_delta": 1e-3,
    "backtest": 0.2,
}


def fit_laws(
    observations: Observations,
    settings: Mapping[str, Any],
    seed: int,
    progress: Progress | None = None,
    study: str = "",
) -> Laws:
    """Every law that `settings["fit"]` names (DEFAULTS where a setting is absent), with the allocations of compute.

    Sparse data give laws whose status is "undetermined" and whose messages say why, never an exception.
    """
    settings = {**DEFAULTS, **settings}
    objective = Objective(settings["residual"], settings["huber_delta"])
    resamples = settings["resamples"]
    wanted = set(settings["fit"])
    results = observations.results(observations.train_corpus)
    noise = seed_noise(results)
    laws: dict[str, FittedLaw] = {}

    def fit(task: Task, redrawn: Resampled | None = None) -> FittedLaw:
        return fit_law(task, resamples, _seed(seed, task.name), settings["backtest"], redrawn, noise)

    direct = held_out_tasks(observations, objective)
    if (observations.losses["split"] == "train").any():
        direct.append(gap_task(observations))
    corpora = [c for c in observations.losses["corpus"].unique() if c != observations.train_corpus]
    beyond = [task for corpus in sorted(corpora) for task in ood_tasks(observations, corpus, objective)]
    waiting = [task for task in direct + beyond if task.name.partition(":")[0] in wanted]
    for done, task in enumerate(waiting, 1):
        laws[task.name] = fit(task)
        if progress:
            progress.show(done, len(waiting) + 2, task.title)
    parametric = laws.get("loss_of_parameters_and_data_chinchilla")
    fresh = curve_rows(observations)
    curves = None if fresh.empty else profiles(fresh, _residual_noise(parametric) if noise is None else noise)
    allocations: dict[str, Allocation] = {}
    if curves and "loss_of_flops" in wanted:
        task, redrawn = envelope_task(observations, curves, objective, resamples, _seed(seed, "envelope"))
        laws[task.name] = fit(task, redrawn)
    if curves:
        allocations["envelope"] = allocation.envelope(curves, resamples, _seed(seed, "envelope"))
        allocations["isoflop"] = allocation.isoflop(curves, resamples, _seed(seed, "isoflop"))
    if parametric:
        budgets = results["flops"].min(), results["flops"].max()
        allocations["parametric"] = allocation.parametric(parametric, budgets)
    names = [task.name for task in direct] + ["loss_of_flops"] + [task.name for task in beyond]
    ordered = {name: laws[name] for name in names if name in laws}
    return Laws(study, ordered, allocations, _excluded(observations), dict(settings))


def fit_study(
    losses: str | Path,
    runs: str | Path,
    laws: str | Path,
    draws: str | Path,
    study: str,
    settings: Mapping[str, Any],
    seed: int,
    recipe: str,
    progress: Progress | None = None,
) -> None:
    """Read a study's observations, fit its laws and write them with their provenance."""
    fitted = fit_laws(read_observations(losses, runs), settings, seed, progress, study)
    origin = provenance(recipe, seed, settings, [losses, runs], ["numpy", "pandas", "scipy"])
    write_laws(fitted, laws, draws, origin)


def _seed(seed: int, name: str) -> int:
    """Each law has its own stream, so that fitting fewer laws changes none of the others."""
    return zlib.crc32(f"{seed}/{name}".encode())


def _residual_noise(law: FittedLaw | None) -> float:
    if law is None or not law.parameters:
        return USUAL_NOISE
    used = law.data[law.data["used"]]
    residual = np.log(used["observed"] / used["predicted"])
    return float(np.sqrt(np.square(residual).sum() / max(len(used) - len(law.parameters), 1)))


def _excluded(observations: Observations) -> pd.DataFrame:
    diverged = observations.runs.loc[observations.runs["status"] == "diverged", "run"]
    return pd.DataFrame({"run": diverged.to_numpy(), "reason": "the run diverged"})
