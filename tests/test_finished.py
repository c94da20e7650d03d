"""A finished run outlives its job."""

import os
import shutil
import time

import pytest
from scalelaws.finished import (
    forget_checkpoints,
    forget_finished,
    keep_finished,
    take_finished,
)


@pytest.fixture
def finished(tmp_path):
    """A finished run's folder, whose files are kept, and the folder of its checkpoints."""
    run = tmp_path / "runs/a"
    (run / "forks").mkdir(parents=True)
    for file in ("losses.parquet", "run.json", "forks/state"):
        (run / file).write_text(file)
    checkpoints = tmp_path / "checkpoints/a"
    keep_finished(run, checkpoints, "owner")
    return run, checkpoints


def test_what_is_finished_comes_back_after_the_job_has_failed(finished):
    run, checkpoints = finished
    shutil.rmtree(run)  # as Snakemake deletes the output of a job that failed
    assert take_finished(run, checkpoints, "owner")
    files = {str(file.relative_to(run)) for file in run.rglob("*") if file.is_file()}
    assert files == {"losses.parquet", "run.json", "forks/state"}
    assert all((run / file).read_text() == file for file in files)


def test_what_comes_back_is_newer_than_all_that_it_was_made_from(finished, tmp_path):
    run, checkpoints = finished
    long_ago = time.time() - 1000
    for file in run.rglob("*"):
        os.utime(file, (long_ago, long_ago))
    made_from = tmp_path / "made from"
    made_from.touch()
    shutil.rmtree(run)
    assert take_finished(run, checkpoints, "owner")
    assert run.stat().st_mtime >= made_from.stat().st_mtime


def test_nothing_is_taken_that_was_made_otherwise(finished):
    run, checkpoints = finished
    shutil.rmtree(run)
    assert not take_finished(run, checkpoints.with_name("b"), "owner")
    assert not take_finished(run, checkpoints, "other settings")
    assert not run.exists()
    assert not list(checkpoints.iterdir())


def test_a_run_is_kept_without_a_copy(finished):
    run, _ = finished
    assert all(file.stat().st_nlink == 2 for file in run.rglob("*") if file.is_file())


def test_checkpoints_go_and_what_is_kept_stays(finished):
    run, checkpoints = finished
    (checkpoints / "000000009-abc.safetensors").touch()
    (checkpoints / "forks").mkdir()
    forget_checkpoints(checkpoints)
    assert [path.name for path in checkpoints.iterdir()] == ["finished"]
    assert take_finished(run, checkpoints, "owner")


def test_once_all_runs_are_gathered_nothing_is_kept_twice(finished):
    run, checkpoints = finished
    forget_finished(checkpoints.parent)
    assert not checkpoints.exists()
    assert not take_finished(run, checkpoints, "owner")
    assert (run / "run.json").exists()
