"""One set of runs under the accounts of Kaplan et al. and of Hoffmann et al."""

import numpy as np
from matplotlib.figure import Figure

from scalelaws.figures.marks import canvas, legend_above, points
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.style import UNDETERMINED_COLOUR, category_marks
from scalelaws.laws import allocation
from scalelaws.laws.accounting import exponents_by_convention
from scalelaws.laws.curves import curve_rows, profiles, seed_noise
from scalelaws.laws.fitted import DETERMINED, Allocation, Laws
from scalelaws.laws.study import USUAL_NOISE
from scalelaws.observations.table import Observations

RESAMPLES = 300
KAPLAN, HOFFMANN = 0.73, 0.50
"""The exponents of N_opt(C) that the two papers print."""


@figure(
    "One set of runs, two accounts",
    "The exponent a of the best size, N ∝ C^a, from the same runs under each account: embeddings left out of N and C "
    "or counted in both, for each way to find the best size. Dotted lines: what the two papers print.",
)
def reconciled_exponents(observations: Observations, laws: Laws) -> Figure:
    """The exponent of N_opt after each change of accounting (Pearce & Song 2024; Porian et al. 2024)."""
    found = _exponents(observations, laws)
    if not found:
        raise NotDrawableError("no approach gives an exponent under either account")
    approaches = list(dict.fromkeys(approach for approach, *_ in found))
    accounts = list(dict.fromkeys(account for _, account, *_ in found))
    marks = category_marks(accounts)
    sheet, (ax,) = canvas(height=1.0 + 0.42 * len(approaches))
    for approach, account, value, low, high, determined in found:
        colour, marker = marks[account]
        place = approaches.index(approach) + (accounts.index(account) - (len(accounts) - 1) / 2) * 0.3
        shade = colour if determined else UNDETERMINED_COLOUR
        across = ([low], [high]) if np.isfinite(low) else None
        points(ax, [value], [place], f"{approach}, {account}", shade, marker, across=across)
    for account, (colour, marker) in marks.items():
        ax.plot([], [], marker, color=colour, label=account)
    for value, name, shift, side in ((KAPLAN, "Kaplan et al.", 2, "left"), (HOFFMANN, "Hoffmann et al.", -2, "right")):
        ax.axvline(value, color="0.5", linestyle=":", linewidth=0.9)
        at = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        ax.annotate(f"{name}\n{value:.2f}", (value, 1), (shift, -1), ha=side, va="top", **at)
    ax.set_yticks(range(len(approaches)), approaches)
    ax.set_ylim(len(approaches) - 0.4, -1.1)
    low, high = ax.get_xlim()
    ax.set_xlim(max(-0.5, min(low, 0.4)), min(1.5, max(high, 0.9)))
    ax.set_xlabel("Exponent $a$ of $N_{\\mathrm{opt}} \\propto C^a$")
    ax.grid(False, axis="y")
    legend_above(sheet, columns=2)
    return sheet


def _exponents(observations: Observations, laws: Laws) -> list[tuple[str, str, float, float, float, bool]]:
    """Approach, account, exponent, its interval (NaN where there is none), whether it is determined."""
    found = [(each.title, "without embeddings", each) for each in laws.allocations.values()]
    whole = _with_embeddings(observations)
    if whole is not None:
        found += [(each.title, "with embeddings", each) for each in _allocations(whole)]
    rows = []
    for title, account, each in found:
        if each.exponents:
            a = each.exponents["parameters"]
            rows.append((title, account, a.value, a.low, a.high, each.status == DETERMINED))
    law = laws.laws.get("loss_of_parameters_and_data_chinchilla")
    if whole is not None and law is not None and law.parameters and "parametric" in laws.allocations:
        used = law.data[law.data["used"]]
        counted = observations.runs.set_index("run")["embedding_parameters"][used["run"]]
        powers = exponents_by_convention(law, counted.to_numpy(float))["total"]
        value = powers["beta"] / (powers["alpha"] + powers["beta"])
        sure = law.status == DETERMINED
        rows.append((laws.allocations["parametric"].title, "with embeddings", value, np.nan, np.nan, sure))
    return rows


def _with_embeddings(observations: Observations) -> Observations | None:
    """The same runs with embeddings counted in N and C; None where they were not recorded."""
    runs = observations.runs
    if not (runs["embedding_parameters"] > 0).all():
        return None
    total = runs["parameters"] + runs["embedding_parameters"]
    factor = (total / runs["parameters"]).set_axis(runs["run"])
    losses = observations.losses
    losses = losses.assign(flops=losses["flops"] * losses["run"].map(factor))
    return Observations(losses, runs.assign(parameters=total, flops=runs["flops"] * factor.to_numpy()))


def _allocations(observations: Observations) -> list[Allocation]:
    rows = curve_rows(observations)
    if rows.empty:
        return []
    noise = seed_noise(observations.results(observations.train_corpus)) or USUAL_NOISE
    curves = profiles(rows, noise)
    return [find(curves, RESAMPLES, 0) for find in (allocation.envelope, allocation.isoflop)]
