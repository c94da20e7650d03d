"""What is counted as N and as C, and how much an exponent depends on it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalelaws.laws.fitted import Estimate, FittedLaw, Laws, Recounted
from scalelaws.laws.forms import FORMS
from scalelaws.models.shapes import Shape
from scalelaws.observations.table import Observations
from scalelaws.units import PEARCE_SONG

Array = npt.NDArray[np.float64]
WITHOUT, WITH, EVERY = ACCOUNTS = ("without_embeddings", "with_embeddings", "with_every_product")
"""The accounts of Kaplan et al. 2020, which is this project's, of Hoffmann et al. 2022, and that of Porian et al. 2024,
who find that the output layer's products are most of what parts the two."""
SAME_FLOPS = 0.01
"""C that is this near to 6·N·tokens, relatively, is no other account."""
COUNTED = {"parameters", "flops", "flops_min"}
"""Variables of laws in which embeddings may be counted."""
COMPUTE = {"flops", "flops_min"}


def local_exponent(parameters: npt.ArrayLike, exponent: float, embedding_factor: float = PEARCE_SONG) -> Array:
    """The exponent in non-embedding N that a power law in total parameters looks like near N.

    d ln(N_total^exponent)/d ln N: why small models gave Kaplan et al. a steeper N_opt(C) than Hoffmann et al.
    """
    parameters = np.asarray(parameters, float)
    embeddings = embedding_factor * np.cbrt(parameters)
    return np.asarray(exponent * (parameters + embeddings / 3) / (parameters + embeddings))


def frontier_exponent(
    parameters: npt.ArrayLike, alpha: float, beta: float, embedding_factor: float = PEARCE_SONG
) -> Array:
    """The exponent of N_opt ∝ C^a near N without embeddings in either, of L = E + A/N_total^α + B/D^β.

    At a given C = 6·N·D the loss is least where αA·e·N_total^-α = βB·D^-β, with e = d ln N_total/d ln N, so that
    d ln C/d ln N = 1 + (α·e - d ln e/d ln N)/β. Both terms make the frontier of small models steeper than β/(α + β), as
    it is with embeddings: most of what parts Kaplan et al.'s 0.73 from Hoffmann et al.'s 0.50 (Pearce & Song 2024).
    """
    parameters = np.asarray(parameters, float)
    embeddings = embedding_factor * np.cbrt(parameters)
    slope = local_exponent(parameters, 1.0, embedding_factor)
    bend = (parameters + embeddings / 9) / (parameters + embeddings / 3) - slope
    return np.asarray(1 / (1 + (alpha * slope - bend) / beta))


def with_embeddings(observations: Observations) -> Observations | None:
    """The same runs with embeddings counted in N and in C = 6·N·tokens; None unless every run records them.

    A token goes through the embeddings once, however often it goes through the layers.
    """
    runs, losses = observations.runs, observations.losses
    embeddings = runs["embedding_parameters"]
    if not (embeddings > 0).all():
        return None
    more = 6 * losses["run"].map(embeddings.set_axis(runs["run"])) * losses["tokens"]
    counted = runs.assign(
        parameters=runs["parameters"] + embeddings, flops=runs["flops"] + 6 * embeddings * runs["tokens"]
    )
    return Observations(losses.assign(flops=losses["flops"] + more), counted)


def with_every_product(observations: Observations) -> Observations | None:
    """The same runs with embeddings counted in N where they are known, and in C every product that training made.

    Of our own runs their shape tells them, attention and the output layer among them; of a table from elsewhere its own
    FLOPs. None where nothing tells them, or where they are those of another account.
    """
    runs, losses = observations.runs, observations.losses
    of_shape = pd.Series([_flops_of_shape(run) for run in runs.itertuples()], runs.index, dtype=float)
    per_token = of_shape.fillna(runs["flops_total"] / runs["tokens"])
    embeddings = runs["embedding_parameters"].fillna(0.0)
    known = (per_token > 0).all()
    if not known or any(
        np.allclose(per_token * runs["tokens"], flops, rtol=SAME_FLOPS, atol=0)
        for flops in (runs["flops"], runs["flops"] + 6 * embeddings * runs["tokens"])
    ):
        return None
    counted = runs.assign(parameters=runs["parameters"] + embeddings, flops=per_token * runs["tokens"])
    flops = losses["run"].map(per_token.set_axis(runs["run"])) * losses["tokens"]
    return Observations(losses.assign(flops=flops), counted)


def _flops_of_shape(run: Any) -> float:
    """FLOPs of training on a token, where the run's columns tell a shape of ours that has its N; else NaN."""
    if run.vocabulary > 0:
        shape = Shape(**{field.name: getattr(run, field.name) for field in fields(Shape) if hasattr(run, field.name)})
        if shape.parameters == run.parameters:
            return 3 * shape.forward_flops
    return np.nan


def counting(laws: Laws, variables: Collection[str] = COUNTED) -> list[str]:
    """Names, without corpora, of the fitted laws that are functions of N or C: what is counted changes them."""
    return list(
        dict.fromkeys(law.name.partition(":")[0] for law in _of_counted(laws) if {*variables} & {*law.variables})
    )


def recounted(accounts: Mapping[str, Laws]) -> dict[str, Recounted]:
    """Every exponent of the laws of N or C and of the allocations, as of each account (Porian et al. 2024)."""
    found: dict[str, Recounted] = {}
    for account, laws in accounts.items():
        for owner, title, exponent, estimate, status in _exponents(laws):
            entry = found.setdefault(f"{owner}/{exponent}", Recounted(title, exponent, {}, {}))
            entry.estimates[account] = estimate
            entry.status[account] = status
    return found


def _of_counted(laws: Laws) -> list[FittedLaw]:
    return [law for law in laws.laws.values() if law.parameters and COUNTED & set(law.variables)]


def _exponents(laws: Laws) -> Iterator[tuple[str, str, str, Estimate, str]]:
    """Law or approach, its title, the exponent's name, its estimate, whether it is determined."""
    for law in _of_counted(laws):
        for parameter in FORMS[law.form].parameters:
            if parameter.role == "exponent":
                yield law.name, law.title, parameter.name, law.parameters[parameter.name], law.status
    for approach, found in laws.allocations.items():
        for name, estimate in found.exponents.items():
            yield approach, found.title, name, estimate, found.status
