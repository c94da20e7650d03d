"""What is told of a cluster from its commands' answers, which are made up here, and whose jobs a start may cancel."""

import multiprocessing
import os
import platform
import subprocess
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
from scalelaws.cluster import Room, _hours, claim_jobs, shared_gpu, site_problems, site_warnings
from scalelaws.errors import InputError

JOB = "01234567-89ab-cdef-0123-456789abcdef"


class Executor:
    """Stands for the executor that submits jobs; told by the name of its module."""

    __module__ = "snakemake_executor_plugin_slurm"

    def __init__(self):
        self.run_uuid = str(uuid.uuid4())


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """A function that lays a command of the cluster on the PATH, which holds no other."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.chdir(tmp_path)

    def lay(command, script):
        (folder / command).write_text(f"#!/bin/sh\n{script}\n")
        (folder / command).chmod(0o755)

    return lay


@pytest.fixture
def queue(answers, tmp_path):
    """A function that fills the queue with jobs of these names; the file that it gives lists what is cancelled."""
    cancelled = tmp_path / "cancelled"

    def fill(*names):
        jobs = "".join(f'echo "{number}|{name}|{tmp_path}"\n' for number, name in enumerate(names))
        answers("squeue", f"if [ ! -e {cancelled} ]; then :\n{jobs}fi")
        answers("scancel", f'echo "$@" > {cancelled}')
        return cancelled

    return fill


def start(folder, local=False, executor=None):
    """What Snakemake hands to its `onstart`."""
    return SimpleNamespace(
        scheduler=SimpleNamespace(_executor=executor or Executor()),
        dag=SimpleNamespace(needrun_jobs=lambda: [SimpleNamespace(is_local=local)]),
        persistence=SimpleNamespace(path=folder),
    )


def claim(folder, **fields):
    said = []
    workflow = start(folder, **fields)
    claim_jobs(workflow, "web", said.append)
    return workflow.scheduler._executor.run_uuid, said


def _claims(folder, results, together):
    """A start of its own process, which lives until the others have claimed too."""
    together.wait()
    try:
        claim(folder)
        results.put("claimed")
    except InputError as error:
        results.put(str(error))
    together.wait()


def test_jobs_that_a_killed_start_left_are_cancelled_and_no_other_study_s(queue, tmp_path):
    cancelled = queue(f"web-{JOB}", f"web-small-{JOB}", "web-by-hand", JOB)
    name, said = claim(tmp_path)
    assert cancelled.read_text() == "0\n"
    assert name.startswith("web-") and len(name) == 40
    assert "cancelled 1 jobs" in said[0]


@pytest.mark.parametrize("fields", [{"local": True}, {"executor": SimpleNamespace(run_uuid=JOB)}])
def test_a_start_that_submits_nothing_claims_nothing(queue, tmp_path, fields):
    cancelled = queue(f"web-{JOB}")
    name, said = claim(tmp_path, **fields)
    assert not name.startswith("web-") and not said
    assert not cancelled.exists() and not os.path.lexists(tmp_path / "web.claim")


def test_a_start_that_submits_nothing_cancels_what_a_killed_one_left_in_the_queue(queue, tmp_path):
    cancelled = queue(f"web-{JOB}")
    _abandoned(tmp_path / "web.claim")
    name, said = claim(tmp_path, executor=SimpleNamespace(run_uuid=JOB))
    assert cancelled.read_text() == "0\n" and "cancelled 1 jobs" in said[0]
    assert name == JOB


def test_of_starts_in_one_instant_one_alone_goes_on(queue, tmp_path):
    queue()
    _abandoned(tmp_path / "web.claim")
    context = multiprocessing.get_context("fork")
    results, together = context.Queue(), context.Barrier(8)
    starts = [context.Process(target=_claims, args=(tmp_path, results, together)) for _ in range(8)]
    for process in starts:
        process.start()
    outcomes = [results.get(timeout=60) for _ in starts]
    for process in starts:
        process.join()
    assert outcomes.count("claimed") == 1
    assert all("another start of this study" in outcome for outcome in outcomes if outcome != "claimed")


def test_a_dead_holder_s_claim_is_taken_over_on_its_machine_alone(queue, tmp_path):
    cancelled = queue(f"web-{JOB}")
    link = tmp_path / "web.claim"
    link.symlink_to("elsewhere:1:1")
    with pytest.raises(InputError, match=r"process 1 on elsewhere.*delete this file"):
        claim(tmp_path)
    assert not cancelled.exists()
    link.unlink()
    _abandoned(link)
    claim(tmp_path)
    assert str(link.readlink()).startswith(f"{platform.node()}:{os.getpid()}:")
    assert cancelled.read_text() == "0\n"


def test_another_process_under_a_dead_holder_s_number_does_not_hold_its_claim(queue, tmp_path):
    queue()
    (tmp_path / "web.claim").symlink_to(f"{platform.node()}:{os.getppid()}:1")
    claim(tmp_path)


def test_a_claim_goes_with_its_start(queue, tmp_path):
    queue()
    code = "import sys; sys.path[:0] = sys.argv[1:]; from tests.test_cluster import claim; claim(sys.argv[-1])"
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code, str(root), str(root / "scripts"), str(tmp_path)], check=True)
    assert not os.path.lexists(tmp_path / "web.claim")


def _abandoned(link):
    """The claim of a start that was killed."""
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    link.symlink_to(f"{platform.node()}:{dead.pid}:1")


def test_runs_that_share_a_job_ask_together_for_one_gpu():
    asked = shared_gpu({"small"})["gres"]
    assert [asked(SimpleNamespace(run=run)) for run in ("small", "large")] == ["gpu:1", ""]


SITE = {"account": "any", "partition": "cpu", "training_partition": "gpu", "cores": 16}
NODES = """echo 'cpu|64|(null)|256000+|7-00:00:00'
echo 'gpu|64|gpu:h100:4(S:0-1)|512000|1-12:00:00'
echo 'gpu|64|gpu:h100:8(S:0-1)|1024000|1-12:00:00'"""


def test_a_profile_is_held_against_what_the_cluster_says(answers):
    answers("sbatch", "")
    answers("sinfo", NODES)
    assert site_problems(SITE, Room(gpus=8, nodes=2, memory_mb=1_000_000, hours=36)) == []
    assert site_problems({**SITE, "cores": 4}, Room(gpus=8, nodes=3, memory_mb=2_000_000, hours=48)) == [
        "longest_job_hours: 'gpu' allows 36, not 48",
        "hardware: 'gpu' has 2 nodes, not 3",
        "hardware: a job asks for up to 2,000,000 MB of a node, the largest node of 'gpu' has 1,024,000 MB",
        "cores: 8 GPUs of a node want a core each at least, not 4 in all",
    ]


@pytest.mark.parametrize(
    ("limit", "hours"), [("7-00:00:00", 168), ("12:00:00", 12), ("30:00", 0.5), ("infinite", float("inf"))]
)
def test_time_limits_are_read_as_the_cluster_writes_them(limit, hours):
    assert _hours(limit) == hours


@pytest.mark.parametrize(("kept", "warnings"), [(300, 1), (3600, 0)])
def test_a_cluster_that_soon_forgets_ended_jobs_is_warned_of(answers, kept, warnings):
    answers("scontrol", f"echo 'AccountingStorageType   = (null)'\necho 'MinJobAge               = {kept} sec'")
    assert len(site_warnings()) == warnings
