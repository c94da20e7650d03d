"""Figures of the corpora, drawn from their cards, and of runs on more than one of them."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from scalelaws.corpus.card import STEPS
from scalelaws.figures.axes import LABELS, log_axis
from scalelaws.figures.marks import bars, canvas, legend_above, points
from scalelaws.figures.registry import NotDrawableError, corpus_figure, figure
from scalelaws.figures.select import on_shared_data, readable_name
from scalelaws.figures.style import CATEGORY_COLOURS, category_marks
from scalelaws.io import read_json
from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations
from scalelaws.units import readable


@corpus_figure(
    "What each cleaning step removed",
    "The share of documents that each step of each corpus let through, and their numbers.",
)
def cleaning_steps(cards: Sequence[str | Path]) -> Figure:
    """Documents in and out of every step, by corpus (Kaplan et al. 2020, section 2.3, give the totals)."""
    read = [read_json(card) for card in cards]
    chosen = [card for card in read if card["steps"]]
    if not chosen:
        raise NotDrawableError("no corpus card was given: the table came from elsewhere")
    sheet, (ax,) = canvas(height=0.6 + 0.155 * sum(len(card["steps"]) + 1 for card in chosen))
    place, labels = 0, []
    for card in chosen:
        corpus = readable_name(card["corpus"])
        labels.append((place, corpus, "bold"))
        for step in card["steps"]:
            place += 1
            entered, left = step["in"]["documents"], step["out"]["documents"]
            title = STEPS[step["step"]].lower()
            bars(ax, [place], [100 * left / entered if entered else 0.0], f"{corpus}, {title}", CATEGORY_COLOURS[0])
            ax.text(103, place, f"{left:,} of {entered:,}", va="center")
            labels.append((place, title, "normal"))
        place += 1
    ax.set_yticks([at for at, *_ in labels], [text for _, text, _ in labels])
    for tick, (*_, weight) in zip(ax.get_yticklabels(), labels, strict=True):
        tick.set_fontweight(weight)
    ax.set(xlim=(0, 260), ylim=(place, -0.8), xticks=[0, 50, 100], xlabel="Documents kept (%)")
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    return sheet


@figure(
    "Two corpora",
    "Held-out loss against size N for the runs on the most data of each training corpus that most sizes had, on its "
    "own held-out text.",
)
def training_corpora(observations: Observations, laws: Laws) -> Figure:
    """Whether the exponents depend on the corpus (Hoffmann et al. 2022, figure A2)."""
    corpora = sorted(observations.runs["train_corpus"].unique())
    if len(corpora) < 2:
        raise NotDrawableError("all runs were trained on one corpus")
    sheet, (ax,) = canvas()
    for corpus, (colour, marker) in category_marks(corpora).items():
        rows = observations.results(corpus)
        rows = rows[rows["train_corpus"] == corpus]
        rows = on_shared_data(rows)
        name = f"{readable_name(corpus)}, D = {readable(rows['dataset_tokens'].max())}"
        points(ax, rows["parameters"], rows["loss"], name, colour, marker, label=name)
        best = rows.groupby("parameters")["loss"].min()
        ax.plot(best.index, best, color=colour, linewidth=0.6)
    log_axis(ax, "x", LABELS["parameters"])
    log_axis(ax, "y", LABELS["loss"])
    legend_above(sheet)
    return sheet
