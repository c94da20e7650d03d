"""All laws of a study: from its observations to one JSON of laws and one file of bootstrap draws."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalelaws.job import Progress
from scalelaws.laws import allocation, batches
from scalelaws.laws.accounting import (
    COMPUTE,
    EVERY,
    WITH,
    WITHOUT,
    counting,
    recounted,
    with_embeddings,
    with_every_product,
)
from scalelaws.laws.curves import curve_rows, profiles, seed_noise
from scalelaws.laws.derived import derived
from scalelaws.laws.designs import design_tasks
from scalelaws.laws.estimate import Task, fit_law
from scalelaws.laws.files import write_laws
from scalelaws.laws.fitted import Allocation, FittedLaw, Laws
from scalelaws.laws.forms import FORMS
from scalelaws.laws.joint import with_limits
from scalelaws.laws.problem import Objective
from scalelaws.laws.rows import LAWS, envelope_task, gap_tasks, held_out_tasks, of_gaps, ood_tasks
from scalelaws.laws.status import sparse
from scalelaws.laws.uncertainty import Resampled
from scalelaws.observations.table import Observations, read_observations
from scalelaws.recipe import provenance
from scalelaws.workers import spread

USUAL_NOISE = 0.01
"""Run-to-run standard deviation of ln loss where no cell was trained twice and no law of N and D tells its residuals;
about Kaplan's 0.02 nats between seeds."""
CORE = (
    "loss_of_parameters",
    "loss_of_dataset_tokens",
    "loss_of_flops",
    "loss_of_parameters_and_data_kaplan",
    "loss_of_parameters_and_data_chinchilla",
    "gap_of_parameters_and_data",
)
"""Laws that a study is told the lack of; the others appear only where its table determines them (rows.NEEDS)."""
ENVELOPES = {
    "loss_of_flops": ("power_of_flops", "L(C)"),
    "loss_of_flops_with_floor": ("power_of_flops_with_floor", "L(C) with floor"),
}
"""Laws of the lowest losses at each budget: their forms and titles."""
APPROACHES = {"envelope": allocation.envelope, "isoflop": allocation.isoflop}
"""The approaches to the best split that read it off the curves."""
RECOUNTED_RESAMPLES = 300
"""At most as many resamples for the account that only compares exponents."""
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
    processes: int = 1,
) -> Laws:
    """Every law that `settings["fit"]` names (DEFAULTS where a setting is absent), with the allocations of compute.

    Sparse data give laws whose status is "undetermined" and whose messages say why, never an exception. Where every run
    records its embeddings, the laws of N or C and the allocations are fitted again with these counted, and those of C
    where it is known what attention and the output layer took with that counted (`accounts`).
    The number of `processes` changes no byte.
    """
    settings = {**DEFAULTS, **settings}
    found = _fitted(observations, settings, seed, progress, study, processes)
    accounts = {WITHOUT: found}

    def recount(counted: Observations, laws: list[str]) -> Laws:
        fewer = {**settings, "fit": laws, "resamples": min(settings["resamples"], RECOUNTED_RESAMPLES)}
        return _fitted(counted, fewer, seed, processes=processes, tested=False)

    if whole := with_embeddings(observations):
        accounts[WITH] = recount(whole, counting(found))
    if every := with_every_product(observations):
        again = recount(every, counting(found, COMPUTE))
        # The parametric approach splits C = 6·N·D, which this account does not count by.
        measured = {name: way for name, way in again.allocations.items() if name != "parametric"}
        accounts[EVERY] = replace(again, allocations=measured)
    return replace(found, accounts=recounted(accounts)) if len(accounts) > 1 else found


