"""Which law and which rows a figure shows."""

import numpy as np
import pandas as pd

from scalelaws.figures.registry import NotDrawableError
from scalelaws.laws.curves import FIRST_EPOCH
from scalelaws.laws.fitted import FittedLaw, Laws
from scalelaws.laws.rows import at_largest_shared
from scalelaws.observations.table import Observations

EXTRAPOLATE = 4.0
"""A law is drawn this far (as a factor) beyond the largest observed value, dashed."""

ALIKE = 1.25
"""Sizes within this factor of another, of other shapes, are one size to the eye."""


def law_of(laws: Laws, form: str, corpus: str) -> FittedLaw | None:
    """The study's law of a form on a corpus, if it has one that could be fitted at all."""
    return next((law for law in _laws(laws, form, corpus) if law.parameters), None)


def rows_of(laws: Laws, form: str, corpus: str) -> pd.DataFrame | None:
    """The rows that a law of this form is fitted to, or was to be fitted to; None where the study has no such law."""
    return next((law.data for law in _laws(laws, form, corpus)), None)


def why_no_law(laws: Laws, form: str, corpus: str) -> str:
    """Why `law_of` gives None, in words."""
    reasons = [message for law in _laws(laws, form, corpus) for message in law.messages]
    return "; ".join(reasons) or "the study does not fit it"


def needed_law(laws: Laws, form: str, corpus: str, what: str) -> FittedLaw:
    """The law of a form on a corpus. Raises NotDrawableError, with the reason why `what` is missing, without one."""
    law = law_of(laws, form, corpus)
    if law is None:
        raise NotDrawableError(f"there is no {what}: {why_no_law(laws, form, corpus)}")
    return law


def _laws(laws: Laws, form: str, corpus: str) -> list[FittedLaw]:
    return [law for law in laws.laws.values() if law.form == form and law.corpus == corpus]


def used_by(law: FittedLaw | None, rows: pd.DataFrame) -> np.ndarray:
    """Which of `rows` (columns run, step) the law was fitted to; all of them where there is no law."""
    if law is None:
        return np.ones(len(rows), bool)
    used = law.data[law.data["used"]]
    keys = set(zip(used["run"], used["step"], strict=True))
    return np.array([key in keys for key in zip(rows["run"], rows["step"], strict=True)], bool)


def with_runs(observations: Observations, law: FittedLaw) -> pd.DataFrame:
    """The law's data with the size N and the subset D of each row's run."""
    beside = observations.runs[["run", "parameters", "dataset_tokens"]]
    own = law.data.drop(columns=["parameters", "dataset_tokens"], errors="ignore")
    return own.merge(beside, on="run", how="left", validate="many_to_one")


def on_shared_data(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the largest subset D that most sizes N were trained on, as the laws of N take it."""
    return rows[at_largest_shared(rows, "dataset_tokens", "parameters")]


def reach(values: pd.Series | np.ndarray, points: int = 200) -> np.ndarray:
    """Log-spaced positions from a little below the observed values to EXTRAPOLATE times beyond, their ends included."""
    low, high = float(np.min(values)), float(np.max(values))
    grid = np.geomspace(low / 1.3, high * EXTRAPOLATE, points)
    return np.unique(np.concatenate([grid, [low, high]]))


def alike(sizes: pd.Series) -> pd.Series:
    """Sizes N with those of other shapes that are within ALIKE of them as one: the smallest of each group."""
    firsts: list[float] = []
    for size in np.sort(sizes.unique()):
        if not firsts or size > ALIKE * firsts[-1]:
            firsts.append(float(size))
    return pd.Series(np.array(firsts)[np.searchsorted(firsts, sizes, side="right") - 1], sizes.index)


def ood_corpora(observations: Observations) -> list[str]:
    """The out-of-distribution corpora, easiest first. Raises NotDrawableError where there are none."""
    losses = observations.losses[observations.losses["result"] & (observations.losses["split"] == "test")]
    own = losses["corpus"] == observations.train_corpus
    others = losses[~own & losses["run"].isin(losses.loc[own, "run"])]
    if others.empty:
        raise NotDrawableError("no out-of-distribution corpus was evaluated")
    return [str(name) for name in others.groupby("corpus")["loss"].mean().sort_values().index]


FAMILY_NAMES = {
    "transformer": "Transformer",
    "universal": "Universal Transformer",
    "lstm": "LSTM",
    "encoder_decoder": "Encoder-decoder",
}


def readable_name(name: str) -> str:
    """A corpus' or a family's name as a reader's word: python_code is 'python code', lstm is 'LSTM'."""
    return FAMILY_NAMES.get(name, name.replace("_", " "))


def readable_title(law: FittedLaw) -> str:
    """A law's title, with its corpus as a reader's word."""
    return law.title.replace(law.corpus, readable_name(law.corpus))


def fresh_curves(observations: Observations) -> pd.DataFrame:
    """Learning curves of held-out loss while the training text is new: each run's evaluations within its first epoch.

    Raises NotDrawableError where no run was evaluated at two such steps.
    """
    curves = of_one_kind(observations.curves(observations.train_corpus))
    curves = curves[curves["tokens"] <= FIRST_EPOCH * curves["dataset_tokens"]]
    several = curves.groupby("run")["step"].transform("nunique") > 1
    if not several.any():
        raise NotDrawableError("every run was evaluated at one step only")
    return curves[several]


def of_one_kind(rows: pd.DataFrame) -> pd.DataFrame:
    """Of rows joined with their runs, those of the commonest family of models and training corpus."""
    if rows.empty:
        return rows
    kinds = ["family", "train_corpus"]
    family, corpus = rows[kinds].value_counts().index[0]
    return rows[(rows["family"] == family) & (rows["train_corpus"] == corpus)]
