"""Figures of the loss on text unlike the training text (out of distribution)."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.marks import canvas, curve, law_curve, legend_above, note, points
from scalelaws.figures.registry import figure
from scalelaws.figures.select import law_of, ood_corpora, reach, readable_name
from scalelaws.figures.style import UNDETERMINED_COLOUR, category_marks
from scalelaws.figures.words import number, with_interval
from scalelaws.laws.fitted import DETERMINED, Laws
from scalelaws.observations.table import Observations
from scalelaws.units import readable

NAME_CHARACTERS = 18
"""Where the name of a corpus is broken beside an axis."""
HELD_OUT_COLOUR = "#1a1a1a"


@figure(
    "Loss on other text against size",
    "Loss on each out-of-distribution corpus, and on held-out text of the training distribution (black), against "
    "size N for each size's run on the most data, with their laws. Parallel lines mean that size helps everywhere "
    "alike.",
)
def ood_loss_vs_parameters(observations: Observations, laws: Laws) -> Figure:
    """OOD loss against N (Kaplan et al. 2020, figure 8, left)."""
    corpora = ood_corpora(observations)
    sheet, (ax,) = canvas(height=3.4)
    marks = {observations.train_corpus: (HELD_OUT_COLOUR, "o"), **category_marks(corpora)}
    handles = []
    for corpus, (colour, marker) in marks.items():
        rows = observations.results(corpus)
        rows = rows[rows["dataset_tokens"] == rows.groupby("parameters")["dataset_tokens"].transform("max")]
        name = "held out" if corpus == observations.train_corpus else readable_name(corpus)
        points(ax, rows["parameters"], rows["loss"], name, colour, marker)
        law = law_of(laws, "power_of_parameters", corpus)
        label = name
        if law is not None:
            x = reach(law.ranges["parameters"])
            determined = law.status == DETERMINED
            shade = colour if determined else UNDETERMINED_COLOUR
            interval = law.band(parameters=x)
            law_curve(
                ax, x, law.predict(parameters=x), interval, law.ranges["parameters"], f"{name}, law", shade, determined
            )
            alpha = law.parameters["alpha_N"]
            text = with_interval(alpha.value, alpha.low, alpha.high)
            label = f"{name}: α = {text}" + ("" if determined else " (not determined)")
        handles.append(Line2D([], [], color=colour, marker=marker, label=label))
    log_axis(ax, "x", LABELS["parameters"])
    log_axis(ax, "y", "Loss (nats/token)")
    subsets = rows["dataset_tokens"]
    if subsets.min() == subsets.max():
        note(ax, f"$D$ = {readable(subsets.max())} tokens", "lower left")
    legend_above(sheet, handles)
    return sheet


@figure(
    "Loss on other text against held-out loss",
    "Each point is a finished run, each thin line a run while it trains. If the loss on other text depended on the "
    "held-out loss by a constant offset alone, as Kaplan et al. found, the points would follow the dotted lines of "
    "slope 1.",
)
def ood_loss_vs_test_loss(observations: Observations, laws: Laws) -> Figure:
    """OOD loss against held-out loss, through training and at its end (Kaplan et al. 2020, figure 8, right)."""
    corpora = ood_corpora(observations)
    held_out = observations.curves(observations.train_corpus)[["run", "step", "loss", "result"]]
    sheet, (ax,) = canvas(height=3.6)
    ends = held_out.loc[held_out["result"], "loss"]
    x = np.linspace(ends.min() - 0.05 * np.ptp(ends), ends.max() + 0.05 * np.ptp(ends), 50)
    handles = []
    for corpus, (colour, marker) in category_marks(corpora).items():
        both = observations.curves(corpus)[["run", "step", "loss"]].merge(
            held_out, on=["run", "step"], suffixes=("", "_test")
        )
        name = readable_name(corpus)
        for run, rows in both[both["loss_test"] <= x[-1]].groupby("run"):
            curve(ax, rows["loss_test"], rows["loss"], f"{name}, {run}", colour, linewidth=0.35, alpha=0.35)
        done = both[both["result"]]
        points(ax, done["loss_test"], done["loss"], name, colour, marker, markersize=2.8, zorder=3)
        offset = float((done["loss"] - done["loss_test"]).mean())
        ax.plot(x, x + offset, ":", color=colour, linewidth=0.9)
        label = name
        law = law_of(laws, "transfer_line", corpus)
        if law is not None:
            determined = law.status == DETERMINED
            shade = colour if determined else UNDETERMINED_COLOUR
            ends = (float(x[0]), float(x[-1]))
            law_curve(ax, x, law.predict(loss=x), law.band(loss=x), ends, f"{name}, line", shade, determined)
            slope = law.parameters["slope"]
            label = f"{name}: λ = {with_interval(slope.value, slope.low, slope.high)}"
        handles.append(Line2D([], [], color=colour, marker=marker, label=label))
    handles.append(Line2D([], [], color="0.3", linestyle=":", label="constant offset (slope 1)"))
    ax.set_xlabel(LABELS["loss"])
    ax.set_ylabel("Out-of-distribution loss (nats/token)")
    legend_above(sheet, handles)
    return sheet


@figure(
    "Offsets of other text",
    "Left: loss on each corpus minus held-out loss, a pale point a run, the mean over runs with its 95% interval in "
    "colour. Right: the slope λ of its line against the held-out loss; the claim of a constant offset is λ = 1.",
)
def ood_offsets(observations: Observations, laws: Laws) -> Figure:
    """Offset and slope of each OOD corpus (the claim of Kaplan et al. 2020, section 3.2.2)."""
    corpora = ood_corpora(observations)
    held_out = observations.results(observations.train_corpus)[["run", "loss"]]
    sheet, (left, right) = canvas(columns=2, height=0.9 + 0.27 * len(corpora))
    for place, (corpus, (colour, marker)) in enumerate(category_marks(corpora).items()):
        rows = observations.results(corpus)[["run", "loss"]].merge(held_out, on="run", suffixes=("", "_test"))
        offsets = (rows["loss"] - rows["loss_test"]).to_numpy()
        name = readable_name(corpus)
        points(left, offsets, np.full(len(offsets), place), f"{name}, runs", colour, ".", alpha=0.25, markersize=3)
        low, high = _mean_interval(offsets)
        points(left, [offsets.mean()], [place], name, colour, marker, across=([low], [high]), zorder=3)
        law = law_of(laws, "transfer_line", corpus)
        if law is not None:
            slope = law.parameters["slope"]
            shade = colour if law.status == DETERMINED else UNDETERMINED_COLOUR
            points(right, [slope.value], [place], name, shade, marker, across=([slope.low], [slope.high]))
    right.axvline(1, color="0.4", linestyle=":", linewidth=1)
    left.set_yticks(range(len(corpora)), [fill(readable_name(corpus), NAME_CHARACTERS) for corpus in corpora])
    right.set_yticks(range(len(corpora)), [])
    left.set_xlabel("Offset (nats/token)")
    right.set_xlabel("Slope λ")
    for ax in (left, right):
        ax.set_ylim(-0.6, len(corpora) - 0.4)
        ax.grid(False, axis="y")
    return sheet


@figure(
    "Gaps to every other text",
    "For each corpus: its mean loss above the held-out loss, the slope λ of its loss against the held-out loss, and "
    "the exponent of its loss in size N. Redder is larger within a column; the first row is the training text "
    "itself. Numbers in brackets are not determined.",
)
def gap_matrix(observations: Observations, laws: Laws) -> Figure:
    """Offsets and exponents of train, held-out and OOD loss as a heat map (after Kaplan et al. 2020, section 3.2.2)."""
    corpora = ood_corpora(observations)
    table, sure = _gaps(observations, laws, corpora)
    known = [column for column in GAPS if table.loc[map(readable_name, corpora), column].notna().any()]
    sheet, axes = canvas(columns=len(known), height=1.0 + 0.24 * len(table))
    for ax, column in zip(axes, known, strict=True):
        label = GAPS[column]
        values = table[[column]].to_numpy(float)
        cells = ax.pcolormesh(values, cmap="RdYlBu_r", edgecolor="white", linewidth=1)
        cells.set_gid(label)
        for row, value in enumerate(values[:, 0]):
            if np.isfinite(value):
                red, green, blue, _ = cells.cmap(cells.norm(value))
                dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
                shade = "white" if dark else "black"
                text = number(value) if sure[column].iloc[row] else f"({number(value, 2)})"
                ax.text(0.5, row + 0.5, text, ha="center", va="center", color=shade)
            else:
                ax.text(0.5, row + 0.5, "–", ha="center", va="center")
        ax.set_xticks([])
        ax.set_xlabel(label)
        names = [fill(name, NAME_CHARACTERS) for name in table.index] if ax is axes[0] else []
        ax.set_yticks(np.arange(len(table)) + 0.5 if names else [], names)
        ax.tick_params(length=0)
        ax.invert_yaxis()
        ax.grid(False)
        ax.spines[:].set_visible(False)
    return sheet


GAPS = {"offset": "Offset\n(nats/token)", "slope": "Slope λ", "exponent": "Exponent\nof size, α"}


def _gaps(observations: Observations, laws: Laws, corpora: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Offset, slope and exponent of training text, held-out text and each other corpus; and which are determined."""
    held_out = observations.results(observations.train_corpus).set_index("run")["loss"]
    train = observations.results(observations.train_corpus, "train").set_index("run")["loss"]
    own = law_of(laws, "power_of_parameters", observations.train_corpus)
    rows = {
        "training text": {"offset": float((train - held_out).mean()) if len(train) else np.nan},
        "held out": {"offset": 0.0, "slope": 1.0, "exponent": own.best["alpha_N"] if own else np.nan},
    }
    sure = {name: dict.fromkeys(GAPS, True) for name in rows}
    for corpus in corpora:
        loss = observations.results(corpus).set_index("run")["loss"]
        line, power = law_of(laws, "transfer_line", corpus), law_of(laws, "power_of_parameters", corpus)
        rows[readable_name(corpus)] = {
            "offset": float((loss - held_out).mean()),
            "slope": line.best["slope"] if line else np.nan,
            "exponent": power.best["alpha_N"] if power else np.nan,
        }
        sure[readable_name(corpus)] = {
            "offset": True,
            "slope": line is not None and line.status == DETERMINED,
            "exponent": power is not None and power.status == DETERMINED,
        }
    values, known = (pd.DataFrame.from_dict(part, orient="index", columns=list(GAPS)) for part in (rows, sure))
    measured = values.notna().any(axis=1)
    return values[measured], known[measured]


def _mean_interval(values: np.ndarray) -> tuple[float, float]:
    """The 95% bootstrap interval of a mean over runs."""
    random = np.random.default_rng(0)
    low, high = np.quantile(random.choice(values, (1000, len(values))).mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
