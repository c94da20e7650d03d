"""The answer in words: what the laws say, how well they predict, and what to beware of."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalelaws.figures.checks import PROMISED
from scalelaws.figures.select import law_of, readable_name, readable_title
from scalelaws.figures.words import NOTHING, number, percent, with_interval
from scalelaws.laws.fitted import DETERMINED, Allocation, Estimate, FittedLaw, Laws
from scalelaws.laws.joint import JOINT_FORMS, held_fixed, joint_laws
from scalelaws.observations.table import Observations
from scalelaws.units import readable

TENFOLD = {
    "power_of_parameters": ("alpha_N", "Ten times more parameters lower"),
    "power_of_dataset_tokens": ("alpha_D", "Ten times more unique training text lowers"),
    "power_of_flops": ("alpha_C", "Ten times more compute, spent at the envelope, lowers"),
}


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
        f"{seeds}, {number(_spent(runs), 2)} FLOPs in all."
    )


def _spent(runs: pd.DataFrame) -> float:
    """FLOPs of all runs, those of a trunk counted once and not with each of its branches."""
    first, steps = (runs[name] if name in runs else pd.Series(0, runs.index) for name in ("first_step", "steps"))
    return float((runs["flops"] * (1 - (first / steps.where(steps > 0)).fillna(0))).sum())


def _range(word: str, symbol: str, values: pd.Series) -> str:
    count, least, most = values.nunique(), readable(values.min()), readable(values.max())
    return f"{count} {word}s {symbol} from {least} to {most}" if count > 1 else f"one {word} {symbol} of {least}"


def findings(observations: Observations, laws: Laws) -> list[str]:
    """What the determined laws say, a sentence each."""
    corpus = observations.train_corpus
    sentences = [_tenfold(law_of(laws, form, corpus), *words, observations) for form, words in TENFOLD.items()]
    best = next((law for law in joint_laws(laws.laws, corpus) if law.status == DETERMINED), None)
    sentences += [_endless(best), _floor(best), _optimum(list(laws.allocations.values()))]
    sentences += [_gap(law_of(laws, "gap_power", corpus)), _transfer(laws)]
    return [sentence for sentence in sentences if sentence]


def prediction(laws: Laws) -> tuple[str, bool | None]:
    """Whether L(N,D) predicted the largest run that was held out from its fit, and whether that met the 3% asked for.

    The verdict is on the form that fits the other runs most closely, the errors of the rest beside it. The second value
    is None where no backtest was possible.
    """
    tested = [(law, law.backtest) for law in laws.laws.values() if law.form in JOINT_FORMS and law.backtest is not None]
    if not tested:
        return "No L(N,D) could be fitted without the largest runs, so its prediction could not be tested.", None
    tested.sort(key=lambda pair: (pair[0].status != DETERMINED, pair[1].fit_error))
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
            f" {other.title}, which fits the other runs to {percent(its_backtest.fit_error)} against "
            f"{percent(backtest.fit_error)}, errs by "
            f"{percent(float(its_backtest.largest['relative_error']))} on the same run."
        )
    return sentence, met


def warnings(observations: Observations, laws: Laws) -> list[str]:
    """What a reader must know before using the numbers."""
    doubtful = [readable_title(law) for law in laws.laws.values() if law.status != DETERMINED]
    found = [f"These data do not determine {_listed(doubtful)}: do not use their numbers."] if doubtful else []
    found += [
        f"{allocation.title} gives no usable split of compute: {_joined(allocation.messages[:1])}."
        for allocation in laws.allocations.values()
        if allocation.status != DETERMINED
    ]
    found += [
        f"{readable_title(law)}: {_joined(law.messages)}."
        for law in laws.laws.values()
        if law.status == DETERMINED and law.messages and law.corpus == observations.train_corpus
    ]
    for reason, runs in laws.excluded.groupby("reason")["run"]:
        found.append(f"No law uses {runs.nunique()} of the {len(observations.runs)} runs: {reason}.")
    return found


def _tenfold(law: FittedLaw | None, exponent: str, subject: str, observations: Observations) -> str | None:
    if law is None or law.status != DETERMINED:
        return None
    if law.form == "power_of_flops":
        condition = "where each budget has its best size"
    else:
        at = readable(held_fixed(law, observations))
        condition = f"on {at} tokens" if law.form == "power_of_parameters" else f"at N = {at}"
    return f"{subject} the held-out loss by {_percent_of_tenfold(law.parameters[exponent])}, {condition}."


def _endless(best: FittedLaw | None) -> str | None:
    """What ten times more of each would do if the other were no limit, where the best law of both is two powers."""
    if best is None or best.form != "kaplan":
        return None
    size, data = (_percent_of_tenfold(best.parameters[name]) for name in ("alpha_N", "alpha_D"))
    return (
        f"With endless data, ten times more parameters would lower it by {size}; with endless size, ten times more text"
        f" by {data} ({best.title})."
    )


def _percent_of_tenfold(alpha: Estimate) -> str:
    return f"{with_interval(*(100 * (1 - 10**-value) for value in (alpha.value, alpha.low, alpha.high)))} percent"


def _floor(best: FittedLaw | None) -> str | None:
    """The floor of the best law, if it has one; none where it lies above a loss that was measured."""
    if best is None or "E" not in best.parameters:
        return None
    floor = best.parameters["E"]
    if floor.low < NOTHING:
        return "No part of the loss can be told to be beyond the reach of more size and more data."
    if floor.high >= best.data.loc[best.data["used"], "observed"].min():
        return None
    return (
        f"The loss that neither size nor data would remove is put at {_interval(floor)} nats per token ({best.title})."
    )


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
    names = list(law.parameters)
    low, high = np.quantile(law.draws[:, names.index("p")] / law.draws[:, names.index("q")], [0.025, 0.975])
    return (
        f"The gap between held-out and training loss grows as N to the power {_interval(p)} and shrinks as D to the "
        f"power {_interval(q)}: to keep it constant, data must grow as N to the power "
        f"{with_interval(p.value / q.value, float(low), float(high))}."
    )


def _transfer(laws: Laws) -> str | None:
    lines = [law for law in laws.laws.values() if law.form == "transfer_line" and law.status == DETERMINED]
    if not lines:
        return None
    said: dict[bool, list[str]] = {True: [], False: []}
    for law in lines:
        slope = law.parameters["slope"]
        said[slope.contains(1.0)].append(f"{readable_name(law.corpus)} (slope {_interval(slope)})")
    parts = [f"may be constant on {', '.join(said[True])}"] * bool(said[True])
    parts += [f"is not constant on {', '.join(said[False])}"] * bool(said[False])
    return f"The offset of the loss on other text to the held-out loss {'; it '.join(parts)}."


def _interval(estimate: Estimate) -> str:
    return with_interval(estimate.value, estimate.low, estimate.high)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _joined(messages: Sequence[str]) -> str:
    return "; ".join(message.rstrip(".") for message in messages) or "no reason was recorded"
