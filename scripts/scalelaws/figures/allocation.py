"""Figures of how compute is best split between size and data."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.compute import curves_by_compute
from scalelaws.figures.crossings import FEWEST_SIZES, reached, targets
from scalelaws.figures.marks import (
    band,
    canvas,
    curve,
    key,
    law_curve,
    legend_above,
    note,
    one_over_two,
    points,
    size_bar,
)
from scalelaws.figures.registry import NotDrawableError, figure
from scalelaws.figures.select import fresh_curves, law_of, needed_law, with_runs
from scalelaws.figures.style import CATEGORY_COLOURS, LAW_COLOUR, UNDETERMINED_COLOUR, SizeColours, category_marks, pale
from scalelaws.figures.words import estimate_text, law_label, number, with_interval
from scalelaws.laws.fitted import DETERMINED, Allocation, Estimate, Laws
from scalelaws.laws.kaplan import contradiction as crossing
from scalelaws.laws.kaplan import cost_of_size
from scalelaws.observations.table import Observations

SHARES = {
    "parameters": r"$N_{\mathrm{opt}}$ (parameters)",
    "tokens": r"$D_{\mathrm{opt}}$ (tokens)",
}
"""What compute is split between: the columns of an allocation, and their axis labels."""
FARTHEST_CROSSING = 1e9
"""Two laws that cross within this factor of the largest compute are drawn until they do."""


@figure(
    "The best split of compute",
    "The size N and the tokens D with the lowest loss for a budget C, by every approach: the envelope of learning "
    "curves, the minima of IsoFLOP profiles, the parametric law. Points are the optima found; bands are 95% "
    "intervals.",
)
def optimal_allocation(observations: Observations, laws: Laws) -> Figure:
    """N_opt(C), D_opt(C) by each approach (Hoffmann et al. 2022, figures 1 and A3; Kaplan et al. 2020, figure 14)."""
    found = {
        name: allocation
        for name, allocation in laws.allocations.items()
        if len(allocation.table) and (allocation.status == DETERMINED or allocation.points["used"].any())
    }
    if not found:
        reasons = [f"{each.title}: {each.messages[0]}" for each in laws.allocations.values() if each.messages]
        raise NotDrawableError("; ".join(reasons) or "no approach gave an allocation of compute")
    sheet, axes = canvas(rows=2, height=4.4)
    marks = category_marks(list(laws.allocations))
    for ax, share in zip(axes, SHARES, strict=True):
        for name, allocation in found.items():
            _share(ax, allocation, share, *marks[name])
    for name, allocation in laws.allocations.items():
        determined = allocation.status == DETERMINED
        key(axes[0], marks[name][0] if determined else UNDETERMINED_COLOUR, _label(allocation), determined)
    legend_above(sheet)
    return sheet


@figure(
    "Envelope of the learning curves",
    "Above: every learning curve, of runs whose rate falls only their ends, joined. In black where one size gives way "
    "to another as the best, both doing equally well; of eight best sizes and more, the lowest loss at each budget. "
    "Below: the size N there, or midway between the two, the tokens D that it sees, and their powers of compute.",
)
def envelope(observations: Observations, laws: Laws) -> Figure:
    """The lower envelope of all curves with its N_opt(C) and D_opt(C) (Hoffmann et al. 2022, figure 2)."""
    found = _approach(laws, "envelope", "no run was evaluated at several steps")
    curves = observations.curves(observations.train_corpus)
    has_optima = bool(found.points["used"].any())
    sheet, axes = one_over_two(height=4.6) if has_optima else canvas(height=3.0)
    top = axes[0]
    colours = SizeColours(curves["parameters"].unique(), "N")
    curves_by_compute(top, curves, colours)
    for used, part in found.points[found.points["loss"] >= 0.99 * curves["loss"].min()].groupby("used"):
        series = "envelope" if used else "envelope, not in the fit"
        points(top, part["flops"], part["loss"], series, "black", markersize=2.5, used=bool(used))
    log_axis(top, "x", LABELS["flops"])
    log_axis(top, "y", LABELS["loss"])
    if has_optima:
        _shares_below(sheet, axes[1], axes[2], found)
    else:
        key(top, UNDETERMINED_COLOUR, _label(found), determined=False)
        legend_above(sheet)
    size_bar(sheet, [top], colours, "$N$")
    return sheet


@figure(
    "IsoFLOP profiles",
    "Above: loss against size N at equal compute. Too small a model cannot use the budget, too large a one sees too "
    "few tokens; the parabola through each profile gives the best size (star). Below: the best sizes and tokens.",
)
def isoflop(observations: Observations, laws: Laws) -> Figure:
    """Loss against N at fixed C, and the minima (Hoffmann et al. 2022, figure 3; Kaplan et al. 2020, figure 11)."""
    found = _approach(laws, "isoflop", "no budget C was crossed by several sizes N")
    profiles, parabolas = found.profiles, found.parabolas
    has_optima = bool(found.points["used"].any())
    sheet, axes = one_over_two(height=4.6) if has_optima else canvas(height=3.0)
    top = axes[0]
    colours = SizeColours(profiles["flops"].unique(), "C")
    for budget, rows in profiles.groupby("flops"):
        name, colour = f"C = {budget:.3g}", colours(float(budget))
        top.plot(rows["parameters"], rows["loss"], color=pale(colour), linewidth=0.6, zorder=1)
        for used, part in rows.groupby("used"):
            series = name if used else f"{name}, not in the fit"
            points(top, part["parameters"], part["loss"], series, colour, used=bool(used))
    for row in parabolas[parabolas["reason"] == ""].itertuples():
        x = np.geomspace(row.low, row.high, 60)
        y = row.loss * np.exp(row.curvature * (np.log(x) - row.log_parameters) ** 2)  # fitted to ln loss
        name, colour = f"C = {row.flops:.3g}", colours(row.flops)
        curve(top, x, y, f"{name}, parabola", colour, linewidth=0.9)
        points(top, [float(np.exp(row.log_parameters))], [row.loss], f"{name}, minimum", colour, "*", markersize=6)
    log_axis(top, "x", LABELS["parameters"])
    log_axis(top, "y", LABELS["loss"])
    used = profiles.groupby("flops")["used"].any()
    if not used.all():
        refused = f"{(~used).sum()} of {len(used)} profiles (pale) have no usable minimum"
        top.set_title(refused, loc="left", fontsize=mpl.rcParams["legend.fontsize"])
    if has_optima:
        _shares_below(sheet, axes[1], axes[2], found)
    else:
        key(top, UNDETERMINED_COLOUR, _label(found), determined=False)
        legend_above(sheet)
    size_bar(sheet, [top], colours, "$C$ (FLOPs)")
    return sheet


@figure(
    "What growing compute is spent on",
    "As the budget grows, by how much the best size, batch and steps grow, or size and tokens where batches were not "
    "measured: the height of each area is its factor on a logarithmic axis, and together they are the growth of "
    "compute.",
)
def growing_compute(observations: Observations, laws: Laws) -> Figure:
    """The factors that a growing budget goes into (Kaplan et al. 2020, figure 3)."""
    shown = {
        found.title: {"size N": found.exponents["parameters"].value, "tokens D": found.exponents["tokens"].value}
        for found in laws.allocations.values()
        if found.status == DETERMINED
    }
    measured = _measured(laws, "exponent")
    if measured:
        names = {"parameters": "size N", "batch_tokens": "batch B", "steps": "steps S"}
        powers = {title: measured[name].value for name, title in names.items()}
        shown = {"Against the least compute $C_{\\min}$": powers, **shown}
    if not shown:
        raise NotDrawableError("no approach determines how compute is best split")
    sheet, axes = canvas(rows=len(shown), height=0.5 + 1.75 * len(shown))
    x = np.geomspace(1, 1e4, 40)
    for ax, (title, exponents) in zip(axes, shown.items(), strict=True):
        below = 0.0
        for (name, exponent), colour in zip(exponents.items(), CATEGORY_COLOURS, strict=False):
            low, high = x**below, x ** (below + exponent)
            band(ax, x, np.minimum(low, high), np.maximum(low, high), name, colour)
            curve(ax, x, high, f"{name}, upper edge", colour, linewidth=0.9, label=f"{name}, $C^{{{exponent:.2f}}}$")
            below += exponent
        log_axis(ax, "x", "Growth of compute (factor)")
        log_axis(ax, "y", "Growth (factor)")
        ax.set_title(title, loc="left")
        ax.legend(loc="upper left", reverse=True)
    return sheet


@figure(
    "Best size and steps against the least compute",
    "Size N and steps S along the envelope of the learning curves against C_min, with a batch at its critical size. "
    "Size grows fast with compute; the number of steps hardly does.",
)
def least_compute_split(observations: Observations, laws: Laws) -> Figure:
    """N_opt and S_min against C_min (Kaplan et al. 2020, figure 14)."""
    powers, factors = _measured(laws, "exponent"), _measured(laws, "factor")
    envelope_law = law_of(laws, "power_of_flops_min", observations.train_corpus)
    if not powers or envelope_law is None:
        raise NotDrawableError("no critical batch size was measured, or no best size against C_min")
    low, high = envelope_law.ranges["flops_min"]
    x = np.unique([*np.geomspace(low, high * 10, 60), high])
    sheet, axes = canvas(rows=2, height=4.2)
    labels = {"parameters": SHARES["parameters"], "steps": r"$S_{\min}$ (updates)"}
    for ax, (name, label), colour in zip(axes, labels.items(), CATEGORY_COLOURS, strict=False):
        law_curve(ax, x, factors[name].value * x ** powers[name].value, None, (low, high), name, colour)
        key(axes[0], colour, f"{name}: power {with_interval(powers[name].value, powers[name].low, powers[name].high)}")
        log_axis(ax, "x", "Least compute $C_{\\min}$ (FLOPs)")
        log_axis(ax, "y", label)
    data = with_runs(observations, envelope_law).query("used")
    points(axes[0], data["flops_min"], data["parameters"], "sizes on the envelope", CATEGORY_COLOURS[0])
    legend_above(sheet)
    return sheet


@figure(
    "Does the best split change with compute?",
    "The exponent a of the best size over the lower, middle and upper budgets of the envelope and of the IsoFLOP "
    "minima, and by how much it changes in a decade. Lines of different slopes mean that one power law is not the "
    "whole story.",
)
def frontier_curvature(observations: Observations, laws: Laws) -> Figure:
    """Curvature of the frontier of compute (Hoffmann et al. 2022, figure A5)."""
    found = {
        name: each
        for name, each in laws.allocations.items()
        if each.curvature is not None and len(set(each.points.loc[each.points["used"], "parameters"])) > 1
    }
    if not found:
        raise NotDrawableError("fewer than four budgets have a best size, or all the same: no curvature")
    sheet, (ax,) = canvas()
    for name, (colour, marker) in category_marks(list(found)).items():
        allocation = found[name]
        optima = allocation.points[allocation.points["used"]].sort_values("flops")
        x, y = np.log(optima["flops"].to_numpy(float)), np.log(optima["parameters"].to_numpy(float))
        thirds = [part for part in np.array_split(np.arange(len(x)), min(3, len(x) // 2)) if np.ptp(x[part]) > 0]
        for number_of, part in enumerate(thirds, 1):
            slope, height = np.polyfit(x[part], y[part], 1)
            ends = np.array([x[part[0]], x[part[-1]]])
            series = f"{allocation.title}, part {number_of}: a = {slope:.2f}"
            curve(ax, np.exp(ends), np.exp(height + slope * ends), series, colour)
        points(ax, optima["flops"], optima["parameters"], allocation.title, colour, marker, markersize=2.6)
        bend = allocation.curvature
        assert bend is not None
        text = with_interval(bend.value, bend.low, bend.high)
        ax.plot([], [], color=colour, marker=marker, label=f"{allocation.title}:\na changes by {text} in a decade")
    log_axis(ax, "x", LABELS["flops"])
    log_axis(ax, "y", SHARES["parameters"])
    legend_above(sheet)
    return sheet


@figure(
    "The cost of a size that is not the best",
    "Compute to reach a given loss with each size N, over the least that any size needed, against N over the size "
    "that needed least. The bottom is flat: sizes within a factor of two cost little more.",
)
def suboptimal_sizes(observations: Observations, laws: Laws) -> Figure:
    """Excess compute of sizes that are too small or too large (Kaplan et al. 2020, figure 12, left)."""
    curves = fresh_curves(observations)
    crossings = (
        reached(curves, targets(curves), "flops").groupby(["target", "parameters"], as_index=False)["flops"].min()
    )
    rows = pd.concat([_over_the_best(part) for _, part in crossings.groupby("target")] or [crossings])
    if "ratio" not in rows or rows.empty:
        raise NotDrawableError(f"no loss was reached by {FEWEST_SIZES} sizes N, one between two others the cheapest")
    sheet, (ax,) = canvas()
    marks = category_marks([f"{target:g}" for target in sorted(rows["target"].unique())])
    for target, part in rows.groupby("target"):
        colour, marker = marks[f"{target:g}"]
        name = f"L = {target:g} nats/token"
        points(ax, part["ratio"], part["excess"], name, colour, marker, label=name)
        curve(ax, part["ratio"], part["excess"], f"{name}, joined", colour, linewidth=0.7)
    steps = law_of(laws, "kaplan_steps", observations.train_corpus)
    if steps is not None:
        x = np.geomspace(rows["ratio"].min(), rows["ratio"].max(), 100)
        cost = cost_of_size(x, steps.best["alpha_N"], steps.best["alpha_S"])
        curve(ax, x, cost, "by the law of size and steps", LAW_COLOUR, label="by $L(N, S_{\\min})$")
    ax.axvline(1, color="0.6", linewidth=0.6)
    log_axis(ax, "x", "$N$ over the cheapest $N$ (ratio)")
    log_axis(ax, "y", "Compute over the least (ratio)")
    legend_above(sheet, columns=2)
    return sheet


@figure(
    "Where the laws contradict each other",
    "The law of compute, and what the law of data allows with the tokens that the best split gives each budget. "
    "Where the two cross, the loss would fall below what the data can teach: one of the laws must fail before.",
)
def contradiction(observations: Observations, laws: Laws) -> Figure:
    """L(C) against L(D(C)) (Kaplan et al. 2020, figure 15 and section 6.3)."""
    corpus = observations.train_corpus
    least = law_of(laws, "power_of_flops_min", corpus)
    compute = least or needed_law(laws, "power_of_flops", corpus, "law of compute")
    data = needed_law(laws, "power_of_dataset_tokens", corpus, "law of data")
    split = next((each for each in laws.allocations.values() if each.status == DETERMINED), None)
    if split is None:
        raise NotDrawableError("no approach determines how many tokens a budget is best spent on")
    (variable,) = compute.variables
    laws_of = [(law.best[f"alpha_{c}"], law.best[f"{c}_c"]) for law, c in ((compute, "C"), (data, "D"))]
    growth = split.exponents["tokens"].value, float(np.exp(split.line[2]))
    where, loss = crossing(laws_of[0], laws_of[1], growth)
    low, high = compute.ranges[variable]
    met = high < where < high * FARTHEST_CROSSING
    x = np.unique(np.concatenate([np.geomspace(low, where * 30 if met else high * 1e4, 200), [low, high]]))
    tokens = np.exp(split.line[2]) * x ** split.line[3]
    sheet, (ax,) = canvas(height=3.0)
    shown = (
        (
            compute.predict(**{variable: x}),
            compute.band(0.95, **{variable: x}),
            law_label(compute),
            CATEGORY_COLOURS[0],
        ),
        (
            data.predict(dataset_tokens=tokens),
            data.band(0.95, dataset_tokens=tokens),
            law_label(data),
            CATEGORY_COLOURS[1],
        ),
    )
    for middle, interval, name, colour in shown:
        law_curve(ax, x, middle, interval, (low, high), name, colour)
        key(ax, colour, name)
    if met:
        label = f"they cross at C = {number(where, 2)} FLOPs, L = {number(loss, 3)}"
        points(ax, [where], [loss], "crossing", LAW_COLOUR, "*", markersize=7, label=label, linestyle="")
    else:
        note(ax, "they do not cross beyond the data" if where <= high else f"they cross at {where:.0e} FLOPs")
    log_axis(ax, "x", LABELS["flops"])
    log_axis(ax, "y", LABELS["loss"])
    legend_above(sheet)
    return sheet


def _measured(laws: Laws, what: str) -> dict[str, Estimate]:
    """Exponents or factors of what grows with C_min, by name; none where the runs do not determine them."""
    start, end = "measured_", f"_{what}"
    return {
        name.removeprefix(start).removesuffix(end): found.estimate
        for name, found in laws.derived.items()
        if name.startswith(start) and name.endswith(end)
    }


def _approach(laws: Laws, name: str, otherwise: str) -> Allocation:
    found = laws.allocations.get(name)
    if found is None or found.points.empty:
        reasons = "; ".join(found.messages) if found else ""
        raise NotDrawableError(reasons or otherwise)
    return found


def _over_the_best(rows: pd.DataFrame) -> pd.DataFrame:
    """Compute and size over those of the cheapest size, where that one has smaller and larger rivals."""
    best = rows.loc[rows["flops"].idxmin()]
    inside = rows["parameters"].min() < best["parameters"] < rows["parameters"].max()
    if not inside:
        return rows.iloc[:0].assign(ratio=[], excess=[])
    return rows.assign(ratio=rows["parameters"] / best["parameters"], excess=rows["flops"] / best["flops"])


def _shares_below(sheet: Figure, left: Axes, right: Axes, found: Allocation) -> None:
    """N_opt and D_opt of one approach in the two lower panels, with their exponents above the sheet."""
    for ax, share in ((left, "parameters"), (right, "tokens")):
        # where no size reached a budget, there is no loss and no size either
        refused = found.points[~found.points["used"] & (found.points["loss"] != 1) & (found.points["parameters"] != 1)]
        if len(refused):
            name = f"{found.title}, not in the fit"
            points(ax, refused["flops"], refused[share], name, CATEGORY_COLOURS[0], used=False, markersize=2.4)
        _share(ax, found, share, CATEGORY_COLOURS[0], "o")
    determined = found.status == DETERMINED
    key(left, CATEGORY_COLOURS[0] if determined else UNDETERMINED_COLOUR, _label(found), determined)
    legend_above(sheet, left.get_legend_handles_labels()[0])


def _share(ax: Axes, allocation: Allocation, share: str, colour: str, marker: str) -> None:
    determined = allocation.status == DETERMINED
    shade = colour if determined else UNDETERMINED_COLOUR
    optima = allocation.points[allocation.points["used"]]
    if len(optima):
        points(ax, optima["flops"], optima[share], f"{allocation.title}, optima", shade, marker, markersize=3)
    if len(allocation.table):
        table = allocation.table.sort_values("flops")
        x = table["flops"].to_numpy(float)
        inside = table.loc[table["extrapolates"] <= 0, "flops"]
        observed = (inside.min(), inside.max()) if len(inside) else (x[0], x[0])
        interval = (table[f"{share}_low"].to_numpy(float), table[f"{share}_high"].to_numpy(float))
        law_curve(ax, x, table[share].to_numpy(float), interval, observed, allocation.title, shade, determined)
    log_axis(ax, "x", LABELS["flops"])
    log_axis(ax, "y", SHARES[share])


def _label(allocation: Allocation) -> str:
    """An approach and its exponents, with what they are exponents of."""
    if allocation.status != DETERMINED:
        return f"{allocation.title}: not determined"
    texts = [estimate_text(found) for found in allocation.exponents.values()]
    return f"{allocation.title}:\n{', '.join(texts)}"
