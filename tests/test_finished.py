"""A finished run outlives its job."""

import pytest
from scalelaws.finished import forget_checkpoints, forget_finished, keep_finished, take_finished


@pytest.fixture
def finished(tmp_path):
    """A finished run's files, which are kept, and the folder of its checkpoints."""
    outputs = [tmp_path / "runs/a" / name for name in ("losses.parquet", "run.json")]
    outputs[0].parent.mkdir(parents=True)
    for output in outputs:
        output.write_text(output.name)
    checkpoints = tmp_path / "checkpoints/a"
    keep_finished(outputs, checkpoints, "owner")
    return outputs, checkpoints


def test_what_is_finished_comes_back_after_the_job_has_failed(finished):
    outputs, checkpoints = finished
    for output in outputs:  # as Snakemake deletes the outputs of a job that failed
        output.unlink()
    assert take_finished(outputs, checkpoints, "owner")
    assert [output.read_text() for output in outputs] == ["losses.parquet", "run.json"]


def test_nothing_is_taken_that_was_made_otherwise(finished):
    outputs, checkpoints = finished
    for output in outputs:
        output.unlink()
    assert not take_finished(outputs, checkpoints.with_name("b"), "owner")
    assert not take_finished(outputs, checkpoints, "other settings")
    assert not any(output.exists() for output in outputs)
    assert not list(checkpoints.iterdir())


def test_a_folder_is_kept_without_a_copy_and_comes_back(tmp_path):
    forks = tmp_path / "runs/a/forks"
    forks.mkdir(parents=True)
    (forks / "state").write_text("whole")
    keep_finished([forks], tmp_path / "checkpoints/a", "owner")
    assert (forks / "state").stat().st_nlink == 2
    (forks / "state").unlink()
    forks.rmdir()
    assert take_finished([forks], tmp_path / "checkpoints/a", "owner")
    assert (forks / "state").read_text() == "whole"


def test_checkpoints_go_and_what_is_kept_stays(finished):
    outputs, checkpoints = finished
    (checkpoints / "000000009-abc.safetensors").touch()
    (checkpoints / "forks").mkdir()
    forget_checkpoints(checkpoints)
    assert [path.name for path in checkpoints.iterdir()] == ["finished"]
    assert take_finished(outputs, checkpoints, "owner")


def test_once_all_runs_are_gathered_nothing_is_kept_twice(finished):
    outputs, checkpoints = finished
    forget_finished(checkpoints.parent)
    assert not checkpoints.exists()
    assert not take_finished(outputs, checkpoints, "owner")
    assert all(output.exists() for output in outputs)
