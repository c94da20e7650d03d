"""Faults on a real SLURM: after each, the study ends with the result of an undisturbed one, and says what happened."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
import yaml

from . import cluster as slurm

ROOT = Path(__file__).parents[2]
STUDY = {
    "study": "drill",
    "seed": 5,
    "corpora": {
        "graphs": {
            "role": "train",
            "sources": [{"kind": "installed-docs", "content": "code", "packages": ["sqlparse"]}],
            "clean": {"language": None, "quality": None},
        },
    },
    "tokenizer": {"vocabulary": 512},
    "training": {
        "context": 32,
        "parameters": [1_600, 3_200],
        "dataset_tokens": [30_000],
        "batch_tokens": 512,
        "max_epochs": 100,
        "max_tokens": 1_000_000,
        "patience": 0,
        "learning_rate": 0.01,
        "schedule": "constant",
        "warmup_steps": 10,
        "averaging": 0.1,
        "evaluations": 4,
        "evaluation_tokens": 1_000,
    },
}  # fmt: skip
MINUTES = 60.0

pytestmark = pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing())


@pytest.fixture(scope="module")
def cluster():
    with tempfile.TemporaryDirectory(prefix="drill") as folder, slurm.running_cluster(Path(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A folder in which the study was made on this machine, stage by stage; `tokens` is a copy from before the runs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    _finish(_start(folder, "local", "tokens", "--cores", "2"))
    shutil.copytree(folder, folder.with_name("tokens"))
    _finish(_start(folder, "local", "runs", "--cores", "2"))
    return folder


@pytest.fixture
def study(undisturbed, tmp_path):
    """A study whose tokens are made and whose runs are not."""
    return shutil.copytree(undisturbed.with_name("tokens"), tmp_path / "study")


def test_a_study_through_slurm_equals_one_on_this_machine(cluster, study, undisturbed):
    _finish(_start(study, "slurm", "runs", cluster=cluster))
    _same(study, undisturbed)


def test_a_cancelled_training_goes_on_where_it_was(cluster, study, undisturbed):
    start = _start(study, "slurm", "runs", cluster=cluster)
    cluster.ask("scancel", _training(cluster, study))
    _finish(start)
    assert any("goes on from step" in log.read_text() for log in (study / "results/drill/logs/train").iterdir())
    _same(study, undisturbed)


def test_a_training_whose_node_fails_is_put_back_and_finished(cluster, study, undisturbed):
    start = _start(study, "slurm", "runs", cluster=cluster)
    node = cluster.ask("squeue", "-h", "-j", _training(cluster, study), "-o", "%N")
    cluster.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=drill")
    time.sleep(5)
    with suppress(subprocess.CalledProcessError):  # it may have come back by itself
        cluster.ask("scontrol", "update", f"nodename={node}", "state=resume")
    _finish(start)
    _same(study, undisturbed)


def test_a_controller_that_is_away_for_a_while_loses_nothing(cluster, study, undisturbed):
    start = _start(study, "slurm", "runs", cluster=cluster)
    _training(cluster, study)
    slurm.end(cluster, "slurmctld", signal.SIGKILL)
    time.sleep(15)
    slurm.start_controller(cluster)
    _finish(start)
    _same(study, undisturbed)


def test_jobs_that_a_killed_start_left_are_cancelled_before_their_work_is_done_again(cluster, study, undisturbed):
    start = _start(study, "slurm", "runs", cluster=cluster)
    orphan = _training(cluster, study)
    os.kill(start.pid, signal.SIGKILL)
    start.wait()
    subprocess.run(_command(study, "slurm", "--unlock"), cwd=study, env=cluster.environment, check=True)
    printed = _finish(_start(study, "slurm", "runs", cluster=cluster))
    assert "that an earlier start left in SLURM" in printed
    assert orphan not in cluster.jobs()
    _same(study, undisturbed)


def test_a_second_start_is_refused_while_the_first_one_works(cluster, study, undisturbed):
    first = _start(study, "slurm", "runs", cluster=cluster)
    running = _training(cluster, study)
    second = _start(study, "slurm", "runs", cluster=cluster)
    printed, _ = second.communicate(timeout=5 * MINUTES)
    assert second.returncode != 0
    assert "LockException" in printed
    assert running in cluster.jobs()
    _finish(first)
    _same(study, undisturbed)


def _command(folder, profile, *arguments):
    command = [sys.executable, "-m", "snakemake", "--profile", str(ROOT / "workflow/profiles" / profile)]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return [*command, "--configfile", str(folder / "study.yaml"), "--latency-wait", "10", *arguments]


def _start(folder, profile, target, *arguments, cluster=None):
    return subprocess.Popen(
        _command(folder, profile, *arguments, "--", target),
        cwd=folder, env=cluster.environment if cluster else None, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _finish(start):
    printed, _ = start.communicate(timeout=10 * MINUTES)
    assert start.returncode == 0, printed
    return printed


def _training(cluster, study):
    """The number of a job that is in the middle of its training."""
    deadline = time.monotonic() + 3 * MINUTES
    while time.monotonic() < deadline:
        for log in (study / "results/drill/logs/train").glob("*.log"):
            if "tokens/s" in log.read_text() and (number := cluster.number_of("train", log.stem)):
                return number
        time.sleep(0.2)
    raise TimeoutError("no training began")


def _same(study, undisturbed):
    """Every loss of every run is that of the undisturbed study, and nothing half written lies about."""
    one, other = (pd.read_parquet(folder / "results/drill/observations.parquet") for folder in (study, undisturbed))
    pd.testing.assert_frame_equal(one, other)
    assert not list((study / "results").rglob("*.tmp"))
    assert not list((study / "results").glob("*/checkpoints/*/*"))
