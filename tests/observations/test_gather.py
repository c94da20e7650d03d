import pandas as pd
import pytest
from scalelaws.errors import InputError
from scalelaws.io import write_json
from scalelaws.observations.gather import gather

from .test_table import positions, tables


@pytest.fixture
def folders(tmp_path):
    """The folders of two runs, a and b, as training leaves them: record, losses, losses by position."""
    losses, runs = tables()
    made = []
    for number, run in enumerate(("a", "b")):
        folder = tmp_path / run
        write_json(folder / "run.json", {"run": runs[runs["run"] == run].to_dict("records")[0]})
        losses[losses["run"] == run].to_parquet(folder / "losses.parquet", index=False)
        by_position = positions().query("run == @run").assign(loss=number + 1.0)
        by_position.to_parquet(folder / "positions.parquet", index=False)
        made.append(folder)
    return made


def test_runs_losses_and_losses_by_position_are_gathered(folders):
    observations = gather(folders)
    assert list(observations.runs["run"]) == ["a", "b"]
    assert len(observations.losses) == 6
    kept = observations.positions[["run", "position", "loss"]].to_numpy().tolist()
    assert kept == [["a", 1, 1.0], ["a", 2, 1.0], ["b", 1, 2.0], ["b", 2, 2.0]]


def test_a_run_that_diverged_at_once_has_no_losses_by_position(folders):
    pd.DataFrame([]).to_parquet(folders[0] / "positions.parquet", index=False)
    assert list(gather(folders).positions["run"]) == ["b", "b"]
    pd.DataFrame([]).to_parquet(folders[1] / "positions.parquet", index=False)
    assert gather(folders).positions.empty


def test_losses_by_position_of_another_run_are_refused(folders):
    positions().assign(run="c").to_parquet(folders[0] / "positions.parquet", index=False)
    with pytest.raises(InputError, match=r"positions: row 1: run = 'c' is not in the runs table"):
        gather(folders)


def test_all_folders_that_lack_a_file_are_named_with_what_to_do(folders):
    (folders[0] / "run.json").unlink()
    (folders[1] / "losses.parquet").unlink()
    with pytest.raises(
        InputError, match=r"/a: holds not all of run\.json, .*Delete what is made again then: \S*/a \S*/b"
    ):
        gather(folders)
