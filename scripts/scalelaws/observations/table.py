"""The observations table, what every run measured, and the runs table beside it. All that follows reads only these."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scalelaws.errors import InputError
from scalelaws.io import atomic_path
from scalelaws.sweep import BATCHES, HELD, changes_only

LOSS_COLUMNS = {
    "run": "str",
    "step": "int64",
    "tokens": "float64",
    "flops": "float64",
    "corpus": "str",
    "split": "str",
    "loss": "float64",
    "loss_sem": "float64",
    "bits_per_byte": "float64",
    "result": "bool",
}
"""One row per (run, step, corpus, split). `result` marks the step that is the run's result: with early stopping the
step of the lowest held-out loss, otherwise the last. Losses are in nats per token; flops = 6·N·tokens,
N as often as a token goes through it (`recurrence`)."""

RUN_COLUMNS = {
    "run": "str",
    "family": "str",
    "parameters": "float64",
    "embedding_parameters": "float64",
    "n_layer": "int64",
    "d_model": "int64",
    "n_head": "int64",
    "context": "int64",
    "vocabulary": "int64",
    "positions": "str",
    "train_corpus": "str",
    "dataset_tokens": "float64",
    "seed": "int64",
    "batch_tokens": "float64",
    "learning_rate": "float64",
    "schedule": "str",
    "warmup_steps": "int64",
    "averaging": "float64",
    "dropout": "float64",
    "weight_decay": "float64",
    "precision": "str",
    "status": "str",
    "steps": "int64",
    "result_step": "int64",
    "tokens": "float64",
    "flops": "float64",
    "flops_total": "float64",
    "seconds": "float64",
    "hardware": "str",
}
"""One row per run. status: finished, early_stopped or diverged. tokens, flops and steps are what the whole run
processed; flops_total counts the embedding and attention terms and the evaluations too."""

POSITION_COLUMNS = {
    "run": "str",
    "corpus": "str",
    "split": "str",
    "position": "int64",
    "loss": "float64",
    "loss_sem": "float64",
}
"""One row per (run, corpus, split, position): the loss of the run's result at each token of the context, the first one
predicted, from the one before it, being position 1."""

EXTRA_LOSS_COLUMNS = {"noise_scale": "float64"}
"""Kept where they were measured: the gradient noise scale in tokens."""
EXTRA_RUN_COLUMNS = {
    "encoder_parameters": "float64",
    "decoder_parameters": "float64",
    "feed_forward_ratio": "float64",
    "recurrence": "int64",
    "tied": "bool",
    "parametrization": "str",
    "optimizer": "str",
    "beta2": "float64",
    "variant": "str",
    "trunk": "str",
    "first_step": "int64",
    "spikes": "int64",
}
"""Kept where runs have them: the sizes of an encoder-decoder's halves; the shape of a feed-forward layer; how often a
Universal Transformer goes through its layers; whether the output layer is the embedding; how the run was optimized; and
what a sweep changed of the study's own settings, empty for the runs of the grid itself (schedule trunk: "trunk"); of a
branch its trunk, and how many of its steps that made; updates left out because their batch's loss was a spike."""


@dataclass(frozen=True)
class Observations:
    """Two frames: `losses` with LOSS_COLUMNS and `runs` with RUN_COLUMNS, joined by `run`.

    Beside them `positions` with POSITION_COLUMNS, where the runs are our own: tables from elsewhere have none.
    """

    losses: pd.DataFrame
    runs: pd.DataFrame
    positions: pd.DataFrame | None = None
    _joined: dict[tuple[str, str, bool], pd.DataFrame] = field(default_factory=dict, init=False, repr=False)

    @property
    def train_corpus(self) -> str:
        """The corpus that was trained on."""
        return str(self.runs["train_corpus"].iloc[0])

    def results(self, corpus: str, split: str = "test", *, diverged: bool = False) -> pd.DataFrame:
        """One row per run: the runs table joined with the run's result (step, tokens, flops, loss …) on a corpus.

        The run's own totals are kept as run_tokens and run_flops. Diverged runs are left out unless asked for.
        """
        chosen = self.curves(corpus, split, diverged=diverged)
        return chosen[chosen["result"]].reset_index(drop=True)

    def of_variants(self, *settings: str) -> "Observations":
        """The runs of the study's own grid, and of its sweep those that change nothing but these settings."""
        if "variant" not in self.runs:
            return self
        return self.of_runs([changes_only(variant, settings) for variant in self.runs["variant"].fillna("")])

    def of_runs(self, chosen: Sequence[bool] | pd.Series) -> "Observations":
        """Some of the runs: a flag for each row of the runs table."""
        runs = self.runs[chosen]
        kept = None if self.positions is None else self.positions[self.positions["run"].isin(runs["run"])]
        return Observations(self.losses[self.losses["run"].isin(runs["run"])], runs, kept)

    def of_batches(self) -> "Observations":
        """The runs whose learning curves tell what a batch is worth: those that differ in batch and horizon alone.

        In a grid of branches their trunks stand for them, and runs at a constant rate are compared with these.
        """
        if "variant" not in self.runs or not (self.runs["variant"] == "trunk").any():
            return self.of_variants(*BATCHES)
        held = self.of_variants(*BATCHES, *HELD)
        return held.of_runs(held.runs["schedule"] != "branch")

    def curves(self, corpus: str, split: str = "test", *, diverged: bool = False) -> pd.DataFrame:
        """Every evaluated step of every run on a corpus, joined with the runs table, sorted by run and step."""
        asked = corpus, split, diverged
        if asked not in self._joined:
            self._joined[asked] = self._join(*asked)
        return self._joined[asked].copy(deep=False)

    def _join(self, corpus: str, split: str, diverged: bool) -> pd.DataFrame:
        rows = self.losses[(self.losses["corpus"] == corpus) & (self.losses["split"] == split)]
        runs = self.runs if diverged else self.runs[self.runs["status"] != "diverged"]
        return as_one_table(rows, runs).sort_values(["run", "step"], ignore_index=True)


