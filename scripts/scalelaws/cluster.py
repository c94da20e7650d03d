"""A SLURM cluster: whether it has what the profile asks for, and which of its jobs a killed start has left behind.

Everything that names SLURM is here and in workflow/profiles/slurm.
"""

import atexit
import getpass
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalelaws.errors import InputError

PROFILE = "workflow/profiles/slurm/profile.yaml"
KEPT = 3600
"""Seconds that a cluster should know of ended jobs, so that a controller that is away for as long costs nothing."""
PATIENCE = 180.0
"""Seconds that cancelled jobs are waited for: SLURM leaves KillWait (30 by default) between SIGTERM and SIGKILL."""


@dataclass(frozen=True)
class Room:
    """Cores, GPUs and memory of one node, how many nodes, and hours: what a partition has, or what jobs ask for."""

    cores: int = 0
    gpus: int = 0
    memory_mb: int = 0
    nodes: int = 0
    hours: float = 0.0


def site_problems(site: Mapping[str, Any], asked: Room) -> list[str]:
    """What of a profile's site lines (account, partition, training_partition, hardware, cores) this cluster lacks.

    One line each, with the remedy; an empty list if all is there. asked: by the largest jobs of the study, of memory at
    the first attempt.
    """
    if shutil.which("sbatch") is None:
        return ["this machine has no sbatch: start from a login node of the cluster"]
    try:
        partitions = _partitions()
    except InputError as error:
        return [str(error)]
    accounts = _accounts()
    problems = []
    if accounts and str(site["account"]) not in accounts:
        problems.append(f"account: you have no {site['account']!r}; yours are {', '.join(sorted(accounts))}")
    for key in ("partition", "training_partition"):
        if site[key] not in partitions:
            problems.append(f"{key}: there is no {site[key]!r}; there are {', '.join(sorted(partitions))}")
            continue
        there = partitions[site[key]]
        if site["cores"] > there.cores:
            problems.append(f"cores: the largest node of {site[key]!r} has {there.cores}, not {site['cores']}")
        if asked.hours > there.hours:
            problems.append(f"longest_job_hours: {site[key]!r} allows {there.hours:g}, not {asked.hours:g}")
        if key == "partition":
            continue
        if asked.gpus > there.gpus:
            problems.append(f"hardware: the best node of {site[key]!r} has {there.gpus} GPUs, not {asked.gpus}")
        if asked.nodes > there.nodes:
            problems.append(f"hardware: {site[key]!r} has {there.nodes} nodes, not {asked.nodes}")
        if asked.memory_mb > there.memory_mb:
            largest = f"the largest node of {site[key]!r} has {there.memory_mb:,} MB"
            problems.append(f"hardware: a job asks for up to {asked.memory_mb:,} MB of a node, {largest}")
    if asked.gpus > site["cores"]:
        problems.append(f"cores: {asked.gpus} GPUs of a node want a core each at least, not {site['cores']} in all")
    return problems


def site_warnings() -> list[str]:
    """What of this cluster can make a start wait in vain, with the remedy; an empty list if nothing is known to."""
    settings = dict(
        re.split(r"\s*=\s*", line, maxsplit=1) for line in _answer("scontrol", "show", "config") if "=" in line
    )
    warnings = []
    if shutil.which("sacct") and re.fullmatch(r"\S*/none|\(null\)", settings.get("AccountingStorageType", "")):
        warnings.append(
            "it keeps no accounts, but there is sacct, which a start asks in vain once the controller has been away: "
            "take sacct off the PATH from which you start"
        )
    kept = re.match(r"\d+", settings.get("MinJobAge", ""))
    if kept and int(kept[0]) < KEPT:
        warnings.append(
            f"it forgets ended jobs after {kept[0]} s (MinJobAge), and a start waits for ever for those that ended "
            f"while the controller was away for longer: end it with Ctrl-C then and start again, or have {KEPT} set"
        )
    return warnings


def site_of(profile: str | Path) -> dict[str, Any]:
    """The lines of a profile that a site fills in: its `__variables__`."""
    import yaml

    return dict(yaml.safe_load(Path(profile).read_text())["__variables__"])


def claim_jobs(workflow: Any, study: str, say: Any) -> None:
    """Claim the study's jobs for this start, name them after it, and cancel those that an earlier start has left.

    For Snakemake's `onstart`. Snakemake's own lock is one of files: two starts of one study pass it that make different
    ones, or that begin together. The claim lets one alone pass, so that jobs that bear the study's name are orphans,
    and would write the same files as those that are about to be submitted. A training that is cancelled leaves its
    checkpoint. Does nothing where nothing is made but on this machine, nor for other executors, unless a start that
    submitted jobs was killed here, or still lives.
    """
    executor, claim = workflow.scheduler._executor, Path(workflow.persistence.path) / f"{study}.claim"
    submits = "slurm" in type(executor).__module__
    if not (submits or claim.is_symlink()) or all(job.is_local for job in workflow.dag.needrun_jobs()):
        return
    _claim(claim)
    orphans = _jobs(study)
    if orphans:
        _answer("scancel", *orphans)
        deadline = time.monotonic() + PATIENCE
        while left := _jobs(study):
            if time.monotonic() > deadline:
                raise InputError(
                    f"SLURM jobs {', '.join(left)}",
                    "an earlier start left them, and they do not end although they were cancelled",
                    "Ask the cluster's administrator, or wait until they are gone.",
                )
            time.sleep(1)
        say(f"cancelled {len(orphans)} jobs that an earlier start left in SLURM; what is unfinished is done again")
    if submits:
        executor.run_uuid = f"{study}-{executor.run_uuid[-36:]}"


