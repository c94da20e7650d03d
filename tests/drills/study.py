"""The drills' study: how it is started, watched and compared."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
from scalelaws.io import file_digest

from .cluster import Cluster

ROOT = Path(__file__).parents[2]
RESULTS = "results/drill"
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
        "batch_tokens": 128,
        "max_epochs": 100,
        "max_tokens": 350_000,
        "patience": 0,
        "learning_rate": 0.01,
        "schedule": "constant",
        "warmup_steps": 10,
        "averaging": 0.1,
        "evaluations": 4,
        "evaluation_tokens": 1_000,
        "sweep": [{"learning_rate": [1e18], "parameters": [1_600], "dataset_tokens": [30_000]}],
    },
}  # fmt: skip
"""Two runs long enough to be hit while they train, too short for compiling to pay, and one that must diverge."""
MINUTES = 60.0
LONGEST_MINUTES = 15
"""That a start takes, or what is waited for, with all drills beside one another."""


def command(folder: Path, profile: str, *arguments: str) -> list[str]:
    """Snakemake's command line for the study in a folder."""
    words = [sys.executable, "-m", "snakemake", "--profile", str(ROOT / "workflow/profiles" / profile)]
    words += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    if profile == "slurm" and "--config" not in arguments:
        words += ["--config", "small_run_minutes=0"]  # what is small shares no job: a drill strikes one run
    return [*words, "--configfile", str(folder / "study.yaml"), "--latency-wait", "10", *arguments]


@contextmanager
def started(
    folder: Path, profile: str, target: str, *arguments: str, cluster: Cluster | None = None
) -> Iterator[subprocess.Popen]:
    """A start of the study, killed with its jobs on this machine if the block leaves it running."""
    start = subprocess.Popen(
        command(folder, profile, *arguments, "--", target),
        cwd=folder, env=cluster.environment if cluster else None, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield start
    finally:
        if start.poll() is None:
            os.killpg(start.pid, signal.SIGKILL)
            start.wait()


def ended(start: subprocess.Popen, status: int = 0) -> str:
    """What a start printed, once it has ended with this status."""
    printed, _ = start.communicate(timeout=LONGEST_MINUTES * MINUTES)
    assert start.returncode == status, printed
    return printed


def made(folder: Path, profile: str, target: str, *arguments: str, cluster: Cluster | None = None) -> str:
    """What a start of the study printed that went well."""
    with started(folder, profile, target, *arguments, cluster=cluster) as start:
        return ended(start)


def log_of(study: Path, run: str) -> str:
    """What the last attempt at a run wrote to its log."""
    log = study / RESULTS / "logs/train" / f"{run}.log"
    return log.read_text() if log.is_file() else ""


def waited_for(true: Callable[[], bool], what: str) -> None:
    """Wait until something is true, or raise TimeoutError."""
    deadline = time.monotonic() + LONGEST_MINUTES * MINUTES
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.2)


def in_training(cluster: Cluster, study: Path, run: str, rule: str = "train") -> str:
    """The number of a run's job, in the middle of its training, which is waited for."""
    found: list[str | None] = [None]

    def trains() -> bool:
        found[0] = cluster.number_of(study, rule, run) if "tokens/s" in log_of(study, run) else None
        return found[0] is not None

    waited_for(trains, f"{run} does not train")
    return str(found[0])


def hang(number: str) -> None:
    """Let a job's script, which runs on this machine, stop in the middle of what it does."""
    stopped = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words, environment = ((process / file).read_bytes().split(b"\0") for file in ("cmdline", "environ"))
            if f"SLURM_JOB_ID={number}".encode() in environment and any(b".snakemake/scripts/" in w for w in words):
                os.kill(int(process.name), signal.SIGSTOP)
                stopped += 1
    assert stopped, f"job {number} runs no script"


def resumed(study: Path, run: str, after: int = 0) -> int:
    """The step, beyond `after`, from which the last attempt at a run goes on; it is waited for."""

    def steps() -> list[int]:
        said = re.findall(r"goes on from step ([\d,]+)", log_of(study, run))
        return [step for step in (int(text.replace(",", "")) for text in said) if step > after]

    waited_for(lambda: bool(steps()), f"{run} does not go on")
    return steps()[-1]


def checkpoints(study: Path, run: str) -> list[Path]:
    """A run's checkpoints, the newest last."""
    return sorted((study / RESULTS / "checkpoints" / run).glob("*.safetensors"))


def same_run(study: Path, other: Path, run: str) -> None:
    """A run's losses and weights are the other study's, bit for bit."""
    one, two = (folder / RESULTS / "runs" / run for folder in (study, other))
    pd.testing.assert_frame_equal(*(pd.read_parquet(at / "losses.parquet") for at in (one, two)), check_exact=True)
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()
    nothing_half_done(study, run)


def same_study(study: Path, other: Path) -> None:
    """Every loss and every weight of every run is the other study's, bit for bit."""
    frames = [pd.read_parquet(folder / RESULTS / "observations.parquet") for folder in (study, other)]
    pd.testing.assert_frame_equal(*frames, check_exact=True)
    for folder in (other / RESULTS / "runs").iterdir():
        same_run(study, other, folder.name)


def same_tokens(study: Path, other: Path) -> None:
    """The tokenizer and every token are the other study's."""
    for file in ("graphs.train.bin", "graphs.test.bin", "tokenizer/tokenizer.json"):
        assert file_digest(study / RESULTS / "tokens" / file) == file_digest(other / RESULTS / "tokens" / file)


def nothing_half_done(study: Path, run: str) -> None:
    """No temporary file lies about, and no checkpoint of the finished run."""
    assert not list((study / "results").rglob("*.tmp"))
    assert not checkpoints(study, run)
