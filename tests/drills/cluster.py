"""A real SLURM of three nodes on this machine, for the time of a test run: no systemd, no cgroups, no accounting."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
SITE = Path("/etc/slurm/slurm.conf")
"""Where jobs look for the cluster: the executor takes SLURM's variables out of their environment."""
NODES = ("d1", "d2")
GPU_NODE = "d3"
"""Told to have a GPU, where the machine has none."""
CONTROLLER_PORT = 17817
CONFIGURATION = """
ClusterName=drills
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=10
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill,UsePss
SwitchType=switch/none
MpiDefault=none
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
EnforcePartLimits=ALL
SlurmctldTimeout=10
SlurmdTimeout=10
InactiveLimit=0
KillWait=15
MinJobAge=3600
JobRequeue=1
AccountingStorageType=accounting_storage/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{nodes}
PartitionName=cpu Nodes={names} Default=YES MaxTime=7-00:00:00 PriorityTier=1 State=UP
PartitionName=urgent Nodes={names} MaxTime=7-00:00:00 PriorityTier=2 PreemptMode=OFF State=UP
PartitionName=gpus Nodes={gpu_node} MaxTime=7-00:00:00 PriorityTier=1 State=UP
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its folder, and the environment in which its commands and Snakemake are called."""

    folder: Path
    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """What a SLURM command prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()

    def jobs(self, states: str = "PENDING,RUNNING,COMPLETING") -> list[str]:
        """Numbers of the jobs in these states."""
        return self.ask("squeue", "-h", "-t", states, "-o", "%A").split()

    def node_of(self, number: str) -> str:
        """The node on which a job runs."""
        return self.ask("squeue", "-h", "-j", number, "-o", "%N")

    def number_of(self, study: Path, rule: str, wildcard: str) -> str | None:
        """The number of a rule's running job for this wildcard; the executor puts both into the comment."""
        wanted = [f"rule_{rule}_wildcards_{wildcard}", str(study)]
        running = self.ask("squeue", "-h", "-t", "RUNNING", "-o", "%A|%k|%Z").splitlines()
        return next((number for number, *job in (line.split("|") for line in running) if job == wanted), None)

    def gpus_of(self, study: Path) -> list[int]:
        """How many GPUs each job of a study asked for that asked for any."""
        jobs = self.ask("scontrol", "-o", "show", "jobs").splitlines()
        asked = (re.search(r"TresPer\w+=gres[:/]gpu:(\d+)", job) for job in jobs if f" WorkDir={study} " in job)
        return [int(found[1]) for found in asked if found]

    def shared_jobs(self, study: Path, states: str = "RUNNING") -> list[str]:
        """Numbers of the study's jobs in these states that several runs share."""
        jobs = (line.split("|") for line in self.ask("squeue", "-h", "-t", states, "-o", "%A|%k|%Z").splitlines())
        return [
            number for number, comment, folder in jobs if comment.startswith("rule_small_runs") and folder == str(study)
        ]


def missing() -> str:
    """Why no cluster can be started here, or nothing."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"SLURM is not installed ({', '.join(absent)}); .ci/run installs it"
    if os.geteuid() != 0:
        return "SLURM's daemons are started by root only"
    if socket.gethostbyname(socket.gethostname()) != "127.0.0.1":
        return "this machine's name must resolve to 127.0.0.1, where the daemons listen; .ci/run sees to it"
    if SITE.exists():
        return f"this machine belongs to a cluster already: it has {SITE}"
    return ""


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Start a cluster in a folder whose path is short (its sockets lie there), and end it and all its jobs."""
    folder.chmod(0o755)  # munge refuses a socket that others cannot reach
    for name in ("munge", "state", "spool", *(f"spool/{node}" for node in (*NODES, GPU_NODE))):
        (folder / name).mkdir(parents=True, mode=0o755)
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={CONTROLLER_PORT + 1 + place} "
        f"CPUs=2 {'RealMemory=16000 Gres=gpu:1' if node == GPU_NODE else 'RealMemory=6000'} State=UNKNOWN"
        for place, node in enumerate((*NODES, GPU_NODE))
    )
    text = CONFIGURATION.format(
        host=socket.gethostname(),
        port=CONTROLLER_PORT,
        folder=folder,
        nodes=nodes,
        names=",".join(NODES),
        gpu_node=GPU_NODE,
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(f"NodeName={GPU_NODE} Name=gpu File=/dev/null\n")
    SITE.parent.mkdir(exist_ok=True)
    SITE.unlink(missing_ok=True)  # a link that an earlier cluster left, to nowhere
    SITE.symlink_to(folder / "slurm.conf")
    path = _without_sacct(folder, os.environ["PATH"])
    cluster = Cluster(folder, {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")})
    try:
        _start_munge(folder)
        start_controller(cluster)
        for node in (*NODES, GPU_NODE):
            start_node(cluster, node)
        _wait(lambda: cluster.ask("sinfo", "-h", "-N", "-p", "cpu", "-o", "%t").split() == ["idle"] * len(NODES), 30)
        yield cluster
    finally:
        if (folder / "slurmctld.pid").is_file():
            for number in cluster.jobs():
                cluster.ask("scancel", number)
            _wait(lambda: not cluster.jobs(), 60)
        for name in (*(f"slurmd-{node}" for node in (*NODES, GPU_NODE)), "slurmctld"):
            end(cluster, name)
        end(cluster, "munged")
        SITE.unlink()


def _without_sacct(folder: Path, path: str) -> str:
    """A search path without the command sacct, which a cluster without accounting does not have.

    Where it is found, and the controller just does not answer, the executor asks nothing else from then on.
    """
    places = []
    for number, place in enumerate(path.split(":")):
        if (Path(place) / "sacct").exists():
            links = folder / f"path-{number}"
            links.mkdir()
            for command in Path(place).iterdir():
                if command.name != "sacct":
                    (links / command.name).symlink_to(command)
            place = str(links)
        places.append(place)
    return ":".join(places)


def start_controller(cluster: Cluster) -> None:
    """Start slurmctld and wait until it answers."""
    _daemon(cluster, "slurmctld", "-f", str(cluster.folder / "slurm.conf"))
    _wait(lambda: "UP" in cluster.ask("scontrol", "ping"), 30)


def start_node(cluster: Cluster, node: str) -> None:
    """Start a node's slurmd."""
    _daemon(cluster, "slurmd", "-N", node, "-f", str(cluster.folder / "slurm.conf"))


def end(cluster: Cluster, daemon: str, number: int = signal.SIGTERM) -> None:
    """Send a daemon a signal, by the name of its pid file, and wait until it is gone."""
    file = cluster.folder / f"{daemon}.pid"
    if not file.is_file():
        return
    process = int(file.read_text())
    os.kill(process, number)
    _wait(lambda: not _lives(process), 30)


def _start_munge(folder: Path) -> None:
    key = folder / "munge/key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    subprocess.run(
        ["munged", f"--key-file={key}", f"--socket={folder}/munge/socket", f"--pid-file={folder}/munged.pid",
         f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge/seed"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _daemon(cluster: Cluster, *command: str) -> None:
    with (cluster.folder / "daemons.log").open("a") as log:
        subprocess.run(
            command, env=cluster.environment, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _wait(true, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except subprocess.CalledProcessError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the cluster did not do what was waited for")
        time.sleep(0.2)
