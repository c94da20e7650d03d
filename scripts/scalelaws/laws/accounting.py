"""What is counted as N and as C, and how much an exponent depends on it."""

import numpy as np
import numpy.typing as npt

from scalelaws.laws.fitted import FittedLaw
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.starts import solve

Array = npt.NDArray[np.float64]
PEARCE_SONG = 47491.0
"""N_total = N + 47491·N^(1/3): embeddings of Chinchilla's models against their size (Pearce & Song 2024, eq. 4)."""


def total_parameters(parameters: npt.ArrayLike, embedding_factor: float = PEARCE_SONG) -> Array:
    """Parameters with embeddings, from those without."""
    parameters = np.asarray(parameters, float)
    return parameters + embedding_factor * np.cbrt(parameters)


def non_embedding_parameters(total: npt.ArrayLike, embedding_factor: float = PEARCE_SONG) -> Array:
    """Parameters without embeddings: the real root of N + factor·N^(1/3) = total, by Cardano's formula."""
    total = np.asarray(total, float)
    third, half = embedding_factor / 3, total / 2
    root = np.sqrt(third**3 + half**2)
    # The small term of Cardano's sum cancels; written as a quotient it keeps its digits.
    large = np.cbrt(half + root)
    return np.asarray((large - third / large) ** 3)


def local_exponent(parameters: npt.ArrayLike, exponent: float, embedding_factor: float = PEARCE_SONG) -> Array:
    """The exponent in non-embedding N that a power law in total parameters looks like near N.

    d ln(N_total^exponent)/d ln N: why small models gave Kaplan et al. a steeper N_opt(C) than Hoffmann et al.
    """
    parameters = np.asarray(parameters, float)
    embeddings = embedding_factor * np.cbrt(parameters)
    return np.asarray(exponent * (parameters + embeddings / 3) / (parameters + embeddings))


def frontier_exponent(parameters: npt.ArrayLike, exponent: float, embedding_factor: float = PEARCE_SONG) -> Array:
    """The exponent of N_opt ∝ C^a near N without embeddings in N and C, where with them in both it is `exponent`.

    With e = d ln N_total/d ln N and C = C_total·N/N_total, d ln N/d ln C = 1/(e/a + 1 - e). Where a = 0.5 it is 0.75
    for the smallest models: most of what parts Kaplan et al.'s 0.73 from Hoffmann et al.'s 0.50 (Pearce & Song 2024).
    """
    embeddings = local_exponent(parameters, 1.0, embedding_factor)
    return np.asarray(1 / (embeddings / exponent + 1 - embeddings))


def exponents_by_convention(law: FittedLaw, embedding_parameters: npt.ArrayLike) -> dict[str, dict[str, float]]:
    """The law's exponents with N counted without and with embeddings.

    embedding_parameters: one number for each used row of `law.data`. Everything else is fitted as it was.
    """
    form = FORMS[law.form]
    used = law.data[law.data["used"]]
    size = used["parameters"].to_numpy(float)
    x = {name: used[name].to_numpy(float) for name in form.variables}
    objective = Objective(law.objective["residual"], law.objective["delta"])
    found = {}
    for convention, counted in (("non_embedding", size), ("total", size + np.asarray(embedding_parameters, float))):
        problem = Problem(form, {**x, "parameters": counted}, objective)
        theta = solve(problem, used["observed"].to_numpy(float), np.ones(len(used))).theta[0]
        values = dict(zip((p.name for p in form.parameters), form.to_parameters(theta), strict=True))
        found[convention] = {p.name: float(values[p.name]) for p in form.parameters if p.role == "exponent"}
    return found