def _fitted(
    observations: Observations,
    settings: Mapping[str, Any],
    seed: int,
    progress: Progress | None = None,
    study: str = "",
    processes: int = 1,
    *,
    tested: bool = True,
) -> Laws:
    """The laws and allocations of one account of N and C; `tested`: also fitted without the largest runs."""
    objective = Objective(settings["residual"], settings["huber_delta"])
    resamples = settings["resamples"]
    wanted = set(settings["fit"])
    excluded = _excluded(observations)
    shapes, halves = (observations.of_variants(varied) for varied in ("aspect_ratio", "encoder_share"))
    batched, gaps = observations.of_batches(), of_gaps(observations)
    observations = observations.of_variants()
    train = observations.train_corpus
    results = observations.results(train)
    noise = seed_noise(results)
    laws: dict[str, FittedLaw] = {}

    between_seeds = noise

    def fit(task: Task, redrawn: Resampled | None = None) -> FittedLaw:
        task = replace(task, tested=task.tested and tested)
        return fit_law(task, resamples, _seed(seed, task.name), settings["backtest"], redrawn, between_seeds)

    held_out = held_out_tasks(observations, objective)
    direct = [*held_out, *design_tasks(shapes, halves, objective), *gap_tasks(gaps)]
    direct = [
        task for task in direct if task.name in CORE or not sparse(FORMS[task.form], task.rows[task.rows["used"]])
    ]
    corpora = [c for c in observations.losses["corpus"].unique() if c != observations.train_corpus]
    beyond = [task for corpus in sorted(corpora) for task in ood_tasks(observations, corpus, objective)]
    waiting = [task for task in direct + beyond if task.name.partition(":")[0] in wanted]
    for done, (task, law) in enumerate(spread(fit, waiting, processes), 1):
        laws[task.name] = law
        if progress:
            progress.show(done, len(waiting) + 2, task.title)
    parametric = laws.get("loss_of_parameters_and_data_chinchilla")
    if noise is None:
        noise = _residual_noise(parametric)
    fresh = curve_rows(observations)
    curves = None if fresh.empty else profiles(fresh, noise)
    allocations: dict[str, Allocation] = {}

    def of_curves(name: str) -> Allocation | FittedLaw | None:
        """An approach to the best split, or a law of the lowest losses; None where the data are too few for it."""
        assert curves
        if name in APPROACHES:
            return APPROACHES[name](curves, resamples, _seed(seed, name))
        form, title = ENVELOPES[name]
        ours = _seed(seed, "envelope")
        task, redrawn = envelope_task(name, form, title, train, curves, objective, resamples, ours)
        enough = name in CORE or not sparse(FORMS[form], task.rows[task.rows["used"]])
        return fit(task, redrawn) if enough else None

    parts = [*APPROACHES, *(name for name in ENVELOPES if name in wanted)] if curves else []
    for name, part in spread(of_curves, parts, processes):
        if isinstance(part, Allocation):
            allocations[name] = part
        elif part:
            laws[name] = part
    if parametric:
        budgets = results["flops"].min(), results["flops"].max()
        allocations["parametric"] = allocation.parametric(parametric, budgets)
    batch_laws, critical, least = _batch_laws(batched, objective, wanted, noise, resamples, seed, fit)
    laws |= batch_laws
    names = [name for name in LAWS if name in laws] + [task.name for task in beyond]
    ordered = with_limits({name: laws[name] for name in names if name in laws}, observations)
    found = derived(ordered, allocations, critical, least)
    return Laws(study, ordered, allocations, excluded, dict(settings), derived=found)


def _batch_laws(
    observations: Observations,
    objective: Objective,
    wanted: set[str],
    noise: float,
    resamples: int,
    seed: int,
    fit: Callable[[Task, Resampled | None], FittedLaw],
) -> tuple[dict[str, FittedLaw], FittedLaw | None, Allocation | None]:
    """The laws that need batch sizes: B_crit(L), and by one of its laws, which is given beside them with the envelope
    against C_min, L(N, S_min) and L(C_min)."""
    laws: dict[str, FittedLaw] = {}
    scans = batches.scan_task(observations, noise, resamples, _seed(seed, "scans"))
    measured = batches.noise_scale_task(observations)
    for task, redrawn in (scans or (None, None), (measured, None)):
        if task and not sparse(FORMS[task.form], task.rows[task.rows["used"]]):
            laws[task.name] = fit(task, redrawn)
    law, least = batches.usable(laws, observations), None
    if law:
        steps = batches.steps_task(observations, law, objective)
        if steps and not sparse(FORMS[steps.form], steps.rows):
            laws[steps.name] = fit(steps, None)
        rows = batches.adjusted(curve_rows(observations), law)
        if len(rows):
            curves = profiles(rows.assign(flops=rows["flops_min"]), noise)
            least = allocation.envelope(curves, resamples, _seed(seed, "least"), floor=False)
            name, train = "loss_of_least_flops", observations.train_corpus
            task, redrawn = envelope_task(
                name, "power_of_flops_min", "L(C_min)", train, curves, objective, resamples, _seed(seed, "least")
            )
            if not sparse(FORMS[task.form], task.rows[task.rows["used"]]):
                laws[name] = fit(task, redrawn)
    return {name: law for name, law in laws.items() if name in wanted}, law, least


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
    processes: int = 1,
) -> None:
    """Read a study's observations, fit its laws and write them with their provenance."""
    fitted = fit_laws(read_observations(losses, runs), settings, seed, progress, study, processes)
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
