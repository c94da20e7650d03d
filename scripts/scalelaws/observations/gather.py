"""From the runs' own records to the observations table."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from scalelaws.io import read_json
from scalelaws.observations.table import Observations, validated


def gather(records: Iterable[str | Path], losses: Iterable[str | Path]) -> Observations:
    """The observations of runs whose records (run.json) and losses (losses.parquet) are named."""
    runs = pd.DataFrame([read_json(path)["run"] for path in records])
    rows = pd.concat([pd.read_parquet(path) for path in losses], ignore_index=True)
    return validated(rows, runs)
