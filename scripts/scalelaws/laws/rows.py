"""Which rows of the observations each law is fitted to."""

import numpy as np
import pandas as pd

from scalelaws.laws.curves import BUDGETS_PER_DECADE, FIRST_EPOCH, Profiles, lowest_sizes, unbiased
from scalelaws.laws.estimate import Task
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective
from scalelaws.laws.status import FEWEST_VALUES
from scalelaws.laws.uncertainty import Resampled
from scalelaws.observations.table import Observations
from scalelaws.sweep import REPEATED

LAWS = (
    "loss_of_parameters",
    "loss_of_dataset_tokens",
    "loss_of_flops",
    "loss_of_parameters_with_floor",
    "loss_of_dataset_tokens_with_floor",
    "loss_of_flops_with_floor",
    "loss_of_parameters_and_data_kaplan",
    "loss_of_parameters_and_data_chinchilla",
    "loss_of_parameters_and_data_droppo",
    "loss_of_overtraining",
    "loss_of_repeated_data",
    "loss_of_shape",
    "loss_of_shape_and_parameters",
    "loss_of_encoder_and_decoder",
    "critical_batch_by_scans",
    "critical_batch_by_noise_scale",
    "loss_of_parameters_and_steps",
    "loss_of_least_flops",
    "gap_of_parameters_and_data",
    "memory_of_parameters_and_data",
    "ood_loss",
    "ood_transfer",
)
"""Names of the laws; the last two are fitted once per OOD corpus, as ood_loss:<corpus> and ood_transfer:<corpus>."""
NEEDS = {
    "loss_of_flops": "runs of several sizes over the same budgets",
    "loss_of_parameters_with_floor": "four sizes N on the largest D",
    "loss_of_dataset_tokens_with_floor": "four subsets D of the largest N",
    "loss_of_flops_with_floor": "learning curves, or runs, of several sizes that cross",
    "loss_of_parameters_and_data_droppo": "seven runs over three sizes N and three subsets D",
    "loss_of_overtraining": "runs on fresh tokens at three ratios of tokens to parameters",
    "loss_of_repeated_data": "the tokens processed beside the unique ones, runs that repeat, and six that do not",
    "loss_of_shape": "widths and depths, three of each, in more pairs than either has values",
    "loss_of_shape_and_parameters": "widths and depths, three of each, in more pairs than either has values",
    "loss_of_encoder_and_decoder": "sizes of encoders and decoders, three of each",
    "critical_batch_by_scans": "learning curves of one size N at three batch sizes",
    "critical_batch_by_noise_scale": "the gradient noise scale at three losses",
    "loss_of_parameters_and_steps": "learning curves with their batch size, and a critical batch",
    "loss_of_least_flops": "learning curves with their batch size, and a critical batch",
    "gap_of_parameters_and_data": "losses on the training split",
    "memory_of_parameters_and_data": "losses on the training text that runs have seen, and on some that they have not",
    "ood_loss": "losses on a second corpus",
    "ood_transfer": "losses on a second corpus",
}
"""What a table must hold for the laws that not every table determines; without it they are left out."""
ENVELOPE_PER_DECADE = 8
RELATIVE_GAP_NOISE = 0.1
SHARED = 0.75
ROBUST_DELTA = 1.345
"""Huber's delta, in units of the noise, at which a fit keeps 95% of its efficiency on normal noise."""


def held_out_tasks(observations: Observations, objective: Objective) -> list[Task]:
    """The laws of the held-out loss of the training distribution, one row per run."""
    train = observations.train_corpus
    rows = result_rows(observations.results(train))
    largest_d = at_largest_shared(rows, "dataset_tokens", "parameters")
    largest_n = at_largest_shared(rows, "parameters", "dataset_tokens")
    table = [
        ("loss_of_parameters", "power_of_parameters", "L(N)", largest_d),
        ("loss_of_dataset_tokens", "power_of_dataset_tokens", "L(D)", largest_n),
        ("loss_of_parameters_with_floor", "power_of_parameters_with_floor", "L(N) with floor", largest_d),
        ("loss_of_dataset_tokens_with_floor", "power_of_dataset_tokens_with_floor", "L(D) with floor", largest_n),
        ("loss_of_parameters_and_data_kaplan", "kaplan", "L(N,D), Kaplan", True),
        ("loss_of_parameters_and_data_chinchilla", "chinchilla", "L(N,D), Chinchilla", True),
        ("loss_of_parameters_and_data_droppo", "droppo", "L(N,D), Droppo & Elibol", True),
    ]
    return [
        Task(name, form, title, train, "test", rows.assign(used=used), objective) for name, form, title, used in table
    ]


def at_largest_shared(rows: pd.DataFrame, variable: str, other: str) -> "pd.Series[bool]":
    """Which rows are at the largest value of a variable that SHARED of the other's values have, or at the largest.

    A grid may be ragged: small sizes alone go on to the largest D.
    """
    counts = rows.groupby(variable)[other].nunique()
    shared = counts.index[counts >= SHARED * rows[other].nunique()]
    return rows[variable] == (shared.max() if len(shared) else rows[variable].max())


