"""What fitted laws say when they are asked: a loss to expect, a budget to split, whether two studies agree."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalelaws.errors import InputError
from scalelaws.laws.fitted import DETERMINED, Laws

FAR = 1.0
"""Decades beyond the data past which an answer carries a warning."""
ALIASES = {"tokens": "dataset_tokens", "dataset_tokens": "tokens"}


@dataclass(frozen=True)
class Answer:
    """A value with its 95% interval by one law, and what to keep in mind."""

    law: str
    values: dict[str, tuple[float, float, float]]
    warnings: list[str]


def predictions(laws: Laws, given: Mapping[str, float], name: str | None = None) -> list[Answer]:
    """The value of every law whose variables are given (or of the one named), with interval and warnings.

    Raises InputError where no law answers.
    """
    known = "; ".join(f"{law.name}: {', '.join(law.variables)}" for law in laws.laws.values() if law.parameters)
    remedy = f"There are {known or 'none'}."
    if name and name not in laws.laws:
        raise InputError(f"laws of {laws.study}", f"there is no law {name}", remedy)
    if not given:
        raise InputError(f"laws of {laws.study}", "a law needs the values of its variables", remedy)
    chosen = [law for law in laws.laws.values() if law.name == name or (name is None and law.corpus == _main(laws))]
    found = []
    for law in chosen:
        variables = {v: given.get(v, given.get(ALIASES.get(v, v))) for v in law.variables}
        if not law.parameters or None in variables.values() or len(variables) != len(given):
            continue
        at = {key: float(value) for key, value in variables.items() if value is not None}
        low, high = law.band(**at)
        warnings = _undetermined(law.status)
        for variable, value in at.items():
            least, most = law.ranges[variable]
            warnings += _beyond(variable, max(np.log10(value / most), np.log10(least / value)))
        found.append(Answer(law.title, {"loss": (float(law.predict(**at)), float(low), float(high))}, warnings))
    if not found:
        raise InputError(f"laws of {laws.study}", f"no fitted law is a function of {', '.join(given)}", remedy)
    return found


def splits(laws: Laws, flops: float) -> list[Answer]:
    """N_opt, D_opt, tokens per parameter and loss at a budget, by each approach; InputError where there is none."""
    found = []
    for allocation in laws.allocations.values():
        if not allocation.exponents:
            continue
        row = allocation.at(flops)
        keys = ("parameters", "tokens", "tokens_per_parameter", "loss")
        values = {key: (row[key], row[f"{key}_low"], row[f"{key}_high"]) for key in keys}
        warnings = _undetermined(allocation.status) + _beyond("flops", row["extrapolates"])
        found.append(Answer(allocation.title, values, warnings))
    if not found:
        reasons = "; ".join(why for allocation in laws.allocations.values() for why in allocation.messages)
        raise InputError(f"laws of {laws.study}", "no split of compute could be fitted", reasons or "Fit more sizes.")
    return found


@dataclass(frozen=True)
class Difference:
    """One parameter in two studies: both estimates, and the 95% interval of second minus first."""

    law: str
    parameter: str
    first: float
    second: float
    low: float
    high: float

    @property
    def agree(self) -> bool:
        """Whether the interval of the difference holds zero."""
        return self.low <= 0 <= self.high


def ranking(laws: Laws) -> pd.DataFrame:
    """The laws of the held-out loss by how well they predicted runs that they were not fitted to, best first.

    Columns: law, mean_error, worst_error, decades, predicted (runs), status. Laws of the same runs come together: those
    of N and D, of one of them, of compute.
    """
    tested = [
        (len(law.backtest.rows), law, law.backtest)
        for law in laws.laws.values()
        if law.backtest and law.corpus == _main(laws) and law.form != "gap_power"
    ]
    tested.sort(key=lambda entry: (-entry[0], entry[2].mean_error))
    return pd.DataFrame(
        {
            "law": [law.title for _, law, _ in tested],
            "mean_error": [test.mean_error for *_, test in tested],
            "worst_error": [test.worst_error for *_, test in tested],
            "decades": [test.decades for *_, test in tested],
            "predicted": [count for count, *_ in tested],
            "status": [law.status for _, law, _ in tested],
        }
    )


def comparison(first: Laws, second: Laws) -> list[Difference]:
    """Every parameter that both studies fitted, with the interval of its difference from their independent draws."""
    found = []
    for name, law in first.laws.items():
        other = second.laws.get(name)
        if other is None or not law.parameters or not other.parameters:
            continue
        count = min(len(law.draws), len(other.draws))
        for i, parameter in enumerate(law.parameters):
            low, high = np.quantile(other.draws[:count, i] - law.draws[:count, i], [0.025, 0.975])
            values = law.best[parameter], other.best[parameter]
            found.append(Difference(law.title, parameter, *values, float(low), float(high)))
    if not found:
        raise InputError(f"laws of {first.study} and {second.study}", "they share no fitted law", "Fit the same laws.")
    return found


def _main(laws: Laws) -> str:
    return next(iter(laws.laws.values())).corpus


def _undetermined(status: str) -> list[str]:
    return [] if status == DETERMINED else ["the data do not determine this law"]


def _beyond(variable: str, decades: float) -> list[str]:
    if decades <= FAR:
        return []
    return [
        f"{variable} lies {decades:.1f} decades beyond the data: the interval knows noise, not whether the law holds"
    ]


def transfer_matrix(studies: Mapping[str, Laws]) -> pd.DataFrame:
    """Which training set carries over to which evaluation: a row per study and OOD corpus.

    Columns: trained_on (the key of the study), corpus, slope, slope_low, slope_high, constant_offset (does the slope's
    interval hold 1, as Kaplan et al. 2020 claim?), offset, offset_low, offset_high, status.
    """
    rows = []
    for trained_on, laws in studies.items():
        for law in laws.laws.values():
            if law.form != "transfer_line" or not law.parameters:
                continue
            slope, offset = law.parameters["slope"], law.parameters["offset"]
            rows.append(
                {
                    "trained_on": trained_on,
                    "corpus": law.corpus,
                    "slope": slope.value,
                    "slope_low": slope.low,
                    "slope_high": slope.high,
                    "constant_offset": slope.contains(1.0),
                    "offset": offset.value,
                    "offset_low": offset.low,
                    "offset_high": offset.high,
                    "status": law.status,
                }
            )
    return pd.DataFrame(rows)