def validated(
    losses: pd.DataFrame, runs: pd.DataFrame, where: str = "observations", positions: pd.DataFrame | None = None
) -> Observations:
    """The frames with the declared columns and types. Raises InputError naming table, column and row."""
    losses = _typed(losses, LOSS_COLUMNS, EXTRA_LOSS_COLUMNS, f"{where}: losses")
    runs = _typed(runs, RUN_COLUMNS, EXTRA_RUN_COLUMNS, f"{where}: runs")
    _refuse_rows(runs["run"].duplicated(), runs, f"{where}: runs", "run", "appears twice", "Keep one row per run.")
    losses = _measured(losses, runs, "step", f"{where}: losses")
    for column in ("parameters", "dataset_tokens"):
        bad = ~(runs[column] > 0)
        _refuse_rows(bad, runs, f"{where}: runs", column, "is not a positive number", "Give it in units, not millions.")
    if positions is not None:
        positions = _typed(positions, POSITION_COLUMNS, {}, f"{where}: positions")
        before = positions["position"] < 1
        remedy = "Count positions from 1."
        _refuse_rows(before, positions, f"{where}: positions", "position", "is before the first token", remedy)
        positions = _measured(positions, runs, "position", f"{where}: positions")
    return Observations(losses, runs.sort_values("run", ignore_index=True), positions)


def read_observations(losses: str | Path, runs: str | Path, positions: str | Path | None = None) -> Observations:
    """The observations in parquet files that `write_observations` wrote."""
    by_position = None if positions is None else pd.read_parquet(positions)
    return validated(pd.read_parquet(losses), pd.read_parquet(runs), str(losses), by_position)


def write_observations(
    observations: Observations,
    losses: str | Path,
    runs: str | Path,
    csv: str | Path,
    provenance: dict[str, Any] | None = None,
    positions: str | Path | None = None,
) -> None:
    """Write losses and runs as parquet and, for people, their join as one CSV, each atomically; and the `positions`.

    The parquet files carry `provenance` as JSON in their metadata, under that key.
    """
    frames = [(observations.losses, losses), (observations.runs, runs)]
    if observations.positions is not None and positions is not None:
        frames.append((observations.positions, positions))
    for frame, path in frames:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        made_with = {**table.schema.metadata, b"provenance": json.dumps(provenance or {}).encode()}
        with atomic_path(path) as temporary:
            pq.write_table(table.replace_schema_metadata(made_with), temporary)
    with atomic_path(csv) as temporary:
        as_one_table(observations.losses, observations.runs).to_csv(temporary, index=False)


def as_one_table(losses: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Each row of losses with all columns of its run, whose totals are named run_tokens and run_flops."""
    totals = runs.rename(columns={"tokens": "run_tokens", "flops": "run_flops"})
    return losses.merge(totals, on="run", validate="many_to_one")


def _typed(frame: pd.DataFrame, columns: dict[str, str], extra: dict[str, str], where: str) -> pd.DataFrame:
    missing = [name for name in columns if name not in frame]
    if missing:
        raise InputError(where, f"the column '{missing[0]}' is missing", f"Expected columns: {', '.join(columns)}.")
    columns = columns | {name: kind for name, kind in extra.items() if name in frame}
    try:
        return frame[list(columns)].astype(columns)
    except (ValueError, TypeError) as error:
        raise InputError(where, f"a value has the wrong type ({error})", "See scalelaws.observations.table.") from None


def _measured(losses: pd.DataFrame, runs: pd.DataFrame, place: str, where: str) -> pd.DataFrame:
    """Losses in order, none of an unknown run, twice for one `place` (step or position) or, unless diverged, absurd."""
    unknown = ~losses["run"].isin(runs["run"])
    _refuse_rows(unknown, losses, where, "run", "is not in the runs table", "Add its row there.")
    key = ["run", place, "corpus", "split"]
    twice = losses.duplicated(key)
    _refuse_rows(twice, losses, where, place, "is given twice for one corpus and split", "Keep one row.")
    diverged = losses["run"].isin(runs.loc[runs["status"] == "diverged", "run"])
    bad = ~(np.isfinite(losses["loss"]) & (losses["loss"] > 0)) & ~diverged
    remedy = "A loss is in nats per token, above zero; mark the run 'diverged' if it is."
    _refuse_rows(bad, losses, where, "loss", "is not a positive number", remedy)
    return losses.sort_values(key, ignore_index=True)


def _refuse_rows(bad: pd.Series, frame: pd.DataFrame, where: str, column: str, problem: str, remedy: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"{where}: row {row + 1}", f"{column} = {frame[column].tolist()[row]!r} {problem}", remedy)
