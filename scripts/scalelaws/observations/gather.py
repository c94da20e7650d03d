"""From the runs' own records to the observations table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from scalelaws.errors import InputError
from scalelaws.io import read_json
from scalelaws.observations.table import POSITION_COLUMNS, Observations, validated

FILES = ("run.json", "losses.parquet", "positions.parquet")


def gather(folders: Sequence[Path]) -> Observations:
    """The observations of runs, from each one's folder: its record, its losses, its losses by position.

    Raises InputError, with all folders that lack any of these.
    """
    broken = [str(folder) for folder in folders if not all((folder / name).is_file() for name in FILES)]
    if broken:
        problem = f"holds not all of {', '.join(FILES)}"
        raise InputError(broken[0], problem, f"Delete what is made again then: {' '.join(broken)}")
    runs = pd.DataFrame([read_json(folder / "run.json")["run"] for folder in folders])
    losses = pd.concat([pd.read_parquet(folder / "losses.parquet") for folder in folders], ignore_index=True)
    return validated(losses, runs, positions=_by_position(folders))


def _by_position(folders: Sequence[Path]) -> pd.DataFrame:
    """The losses by position of all runs. A run that diverged before its first evaluation has none."""
    read = (pd.read_parquet(folder / "positions.parquet") for folder in folders)
    frames = [frame for frame in read if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(POSITION_COLUMNS))
