"""Where learning curves stand at a given compute, step or loss: read off between the steps that were evaluated."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

FEWEST_SIZES = 3


def reached(curves: pd.DataFrame, losses: Sequence[float], column: str) -> pd.DataFrame:
    """The value of `column` at which each run first reaches each loss; columns run, parameters, target, `column`.

    Between two evaluated steps ln loss is taken as a straight line in ln of the column. Runs that never get there, or
    were there at their first evaluation, have no row.
    """
    rows = []
    for (run, size), curve in curves.groupby(["run", "parameters"]):
        x, y = np.log(curve[column].to_numpy(float)), np.log(np.minimum.accumulate(curve["loss"].to_numpy(float)))
        for target in losses:
            after = int(np.argmax(y <= np.log(target)))
            if after > 0:
                share = (y[after - 1] - np.log(target)) / (y[after - 1] - y[after])
                value = float(np.exp(x[after - 1] + share * (x[after] - x[after - 1])))
                rows.append({"run": run, "parameters": size, "target": target, column: value})
    return pd.DataFrame(rows, columns=["run", "parameters", "target", column])


def at_positions(curves: pd.DataFrame, positions: Sequence[float], column: str) -> pd.DataFrame:
    """The loss of each run where `column` takes these positions; columns run, parameters, `column`, loss.

    Positions outside a run's evaluated range have no row.
    """
    rows = []
    for (run, size), curve in curves.groupby(["run", "parameters"]):
        x, y = curve[column].to_numpy(float), np.log(curve["loss"].to_numpy(float))
        for position in positions:
            if x[0] <= position <= x[-1]:
                loss = float(np.exp(np.interp(np.log(position), np.log(x), y)))
                rows.append({"run": run, "parameters": size, column: position, "loss": loss})
    return pd.DataFrame(rows, columns=["run", "parameters", column, "loss"])


def targets(curves: pd.DataFrame, count: int = 5) -> list[float]:
    """Losses, round in three digits, from one that most sizes reach down to one that only the best few do."""
    lowest = np.sort(curves.groupby("parameters")["loss"].min().to_numpy(float))
    hardest = lowest[min(FEWEST_SIZES, len(lowest)) - 1]
    easiest = max(lowest[-1], hardest * 1.05)
    return sorted({float(f"{loss:.3g}") for loss in np.geomspace(hardest * 1.005, easiest * 1.1, count)})
