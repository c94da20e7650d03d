"""What follows from the fitted laws, by Kaplan et al.'s formulas, with intervals from the laws' own draws."""

from collections.abc import Mapping
from typing import TypeGuard

import numpy as np
import numpy.typing as npt

from scalelaws.laws import kaplan
from scalelaws.laws.fitted import DETERMINED, Allocation, Derived, Estimate, FittedLaw
from scalelaws.laws.uncertainty import LEVEL, interval

Array = npt.NDArray[np.float64]
OVERFITTING = 0.02
"""The overfitting that D is asked to avoid: the noise between seeds of Kaplan et al. 2020, section 4.2."""
HALF, DOUBLE = 0.5, 2.0
LETTERS = {
    "loss": (r"\alpha_C", "loss"),
    "parameters": ("p_N", "size N"),
    "batch_tokens": ("p_B", "batch B"),
    "steps": ("p_S", "steps S"),
    "dataset_tokens": ("p_D", "data D"),
}


def derived(
    laws: Mapping[str, FittedLaw],
    allocations: Mapping[str, Allocation],
    batch: FittedLaw | None,
    least: Allocation | None,
) -> dict[str, Derived]:
    """Everything that the determined laws imply. `batch` is the law of B_crit that S_min and C_min go by, and `least`
    the envelope against C_min, if there are any.

    What has no finite value is left out: a model of half the best size may reach the loss at no compute at all.
    """
    found = _overfitting(laws.get("loss_of_parameters_and_data_kaplan"))
    steps = laws.get("loss_of_parameters_and_steps")
    found |= _efficient(steps)
    if _known(steps) and _known(batch):
        found |= _predicted(steps, batch)
    if least is not None and least.status != DETERMINED:
        least = None
    if least is not None and _known(batch):
        found |= _measured(least, batch)
    compute = next((laws[n] for n in ("loss_of_least_flops", "loss_of_flops") if n in laws), None)
    growth = least or allocations.get("envelope")
    found |= _contradiction(compute, laws.get("loss_of_dataset_tokens"), growth)
    return {name: each for name, each in found.items() if _is_finite(each.estimate)}


def _overfitting(law: FittedLaw | None) -> dict[str, Derived]:
    if not _known(law):
        return {}
    p = _draws(law)
    power = p["alpha_N"] / p["alpha_D"]
    factor = kaplan.DataLaw(p["alpha_N"], p["alpha_D"], p["N_c"], p["D_c"]).enough_data(1.0, OVERFITTING)
    source = "Kaplan et al. 2020, eq. 4.4"
    return {
        "enough_data_exponent": _derived(
            f"D grows as N to this power to keep overfitting at {OVERFITTING:.0%}", source, power, r"\alpha_N/\alpha_D"
        ),
        "enough_data_factor": _derived(
            "tokens that a model of one parameter would need for it", source, factor, "k_D", "tokens"
        ),
    }


def _efficient(law: FittedLaw | None) -> dict[str, Derived]:
    if not _known(law):
        return {}
    p = _draws(law)
    excess = kaplan.efficient_excess(p["alpha_N"], p["alpha_S"])
    found = {
        "efficient_excess": _derived(
            "a compute-efficient run stops this far above its converged loss",
            "Kaplan et al. 2020, eq. B.5",
            excess,
            r"\alpha_N/\alpha_S",
        )
    }
    for name, ratio in (("half", HALF), ("double", DOUBLE)):
        cost = kaplan.cost_of_size(ratio, p["alpha_N"], p["alpha_S"])
        title = f"compute with a model of {name} the best size, over the least compute"
        found[f"cost_of_{name}_size"] = _derived(title, "Kaplan et al. 2020, eq. B.7", cost, "C/C_{min}")
    return found


def _predicted(steps: FittedLaw, batch: FittedLaw) -> dict[str, Derived]:
    s, b = _paired(_draws(steps), _draws(batch))
    powers = kaplan.compute_exponents(s["alpha_N"], s["alpha_S"], b["alpha_B"])
    source = "Kaplan et al. 2020, eq. 6.2 to 6.4, from L(N, S_min) and B_crit(L)"
    return {
        f"predicted_{name}_exponent": _derived(
            f"predicted: {LETTERS[name][1]} goes as C_min to this power", source, values, LETTERS[name][0]
        )
        for name, values in powers.items()
    }