def of_gaps(observations: Observations) -> Observations:
    """The runs whose gaps make one law: those that repeat their subset, of the grid, else of its sweep too.

    What is seen once is hardly remembered, so that a law of both would take repeating for an effect of D. Where
    repeated runs have fewer than three N or three D, these are the grid's runs.
    """
    grid = observations.of_variants()
    for several in (grid, observations.of_variants(*REPEATED)):
        results = several.results(observations.train_corpus)
        repeated = results[results["tokens"] > FIRST_EPOCH * results["dataset_tokens"]]
        if min(repeated["parameters"].nunique(), repeated["dataset_tokens"].nunique()) >= FEWEST_VALUES:
            return several.of_runs(several.runs["run"].isin(repeated["run"]))
    return grid


def gap_tasks(observations: Observations) -> list[Task]:
    """The gap between held-out and training loss, and what of it is memory: the gap to unseen text of the training
    split, from which, unlike from held-out text, no document was dropped for being like another."""
    names = (
        ("test", "gap_of_parameters_and_data", "Gap(N,D)"),
        ("unseen", "memory_of_parameters_and_data", "Memory(N,D)"),
    )
    splits = set(observations.losses.loc[observations.losses["corpus"] == observations.train_corpus, "split"])
    return [_gap_task(observations, *each) for each in names if {each[0], "train"} <= splits]


def _gap_task(observations: Observations, split: str, name: str, title: str) -> Task:
    """Its residuals are in nats, over each gap's own noise: gaps near zero may be measured below it."""
    train = observations.train_corpus
    test, seen = (observations.results(train, text).set_index("run") for text in (split, "train"))
    test = test.loc[test.index.intersection(seen.index)]
    seen = seen.loc[test.index]
    gap = test["loss"] - seen["loss"]
    noise = np.sqrt(np.square(test["loss_sem"].fillna(0)) + np.square(seen["loss_sem"].fillna(0)))
    rows = result_rows(test.reset_index()).assign(observed=gap.to_numpy())
    rows["scale"] = np.hypot(noise, RELATIVE_GAP_NOISE * np.maximum(gap, 0)).to_numpy() + 1e-9
    return Task(name, "gap_power", title, train, split, rows, Objective("loss", ROBUST_DELTA))


def ood_tasks(observations: Observations, corpus: str, objective: Objective) -> list[Task]:
    """An OOD corpus: its loss as a power of N on the largest D, and its loss against the held-out loss."""
    rows = result_rows(observations.results(corpus))
    held_out = observations.results(observations.train_corpus).set_index("run")["loss"]
    paired = rows.assign(loss=rows["run"].map(held_out)).dropna(subset="loss")
    largest_d = at_largest_shared(rows, "dataset_tokens", "parameters")
    delta = objective.delta
    if delta is not None and objective.residual == "log":
        delta *= float(rows["observed"].median())
    return [
        Task(
            f"ood_loss:{corpus}",
            "power_of_parameters",
            f"L(N) on {corpus}",
            corpus,
            "test",
            rows.assign(used=largest_d),
            objective,
        ),
        Task(
            f"ood_transfer:{corpus}",
            "transfer_line",
            f"L on {corpus} against held-out L",
            corpus,
            "test",
            paired,
            Objective("loss", delta),
        ),
    ]


def envelope_task(
    name: str, form: str, title: str, corpus: str, profiles: Profiles, objective: Objective, resamples: int, seed: int
) -> tuple[Task, Resampled]:
    """L(C): the lowest loss of any size at each budget where it has smaller and larger rivals, and its resamples.

    Both are without the bias that choosing the lowest of noisy losses has.
    """
    every = slice(None, None, max(1, round(BUDGETS_PER_DECADE / ENVELOPE_PER_DECADE)))
    best, lowest, inside = lowest_sizes(profiles.log_loss[..., every])
    _, redrawn, rivals = lowest_sizes(profiles.redrawn(resamples, seed)[..., every])
    lowest, redrawn = unbiased(np.where(np.isfinite(lowest), lowest, 0.0), redrawn)
    parameters = profiles.parameters[best]
    flops = profiles.flops[every]
    rows = pd.DataFrame(
        {
            "run": [profiles.runs[index] for index in best],
            "step": 0,
            "flops": flops,
            **dict.fromkeys(FORMS[form].variables, flops),
            "parameters": parameters,
            "observed": np.exp(lowest),
            "used": inside,
        }
    )
    freedom = max(len(np.unique(parameters[inside])) - 1, 1)
    how = f"each run's noise redrawn ({profiles.noise:.2g} in ln loss), the envelope taken anew"
    usable = rivals[:, inside] & np.isfinite(redrawn[:, inside])
    resampled = Resampled(
        np.exp(np.where(usable, redrawn[:, inside], lowest[inside])), usable.astype(float), freedom, how
    )
    return Task(name, form, title, corpus, "test", rows, objective), resampled


def result_rows(results: pd.DataFrame) -> pd.DataFrame:
    """One row per run as a task wants them, with the columns that most laws are functions of."""
    columns = ["run", "step", "parameters", "dataset_tokens", "tokens", "flops"]
    return results[columns].assign(observed=results["loss"], used=True)
