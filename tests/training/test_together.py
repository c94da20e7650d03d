"""A run on several processes, of one node or of several, is the run of one; a signal leaves its checkpoint."""

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from scalelaws.errors import InputError
from scalelaws.io import read_json, write_json
from scalelaws.job import Progress
from scalelaws.training.files import RunFiles, train_to_files
from scalelaws.training.together import _wait_for, train_together

from .test_files import RUN, study, tokens  # noqa: F401  (fixtures)

EXACT = replace(RUN, precision="float32")
LAUNCHER = """
import subprocess, sys
nodes = int(sys.argv[1])
started = [subprocess.Popen(sys.argv[2:]) for _ in range(nodes)]
sys.exit(max(process.wait() for process in started))
"""
"""Starts a command as many times as there are nodes, as a cluster does; here all of them are this machine."""
JOB = """
import sys
from pathlib import Path
from scalelaws.io import read_json
from scalelaws.job import logged
from scalelaws.training.files import RunFiles
from scalelaws.training.run import Run
from scalelaws.training.together import train_together
said = read_json(sys.argv[1])
with logged(sys.argv[2], "train"):
    files = RunFiles(*map(Path, said["files"]))
    train_together(Run(**said["run"]), said["sidecars"], "pages", files, "recipe", 2, 1, "")
"""


def files_in(folder):
    return RunFiles(folder / "run", folder / "checkpoints" / "run")


def sidecars_of(study):  # noqa: F811
    return sorted(str(path) for path in (study / "tokens").glob("*.json"))


@pytest.fixture
def alone(study, tmp_path):  # noqa: F811
    """The losses of the run on one process."""
    train_to_files(EXACT, sidecars_of(study), "pages", files_in(tmp_path / "alone"), "recipe", 1, Progress("train"))
    return pd.read_parquet(tmp_path / "alone/run/losses.parquet")


@pytest.mark.parametrize(("devices", "nodes", "sharded"), [(2, 1, True), (1, 2, False)])
def test_several_processes_leave_the_files_of_one(study, alone, tmp_path, devices, nodes, sharded):  # noqa: F811
    launcher = tmp_path / "launch.py"
    launcher.write_text(LAUNCHER)
    start = f"{sys.executable} {launcher} {{nodes}}" if nodes > 1 else ""
    job = EXACT, sidecars_of(study), "pages", files_in(tmp_path / "both"), "recipe", devices, nodes, start
    train_together(*job, sharded=sharded)
    weights = [load_file(tmp_path / folder / "run/model.safetensors") for folder in ("alone", "both")]
    for name, weight in weights[0].items():
        np.testing.assert_allclose(weights[1][name], weight, rtol=1e-2, atol=1e-3)
    losses = pd.read_parquet(tmp_path / "both/run/losses.parquet")
    assert list(losses["step"]) == list(alone["step"])
    assert losses["loss"].to_numpy() == pytest.approx(alone["loss"].to_numpy(), rel=1e-4)
    assert read_json(tmp_path / "both/run/run.json")["run"]["status"] == "finished"
    assert [path.name for path in (tmp_path / "both/checkpoints/run").iterdir()] == ["finished"]


def test_several_nodes_without_a_launcher_are_refused_in_one_line(study, tmp_path):  # noqa: F811
    with pytest.raises(InputError, match=r"nothing is known that starts it on 2 nodes\. Give it in the profile"):
        train_together(EXACT, sidecars_of(study), "pages", files_in(tmp_path / "run"), "recipe", 1, 2, "")


def test_a_process_that_fails_is_told(study, tmp_path):  # noqa: F811
    with pytest.raises(RuntimeError, match="ended with"):
        train_together(EXACT, ["absent.test.json"], "pages", files_in(tmp_path / "run"), "recipe", 1, 1, "")


@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_a_warning_to_the_job_or_to_all_its_processes_leaves_a_checkpoint(study, tmp_path, send):  # noqa: F811
    long = replace(EXACT, steps=30_000)
    folder = tmp_path / "long"
    files = files_in(folder)
    said = {"run": asdict(long), "files": [str(files.run), str(files.checkpoints)], "sidecars": sidecars_of(study)}
    write_json(tmp_path / "said.json", said)
    script = tmp_path / "job.py"
    script.write_text(JOB)
    command = [sys.executable, str(script), str(tmp_path / "said.json"), str(tmp_path / "log")]
    job = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (Path(tmp_path / "log").exists() and "tokens/s" in (tmp_path / "log").read_text()):
        assert time.monotonic() < deadline and job.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.2)
    started = time.monotonic()
    send(job.pid, signal.SIGUSR1)
    assert job.wait(timeout=60) == 143
    assert time.monotonic() - started < 30
    assert list(files.checkpoints.glob("*.safetensors"))
    assert not files.run.exists()


@pytest.mark.parametrize(("ends", "left"), [("exit(0)", None), ("exit(1)", 143)])
def test_a_signal_to_processes_that_end_well_all_the_same_is_no_failure(ends, left):
    ending = f"import os, signal, time; signal.signal(signal.SIGTERM, lambda *_: {ends})"
    told = "os.kill(os.getppid(), signal.SIGUSR1); time.sleep(30)"
    with nullcontext() if left is None else pytest.raises(SystemExit, match=str(left)):
        _wait_for([sys.executable, "-c", f"{ending}; {told}"])
