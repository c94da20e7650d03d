"""Several processes, on one node or several, that train one run together: started by the run's job through torchrun."""

import json
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from scalelaws.errors import InputError
from scalelaws.io import write_json
from scalelaws.job import Progress
from scalelaws.training import processes
from scalelaws.training.files import RunFiles, train_to_files
from scalelaws.training.run import Run

TORCHRUN = """
import signal
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
from torch.distributed.run import main
main()
"""
"""torchrun on each node. A cluster's warning comes to it too, and would end it before its processes have written."""


def train_together(
    run: Run,
    sidecars: Sequence[str],
    train_corpus: str,
    files: RunFiles,
    made_by: str,
    devices_per_node: int,
    nodes: int,
    launcher: str,
    *,
    sharded: bool = False,
) -> None:
    """As `train_to_files`, by one process for each of `devices_per_node` cores or GPUs of each of `nodes`.

    launcher: the command that starts another on every node of this job (a cluster's profile says it as `mpi`); not
    needed for one node. sharded: each process holds only its pieces of the state. SIGTERM and SIGUSR1 are handed on as
    SIGTERM, on which the processes write their checkpoint and leave. Raises InputError without a launcher,
    RuntimeError if a process fails.
    """
    if nodes > 1 and not launcher:
        remedy = "Give it in the profile as the resource mpi, or hardware of one node."
        raise InputError(f"run {run.run}", f"nothing is known that starts it on {nodes} nodes", remedy)
    job = files.checkpoints.with_name(f"{run.run}.job.json")
    paths = {name: str(path) for name, path in vars(files).items()}
    said = {"run": asdict(run), "sidecars": list(sidecars), "corpus": train_corpus, "files": paths, "recipe": made_by}
    write_json(job, said | {"sharded": sharded})
    try:
        _wait_for([*_torchrun(devices_per_node, nodes, launcher), "-m", __name__, str(job)])
    finally:
        job.unlink(missing_ok=True)


def _torchrun(devices_per_node: int, nodes: int, launcher: str) -> list[str]:
    torchrun = [sys.executable, "-c", TORCHRUN, f"--nproc-per-node={devices_per_node}"]
    if nodes == 1:
        return [*torchrun, "--standalone"]
    with socket.socket() as free:  # found free on the node of the batch script, whose torchrun will listen there
        free.bind(("", 0))
        port = free.getsockname()[1]
    meeting = [f"--nnodes={nodes}", "--rdzv-backend=c10d", f"--rdzv-endpoint={socket.gethostname()}:{port}"]
    return [*shlex.split(launcher.format(nodes=nodes)), *torchrun, *meeting, f"--rdzv-id={port}"]


def _wait_for(command: Sequence[str]) -> None:
    """Run a command to its end, handing on what asks this process to leave."""
    asked: list[int] = []
    with subprocess.Popen(command) as child:

        def hand_on(number: int, _frame: FrameType | None) -> None:
            asked.append(number)
            child.send_signal(signal.SIGTERM)

        before = {number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGUSR1)}
        status = child.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked and status:
        raise SystemExit(143)
    if status:
        raise RuntimeError(f"a process that trained ended with {status}")


def _take_part(job: str) -> None:
    """What each of the processes does."""
    said = json.loads(Path(job).read_text())
    files = RunFiles(**{name: Path(path) for name, path in said["files"].items()})
    run = Run(**said["run"])
    processes.join()
    # One thread each: side by side they beat one process of several threads.
    progress, sharded = Progress(f"train {run.run}"), said["sharded"]
    train_to_files(
        run, said["sidecars"], said["corpus"], files, said["recipe"], 1, progress, kept=True, sharded=sharded
    )
    processes.leave()


if __name__ == "__main__":
    _take_part(sys.argv[1])
