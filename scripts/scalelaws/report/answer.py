"""The answer in words: what the laws say, how well they predict, and what to beware of."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalelaws.figures.checks import PROMISED
from scalelaws.figures.select import law_of, readable_name
from scalelaws.figures.words import NOTHING, number, percent, with_interval
from scalelaws.laws.fitted import DETERMINED, Allocation, Estimate, FittedLaw, Laws
from scalelaws.observations.table import Observations
from scalelaws.units import readable

TENFOLD = {
    "power_of_parameters": ("alpha_N", "Ten times more parameters lower", "data does not limit the runs"),
    "power_of_dataset_tokens": (
        "alpha_D",
        "Ten times more unique training text lowers",
        "size does not limit the runs",
    ),
    "power_of_flops": (
        "alpha_C",
        "Ten times more compute, spent at the envelope, lowers",
        "each budget has its best size",
    ),
}

ND_FORMS = ("kaplan", "chinchilla")


def summary(observations: Observations) -> str:
    """What was measured, in one sentence."""
    runs = observations.runs
    sizes, subsets = runs["parameters"], runs["dataset_tokens"]
    ours = (runs["embedding_parameters"] > 0).all()
    where = f" on the corpus “{readable_name(observations.train_corpus)}”" if ours else ""
    what = "non-embedding parameters" if ours else "parameters"
    count = runs["seed"].nunique()
    seeds = f", up to {count} seeds each" if count > 1 else ""
    return (
        f"{len(runs)} runs{where}: {_range('size', 'N', sizes)} {what}, {_range('subset', 'D', subsets)} tokens"
        f"{seeds}, {number(runs['flops'].sum(), 2)} FLOPs in all."
    )


def _range(word: str, symbol: str, values: pd.Series) -> str:
    count, least, most = values.nunique(), readable(values.min()), readable(values.max())
    return f"{count} {word}s {symbol} from {least} to {most}" if count > 1 else f"one {word} {symbol} of {least}"


def findings(observations: Observations, laws: Laws) -> list[str]:
    """What the determined laws say, a sentence each."""
    corpus = observations.train_corpus
    sentences = [_tenfold(law_of(laws, form, corpus), *words) for form, words in TENFOLD.items()]
    sentences += [_floor(law_of(laws, "chinchilla", corpus)), _optimum(list(laws.allocations.values()))]
    sentences += [_gap(law_of(laws, "gap_power", corpus)), _transfer(laws)]
    return [sentence for sentence in sentences if sentence]


def prediction(laws: Laws) -> tuple[str, bool | None]:
    """Whether L(N,D) predicted the largest run that was held out from its fit, and whether that met the 3% asked for.

    The verdict is on the form that fits all runs more closely, with the other's error beside it. The second value is
    None where no backtest was possible.
    """
    tested = [(law, law.backtest) for law in laws.laws.values() if law.form in ND_FORMS and law.backtest is not None]
    if not tested:
        return "No L(N,D) could be fitted without the largest runs, so its prediction could not be tested.", None
    tested.sort(key=lambda pair: (pair[0].status != DETERMINED, _misfit(pair[0])))
    (law, backtest), *others = tested
    largest = backtest.largest
    error = float(largest["relative_error"])
    met = abs(error) <= PROMISED
    sentence = (
        f"Fitted without the {len(backtest.rows)} runs of the most compute, {law.title} predicts a loss of "
        f"{number(float(largest['predicted']), 4)} for the largest of them ({largest['run']}), which measured "
        f"{number(float(largest['observed']), 4)}: an error of {percent(error)}, {'within' if met else 'outside'} the "
        f"{percent(PROMISED)} asked for. Over all of them the error is {percent(backtest.mean_error)} on average and "
        f"{percent(backtest.worst_error)} at worst."
    )
    for other, its_backtest in others:
        sentence += (
            f" {other.title}, which fits all runs less closely ({percent(_misfit(other))} against "
            f"{percent(_misfit(law))} root mean square), errs by "
            f"{percent(float(its_backtest.largest['relative_error']))} on the same run."
        )
    return sentence, met


def warnings(observations: Observations, laws: Laws) -> list[str]:
    """What a reader must know before using the numbers."""
    doubtful = [readable_name(law.title) for law in laws.laws.values() if law.status != DETERMINED]
    found = [f"These data do not determine {_listed(doubtful)}: do not use their numbers."] if doubtful else []
    found += [
        f"{allocation.title} gives no usable split of compute: {_joined(allocation.messages[:1])}."
        for allocation in laws.allocations.values()
        if allocation.status != DETERMINED
    ]
    found += [
        f"{readable_name(law.title)}: {_joined(law.messages)}."
        for law in laws.laws.values()
        if law.status == DETERMINED and law.messages and law.corpus == observations.train_corpus
    ]
    for reason, runs in laws.excluded.groupby("reason")["run"]:
        found.append(f"No law uses {runs.nunique()} of the {len(observations.runs)} runs: {reason}.")
    return found


def _misfit(law: FittedLaw) -> float:
    """Root mean square of the relative residuals of the rows that were used."""
    used = law.data[law.data["used"]]
    return float(np.sqrt(np.mean(np.square(used["observed"] / used["predicted"] - 1))))


def _tenfold(law: FittedLaw | None, exponent: str, subject: str, condition: str) -> str | None:
    if law is None or law.status != DETERMINED:
        return None
    alpha = law.parameters[exponent]
    middle, low, high = (100 * (1 - 10**-value) for value in (alpha.value, alpha.low, alpha.high))
    return f"{subject} the held-out loss by {with_interval(middle, low, high)} percent, where {condition}."


def _floor(law: FittedLaw | None) -> str | None:
    if law is None or law.status != DETERMINED:
        return None
    floor = law.parameters["E"]
    if floor.low < NOTHING:
        return "No part of the loss can be told to be beyond the reach of more size and more data."
    return f"The loss that neither size nor data would remove is put at {_interval(floor)} nats per token."


def _optimum(allocations: Sequence[Allocation]) -> str | None:
    usable = [allocation for allocation in allocations if allocation.status == DETERMINED and len(allocation.table)]
    if not usable:
        return None
    powers = ", ".join(f"{_interval(found.exponents['parameters'])} ({found.title})" for found in usable)
    sentence = f"The best size N grows with compute C to the power {powers}."
    within = usable[-1].table[usable[-1].table["extrapolates"] <= 0]
    if within.empty:
        return sentence
    row = within.loc[within["flops"].idxmax()]
    return (
        f"{sentence} By {usable[-1].title}, {number(float(row['flops']), 2)} FLOPs are best spent on "
        f"{readable(float(row['parameters']))} parameters and {readable(float(row['tokens']))} tokens, "
        f"{number(float(row['tokens_per_parameter']), 2)} tokens per parameter."
    )


def _gap(law: FittedLaw | None) -> str | None:
    if law is None or law.status != DETERMINED:
        return None
    p, q = law.parameters["p"], law.parameters["q"]
    return (
        f"The gap between held-out and training loss grows as N to the power {_interval(p)} and shrinks as D to the "
        f"power {_interval(q)}: to keep it constant, data must grow as N to the power {number(p.value / q.value, 2)}."
    )


def _transfer(laws: Laws) -> str | None:
    lines = [law for law in laws.laws.values() if law.form == "transfer_line" and law.status == DETERMINED]
    if not lines:
        return None
    constant = [readable_name(law.corpus) for law in lines if law.parameters["slope"].contains(1.0)]
    other = [
        f"{readable_name(law.corpus)} (slope {_interval(law.parameters['slope'])})"
        for law in lines
        if not law.parameters["slope"].contains(1.0)
    ]
    parts = [f"constant on {', '.join(constant)}"] * bool(constant) + [f"not constant on {', '.join(other)}"] * bool(
        other
    )
    return f"The offset of the loss on other text to the held-out loss is {'; it is '.join(parts)}."


def _interval(estimate: Estimate) -> str:
    return with_interval(estimate.value, estimate.low, estimate.high)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _joined(messages: Sequence[str]) -> str:
    return "; ".join(message.rstrip(".") for message in messages) or "no reason was recorded"
