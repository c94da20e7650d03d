"""Which law of size and data speaks for a study, and how far laws of one of the two are from the limit they name."""

from collections.abc import Mapping
from dataclasses import replace

from scalelaws.laws.estimate import residual_error
from scalelaws.laws.fitted import DETERMINED, FittedLaw
from scalelaws.observations.table import Observations
from scalelaws.units import readable

JOINT_FORMS = ("kaplan", "chinchilla", "droppo")
"""Forms of L(N,D)."""
ENDLESS = 1e100
LIMITED = 0.02
"""A law of N alone is told so where data keep a loss this far above that of endless data."""
OTHERS = {"power_of_parameters": "dataset_tokens", "power_of_dataset_tokens": "parameters"}
"""What laws of one variable hold fixed."""


def joint_laws(laws: Mapping[str, FittedLaw], corpus: str) -> list[FittedLaw]:
    """The laws of N and D on a corpus that have values: those that the data determine first, then by how well they
    fit."""
    found = [law for law in laws.values() if law.form in JOINT_FORMS and law.corpus == corpus and law.parameters]
    return sorted(found, key=lambda law: (law.status != DETERMINED, fit_error(law)))


def fit_error(law: FittedLaw) -> float:
    """Standard deviation of the relative residuals of the rows that a law was fitted to."""
    used = law.data[law.data["used"]]
    return residual_error(used["observed"] / used["predicted"] - 1, len(law.parameters))


def held_fixed(law: FittedLaw, observations: Observations) -> float:
    """The D at which a law of N alone was fitted, or the N at which one of D alone was."""
    used = law.data.loc[law.data["used"], "run"]
    return float(observations.runs.set_index("run").loc[used, OTHERS[law.form]].max())


def with_limits(laws: Mapping[str, FittedLaw], observations: Observations) -> dict[str, FittedLaw]:
    """The laws, with a note to those of N or D alone where by the best L(N,D) the other limits their losses as well."""
    best = next((law for law in joint_laws(laws, observations.train_corpus) if law.status == DETERMINED), None)
    return {name: _with_limit(law, best, observations) if best else law for name, law in laws.items()}


def _with_limit(law: FittedLaw, best: FittedLaw, observations: Observations) -> FittedLaw:
    if law.form not in OTHERS or not law.parameters or law.corpus != observations.train_corpus:
        return law
    own, other = law.variables[0], OTHERS[law.form]
    values, fixed = law.data.loc[law.data["used"], own].to_numpy(float), held_fixed(law, observations)
    above = best.predict(**{own: values, other: fixed}) / best.predict(**{own: values, other: ENDLESS}) - 1
    if above.max() < LIMITED:
        return law
    symbol = "D" if other == "dataset_tokens" else "N"
    note = (
        f"holds at {symbol} = {readable(fixed)}, not without limit: by {best.title} its losses are {above.min():.1%} "
        f"to {above.max():.1%} above those of endless {symbol}"
    )
    return replace(law, messages=[*law.messages, note])
