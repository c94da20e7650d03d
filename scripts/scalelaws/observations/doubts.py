"""What looks wrong in a table of runs but might not be, each doubt with what to do about it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

SUSPICIOUS_SIZE, SUSPICIOUS_TOKENS, SUSPICIOUS_LOSS = 1e4, 1e6, 1.2
LIKELIEST_FLOPS = (0.5, 2.0)
SAME_FLOPS = 0.1
FARTHEST_LOSS = 15.0
"""Nats per token: beyond it a run has diverged (ln of a vocabulary of three million)."""
RISEN = 0.5
"""Nats by which a curve may end above its lowest loss before the run is named."""
NAMED = 5


def doubts(frame: pd.DataFrame, columns: Mapping[str, str]) -> list[str]:
    """Doubts about a completed table; `columns` are its own names by word, for what was not derived."""
    found = _units(frame, columns)
    found += _compute(frame)
    for word, letter in (("parameters", "N"), ("dataset_tokens", "D")):
        if frame[word].min() == frame[word].max():
            what = "parameters" if letter == "N" else "tokens"
            found.append(f"every run has {frame[word].iloc[0]:g} {what}: no law of {letter} can be fitted")
    same = frame.duplicated(["parameters", "dataset_tokens", "tokens", "corpus", "split", "loss"])
    if same.any():
        rows = ", ".join(str(row) for row in frame.index[same][:NAMED])
        found.append(
            f"row {rows} repeats another with the same N, D and loss: a run given twice counts twice; "
            f"leave one out (--where)"
        )
    lost = diverged(frame)
    if lost.any():
        where = _named(frame.loc[lost, "run"])
        found.append(f"left out as diverged: {where}, whose loss is missing, infinite or above {FARTHEST_LOSS:g}")
    return found + _risen(frame[~frame["run"].isin(frame.loc[lost, "run"])])


def diverged(frame: pd.DataFrame) -> pd.Series:
    """Which rows hold no loss that a trained model could have."""
    return ~np.isfinite(frame["loss"]) | (frame["loss"] > FARTHEST_LOSS)


def _units(frame: pd.DataFrame, columns: Mapping[str, str]) -> list[str]:
    found = []
    for word, option, least in (
        ("parameters", "parameters", SUSPICIOUS_SIZE),
        ("dataset_tokens", "tokens", SUSPICIOUS_TOKENS),
    ):
        if word in columns and frame[word].max() < least:
            found.append(
                f"{columns[word]} is at most {frame[word].max():g}: if it is in millions or billions, "
                f"give its unit (--unit {option}=1e6)"
            )
    if frame["loss"].median() < SUSPICIOUS_LOSS:
        found.append(
            f"losses are about {frame['loss'].median():.2f}: are they nats per token, or bits per byte? "
            f"Bits per token are converted by --unit loss=0.6931"
        )
    return found


def _compute(frame: pd.DataFrame) -> list[str]:
    ratio = float((frame["flops_given"] / frame["flops"]).median())
    if not LIKELIEST_FLOPS[0] <= ratio <= LIKELIEST_FLOPS[1]:
        return [f"flops are {ratio:.3g} times 6·N·D: check the units of all three, or leave flops out"]
    if abs(ratio - 1) > SAME_FLOPS:
        return [f"flops are {ratio:.3g} times 6·N·D: the laws of compute use C = 6·N·D"]
    return []


def _risen(frame: pd.DataFrame) -> list[str]:
    test = frame[frame["split"] == "test"].sort_values("step")
    curves = test.groupby(["run", "corpus"])["loss"]
    rise = (curves.last() - curves.min()).groupby("run").max()
    risen = rise.index[rise > RISEN]
    if risen.empty:
        return []
    return [
        f"ends more than {RISEN:g} nats above its lowest loss: {_named(risen)}; if it diverged, leave it out (--where)"
    ]


def _named(runs: pd.Series | pd.Index) -> str:
    names = [str(run) for run in pd.unique(runs)]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
