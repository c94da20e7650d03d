"""From the runs' own records to the observations table."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from scalelaws.io import read_json
from scalelaws.observations.table import POSITION_COLUMNS, Observations, validated


def gather(
    records: Iterable[str | Path], losses: Iterable[str | Path], positions: Iterable[str | Path]
) -> Observations:
    """The observations of runs whose records (run.json), losses (losses.parquet) and positions.parquet are named."""
    runs = pd.DataFrame([read_json(path)["run"] for path in records])
    rows = pd.concat([pd.read_parquet(path) for path in losses], ignore_index=True)
    return validated(rows, runs, positions=_by_position(positions))


def _by_position(files: Iterable[str | Path]) -> pd.DataFrame:
    """The losses by position of all runs. A run that diverged before its first evaluation has none."""
    frames = [frame for frame in map(pd.read_parquet, files) if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(POSITION_COLUMNS))