def _measured(least: Allocation, batch: FittedLaw) -> dict[str, Derived]:
    """N, B, S and D along the envelope of the learning curves against C_min, as powers of it in FLOPs."""
    (line, b) = _paired({str(i): column for i, column in enumerate(_lines(least).T)}, _draws(batch))
    per = 1 / b["alpha_B"]
    powers = {
        "parameters": (line["0"], line["1"]),
        "dataset_tokens": (line["2"], line["3"]),
        "batch_tokens": (np.log(b["B_star"]) - per * line["4"], -per * line["5"]),
    }
    (log_d, d_power), (log_b, b_power) = powers["dataset_tokens"], powers["batch_tokens"]
    powers["steps"] = log_d - log_b, d_power - b_power
    powers["loss"] = line["4"], -line["5"]
    source = "measured as Kaplan et al. 2020, section 6: the envelope against C_min, B = B_crit(L), S = D/B"
    found = {}
    for name, (log_factor, power) in powers.items():
        symbol, words = LETTERS[name]
        title = f"measured: {words} goes as C_min to this power"
        found[f"measured_{name}_exponent"] = _derived(title, source, power, symbol)
        title = f"measured: {words} at C_min of one FLOP"
        found[f"measured_{name}_factor"] = _derived(title, source, np.exp(log_factor), f"k_{symbol[-1]}")
    return found


def _contradiction(compute: FittedLaw | None, data: FittedLaw | None, growth: Allocation | None) -> dict[str, Derived]:
    if not (_known(compute) and _known(data)) or growth is None or growth.status != DETERMINED:
        return {}
    c, d = _paired(_draws(compute), _draws(data))
    c, line = _paired(c, {str(i): column for i, column in enumerate(_lines(growth).T)})
    size = len(line["3"])
    d = {name: values[:size] for name, values in d.items()}
    with np.errstate(all="ignore"):
        flops, loss = kaplan.contradiction(
            (c["alpha_C"], c["C_c"]), (d["alpha_D"], d["D_c"]), (line["3"], np.exp(line["2"]))
        )
        tokens = np.exp(line["2"]) * flops ** line["3"]
        parameters = flops / (6 * tokens)
    largest = float(growth.points["flops"].max())
    # Loss must fall faster along the envelope than the data that it uses allows, in nearly every draw, or never mind.
    meets = c["alpha_C"] > d["alpha_D"] * line["3"]
    if not (meets[0] and flops[0] > largest and np.mean(meets) >= LEVEL):
        return {}
    source = "Kaplan et al. 2020, section 6.3"
    title = "where loss against compute would fall below what so much data allows"
    found = {
        "flops": ("compute C", flops, "C^*", "FLOPs"),
        "parameters": ("size N", parameters, "N^*", "parameters"),
        "tokens": ("data D", tokens, "D^*", "tokens"),
        "loss": ("loss L", loss, "L^*", "nats/token"),
    }
    return {
        f"contradiction_{name}": _derived(f"{words} {title}", source, values, symbol, unit)
        for name, (words, values, symbol, unit) in found.items()
    }


def _known(law: FittedLaw | None) -> TypeGuard[FittedLaw]:
    return law is not None and bool(law.parameters) and law.status == DETERMINED


def _draws(law: FittedLaw) -> dict[str, Array]:
    """Each parameter's value and, after it, its draws."""
    return {name: np.concatenate([[law.best[name]], law.draws[:, i]]) for i, name in enumerate(law.parameters)}


def _lines(allocation: Allocation) -> Array:
    return np.vstack([allocation.line, allocation.draws])


def _paired(first: dict[str, Array], second: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Independent draws of two laws, cut to equal numbers."""
    size = min(len(next(iter(first.values()))), len(next(iter(second.values()))))
    return {k: v[:size] for k, v in first.items()}, {k: v[:size] for k, v in second.items()}


def _is_finite(estimate: Estimate) -> bool:
    return bool(np.isfinite([estimate.value, estimate.low, estimate.high]).all())


def _derived(title: str, source: str, values: "Array | float", symbol: str, unit: str = "") -> Derived:
    """The first value with the interval of the others, which has no end where more than its level are not finite."""
    values = np.asarray(values)
    rest = values[1:][np.isfinite(values[1:])]
    low, high = interval(rest) if len(rest) >= LEVEL * len(values[1:]) > 0 else (np.nan, np.nan)
    return Derived(title, source, Estimate(float(values[0]), float(low), float(high), unit, symbol))