def shared_gpu(runs: Collection[str]) -> dict[str, Callable[..., str]]:
    """The resource by which a job asks for one GPU that all these runs share.

    In words, which the runs of a job have in common: numbers of GPUs would be added up.
    """
    return {"gres": lambda wildcards: "gpu:1" if wildcards.run in runs else ""} if runs else {}


def leave_warnings_to_scripts(workflow: Any) -> None:
    """Let SIGUSR1, a cluster's warning before it ends a job, reach the job's script alone.

    The Snakemake around the script would die of it, and take the script along before its checkpoint is written.
    """
    if not workflow.is_main_process:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _claim(claim: Path) -> None:
    """Make this process the claim's holder until it ends. Raises InputError if another is, or may be.

    The claim is a link to nowhere that names its holder: made in one step with what it says, on any file system, and by
    one process alone. A killed holder's stays, and is removed by the next start on its machine.
    """
    while not _made(claim):
        holder = _holder(claim)
        if not holder:
            continue  # given back in this instant
        if not _is_gone(holder):
            raise _held(claim, holder)
        taking = claim.with_suffix(".taken")  # two that find the same dead holder: the later would remove the other's
        if not _made(taking):
            raise _held(taking, _holder(taking))
        if _holder(claim) == holder:
            claim.unlink(missing_ok=True)
        taking.unlink()
    atexit.register(claim.unlink, missing_ok=True)


def _made(claim: Path) -> bool:
    """Whether a claim could be made; it names this machine, this process, and when it began."""
    try:
        claim.symlink_to(f"{platform.node()}:{os.getpid()}:{_beginning(os.getpid())}")
    except FileExistsError:
        return False
    return True


def _holder(claim: Path) -> str:
    """What a claim says; nothing if it is gone."""
    try:
        return str(claim.readlink())
    except FileNotFoundError:
        return ""


def _held(claim: Path, holder: str) -> InputError:
    host, process, _ = f"{holder}::".split(":")[:3]
    return InputError(
        str(claim),
        f"another start of this study has its jobs in its care (process {process} on {host})",
        "Wait until it has ended; if it was killed, delete this file, and start again.",
    )


def _is_gone(holder: str) -> bool:
    """Whether a claim's holder is known to have ended, as only its own machine can know."""
    host, process, beginning = holder.split(":")
    return host == platform.node() and _beginning(int(process)) != beginning


def _beginning(process: int) -> str:
    """When a process of this machine began, in ticks since the machine did; nothing if it is no more."""
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else fields[18]


def _jobs(study: str) -> list[str]:
    """Numbers of the user's jobs, not ended, that a start of this study named, and whose working directory is this."""
    lines = _answer("squeue", "-h", "-u", getpass.getuser(), "-o", "%A|%j|%Z")
    rows = (line.split("|", 2) for line in lines)
    here = os.path.realpath(".")
    named = re.compile(re.escape(study) + r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    return [number for number, name, folder in rows if named.fullmatch(name) and os.path.realpath(folder) == here]


def _accounts() -> set[str]:
    """The user's accounts; empty where the cluster keeps none, so that it takes any."""
    asked = ("sacctmgr", "-nP", "show", "associations", f"user={getpass.getuser()}", "format=account")
    try:
        return set(_answer(*asked))
    except InputError:
        return set()


def _partitions() -> dict[str, Room]:
    """What each partition has: its largest node, and the hours that it allows a job."""
    found: dict[str, Room] = {}
    for line in _answer("sinfo", "-h", "-N", "-o", "%R|%c|%G|%m|%l"):
        name, cores, devices, memory, limit = line.split("|")
        gpus = sum(_count(device) for device in devices.split(",") if device.startswith("gpu"))
        most = found.get(name, Room())
        found[name] = Room(
            max(most.cores, int(cores.rstrip("+"))),
            max(most.gpus, gpus),
            max(most.memory_mb, int(memory.rstrip("+"))),
            most.nodes + 1,
            _hours(limit),
        )
    return found


def _hours(limit: str) -> float:
    """A time limit in hours: 7-00:00:00, 12:00:00, 30:00, infinite."""
    days, _, clock = limit.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts):
        return math.inf
    seconds = sum(int(part) * 60**place for place, part in enumerate(reversed(parts)))
    return 24 * int(days or 0) + seconds / 3600


def _count(device: str) -> int:
    """How many a generic resource says: 4 of gpu:h100:4(S:0-1), 1 of gpu:h100."""
    last = device.partition("(")[0].rpartition(":")[2]
    return int(last) if last.isdigit() else 1


def _answer(*command: str) -> list[str]:
    """The lines that a SLURM command prints. Raises InputError if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InputError(command[0], "is not on this machine", "Start from a login node of the cluster.") from None
    if done.returncode:
        problem = " ".join(done.stderr.split()) or f"ended with {done.returncode}"
        raise InputError(" ".join(command[:2]), problem, "Wait until SLURM answers, then start again.")
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
