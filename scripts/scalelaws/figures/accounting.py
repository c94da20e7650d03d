"""One set of runs under the accounts of Kaplan et al., of Hoffmann et al., and of every product that was made."""

from matplotlib.figure import Figure

from scalelaws.figures.marks import canvas, legend_above, points
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.style import UNDETERMINED_COLOUR, category_marks
from scalelaws.laws.accounting import ACCOUNTS, WITHOUT
from scalelaws.laws.fitted import DETERMINED, Estimate, Laws
from scalelaws.observations.table import Observations

KAPLAN, HOFFMANN = 0.73, 0.50
"""The exponents of N_opt(C) that the two papers print."""


@figure(
    "One set of runs, several accounts",
    "The exponent a of the best size, N ∝ C^a, from the same runs under each account: embeddings left out of N and C "
    "or counted in both, or in C every product, those of attention and the output layer too, for each way to find the "
    "best size. Dotted lines: what the two papers print.",
)
def reconciled_exponents(observations: Observations, laws: Laws) -> Figure:
    """The exponent of N_opt after each change of accounting (Pearce & Song 2024; Porian et al. 2024)."""
    found = _exponents(laws)
    if not found:
        raise NotDrawableError("no approach gives an exponent under any account")
    approaches = list(dict.fromkeys(approach for approach, *_ in found))
    present = {account for _, account, *_ in found}
    accounts = [words for words in map(_words, ACCOUNTS) if words in present]
    marks = category_marks(accounts)
    sheet, (ax,) = canvas(height=1.0 + 0.42 * len(approaches))
    for approach, account, estimate, determined in found:
        colour, marker = marks[account]
        place = approaches.index(approach) + (accounts.index(account) - (len(accounts) - 1) / 2) * 0.3
        shade = colour if determined else UNDETERMINED_COLOUR
        across = [estimate.low], [estimate.high]
        points(ax, [estimate.value], [place], f"{approach}, {account}", shade, marker, across=across)
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


def _exponents(laws: Laws) -> list[tuple[str, str, Estimate, bool]]:
    """Approach, account, exponent, whether it is determined; by approach, in the order of the accounts."""
    rows = []
    for approach, found in laws.allocations.items():
        counted = laws.accounts.get(f"{approach}/parameters")
        if counted:
            for account, estimate in counted.estimates.items():
                rows.append((found.title, _words(account), estimate, counted.status[account] == DETERMINED))
        elif found.exponents:
            rows.append((found.title, _words(WITHOUT), found.exponents["parameters"], found.status == DETERMINED))
    return rows


def _words(account: str) -> str:
    return account.replace("_", " ")
