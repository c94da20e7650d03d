import pandas as pd
import pytest
from scalelaws.errors import InputError
from scalelaws.io import write_json
from scalelaws.observations.gather import gather

from .test_table import positions, tables


@pytest.fixture
def files(tmp_path):
    """The files of two runs, a and b, as training leaves them: records, losses, losses by position."""
    losses, runs = tables()
    named = ([], [], [])
    for number, run in enumerate(("a", "b")):
        names = (f"{run}.json", f"{run}-losses.parquet", f"{run}-positions.parquet")
        paths = [tmp_path / name for name in names]
        write_json(paths[0], {"run": runs[runs["run"] == run].to_dict("records")[0]})
        losses[losses["run"] == run].to_parquet(paths[1], index=False)
        positions().query("run == @run").assign(loss=number + 1.0).to_parquet(paths[2], index=False)
        for kind, path in zip(named, paths, strict=True):
            kind.append(path)
    return named


def test_runs_losses_and_losses_by_position_are_gathered(files):
    observations = gather(*files)
    assert list(observations.runs["run"]) == ["a", "b"]
    assert len(observations.losses) == 6
    kept = observations.positions[["run", "position", "loss"]].to_numpy().tolist()
    assert kept == [["a", 1, 1.0], ["a", 2, 1.0], ["b", 1, 2.0], ["b", 2, 2.0]]


def test_a_run_that_diverged_at_once_has_no_losses_by_position(files):
    pd.DataFrame([]).to_parquet(files[2][0], index=False)
    assert list(gather(*files).positions["run"]) == ["b", "b"]
    pd.DataFrame([]).to_parquet(files[2][1], index=False)
    assert gather(*files).positions.empty


def test_losses_by_position_of_a_run_that_was_not_gathered_are_refused(files):
    records, losses, by_position = files
    with pytest.raises(InputError, match=r"positions: row 1: run = 'a' is not in the runs table"):
        gather(records[1:], losses[1:], by_position)
