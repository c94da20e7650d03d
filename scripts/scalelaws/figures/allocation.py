"""Figures of how compute is best split between size and data."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.marks import canvas, curve, key, law_curve, legend_above, points, size_bar
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.style import UNDETERMINED_COLOUR, SizeColours, category_marks, pale
from scalelaws.figures.words import estimate_text
from scalelaws.laws.fitted import DETERMINED, Allocation, Laws
from scalelaws.observations.table import Observations

SHARES = {
    "parameters": r"$N_{\mathrm{opt}} \propto C^a$ (parameters)",
    "tokens": r"$D_{\mathrm{opt}} \propto C^b$ (tokens)",
}
"""What compute is split between: the columns of an allocation, and their axis labels."""


@figure(
    "The best split of compute",
    "The size N and the tokens D with the lowest loss for a budget C, by the three approaches of Hoffmann et al.: "
    "the envelope of learning curves, the minima of IsoFLOP profiles, and the parametric law. Points are the "
    "optima found; bands are 95% intervals.",
)
def optimal_allocation(observations: Observations, laws: Laws) -> Figure:
    """N_opt(C), D_opt(C) by three approaches (Hoffmann et al. 2022, figures 2 and 3; Kaplan et al. 2020, figure 14)."""
    found = {name: allocation for name, allocation in laws.allocations.items() if len(allocation.table)}
    if not found:
        reasons = [f"{each.title}: {why}" for each in laws.allocations.values() for why in each.messages]
        raise NotDrawableError("; ".join(reasons) or "no approach gave an allocation of compute")
    sheet, axes = canvas(rows=2, height=4.4)
    marks = category_marks(list(laws.allocations))
    for ax, (share, label) in zip(axes, SHARES.items(), strict=True):
        for name, allocation in found.items():
            colour, marker = marks[name]
            _share(ax, allocation, share, colour, marker)
        log_axis(ax, "x", LABELS["flops"])
        log_axis(ax, "y", label)
    for name, allocation in laws.allocations.items():
        determined = allocation.status == DETERMINED
        key(axes[0], marks[name][0] if determined else UNDETERMINED_COLOUR, _label(allocation), determined)
    legend_above(sheet)
    return sheet


@figure(
    "IsoFLOP profiles",
    "Loss against size N at equal compute. Too small a model cannot use the budget, too large a one sees too few "
    "tokens; the parabola through each profile gives the best size (star).",
)
def isoflop_profiles(observations: Observations, laws: Laws) -> Figure:
    """Loss against N at fixed C (Hoffmann et al. 2022, figure 3, left; Kaplan et al. 2020, figure 11)."""
    found = [allocation for allocation in laws.allocations.values() if len(allocation.profiles)]
    if not found:
        raise NotDrawableError("no budget C was crossed by enough sizes N for a profile")
    profiles, parabolas = found[0].profiles, found[0].parabolas
    sheet, (ax,) = canvas()
    colours = SizeColours(profiles["flops"].unique(), "C")
    for budget, rows in profiles.groupby("flops"):
        name, colour = f"C = {budget:.3g}", colours(float(budget))
        ax.plot(rows["parameters"], rows["loss"], color=pale(colour), linewidth=0.6, zorder=1)
        for used, part in rows.groupby("used"):
            series = name if used else f"{name}, not in the fit"
            points(ax, part["parameters"], part["loss"], series, colour, used=bool(used))
    for row in parabolas[parabolas["reason"] == ""].itertuples():
        x = np.geomspace(row.low, row.high, 60)
        y = row.loss * np.exp(row.curvature * (np.log(x) - row.log_parameters) ** 2)  # fitted to ln loss
        name, colour = f"C = {row.flops:.3g}", colours(row.flops)
        curve(ax, x, y, f"{name}, parabola", colour, linewidth=0.9)
        points(ax, [float(np.exp(row.log_parameters))], [row.loss], f"{name}, minimum", colour, "*", markersize=6)
    log_axis(ax, "x", LABELS["parameters"])
    log_axis(ax, "y", LABELS["loss"])
    size_bar(sheet, [ax], colours, "$C$ (FLOPs)")
    used = profiles.groupby("flops")["used"].any()
    if not used.all():
        ax.set_title(f"{(~used).sum()} of {len(used)} profiles (pale) have no usable minimum", loc="left", fontsize=6.2)
    return sheet


def _share(ax: Axes, allocation: Allocation, share: str, colour: str, marker: str) -> None:
    determined = allocation.status == DETERMINED
    shade = colour if determined else UNDETERMINED_COLOUR
    optima = allocation.points[allocation.points["used"]]
    if len(optima):
        points(ax, optima["flops"], optima[share], f"{allocation.title}, optima", shade, marker, markersize=3)
    table = allocation.table.sort_values("flops")
    x = table["flops"].to_numpy(float)
    inside = table.loc[table["extrapolates"] <= 0, "flops"]
    observed = (inside.min(), inside.max()) if len(inside) else (x[0], x[0])
    interval = (table[f"{share}_low"].to_numpy(float), table[f"{share}_high"].to_numpy(float))
    law_curve(ax, x, table[share].to_numpy(float), interval, observed, allocation.title, shade, determined)


def _label(allocation: Allocation) -> str:
    """An approach and its exponents, with what they are exponents of."""
    if allocation.status != DETERMINED:
        return f"{allocation.title}: not determined"
    texts = [estimate_text(found) for found in allocation.exponents.values()]
    return f"{allocation.title}:\n{', '.join(texts)}"
