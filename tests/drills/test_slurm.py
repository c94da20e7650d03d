"""Faults on a real SLURM: after each, the study ends with the result of an undisturbed one, and says what happened."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import yaml
from scalelaws.cluster import Room, site_problems, site_warnings

from . import cluster as slurm
from .study import (
    LONGEST_MINUTES,
    MINUTES,
    RESULTS,
    STUDY,
    checkpoints,
    command,
    ended,
    hang,
    in_training,
    log_of,
    made,
    resumed,
    same_run,
    same_study,
    same_tokens,
    started,
    waited_for,
)

pytestmark = pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing())


@pytest.fixture(scope="module")
def cluster():
    with tempfile.TemporaryDirectory(prefix="drill") as folder, slurm.running_cluster(Path(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A folder in which the study was made on this machine; `tokens`, beside it, is a copy from before the runs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    made(folder, "local", "tokens", "--cores", "2")
    shutil.copytree(folder, folder.with_name("tokens"))
    made(folder, "local", "runs", "--cores", "2")
    return folder


@pytest.fixture(scope="module")
def names(undisturbed):
    """The runs: two that finish, the smaller first, and the one that diverges."""
    return sorted((path.name for path in (undisturbed / RESULTS / "runs").iterdir()), key=lambda run: (len(run), run))


@pytest.fixture(scope="module")
def outgrowing(cluster, undisturbed, names, tmp_path_factory):
    """A study whose run gets too little memory at first, and its start, which goes on beside the other drills."""
    study = shutil.copytree(undisturbed.with_name("tokens"), tmp_path_factory.mktemp("outgrowing") / "study")
    little = ["--set-resources", "train:mem_mb=300 * 5 ** (attempt - 1)"]
    with started(study, "slurm", _folder(names[0]), *little, cluster=cluster) as start:
        yield study, start


@pytest.fixture(scope="module", autouse=True)
def struck(cluster, undisturbed, names, outgrowing, tmp_path_factory):
    """A study whose runs were struck while they trained, and its start, which goes on beside the other drills.

    One was cancelled and its newest checkpoint cut off, one hung until its time was over, one diverged.
    """
    study = shutil.copytree(undisturbed.with_name("tokens"), tmp_path_factory.mktemp("struck") / "study")
    cancelled, hanging, _ = names
    with started(study, "slurm", "runs", cluster=cluster) as start:
        number = in_training(cluster, study, hanging)
        hang(number)
        cluster.ask("scontrol", "update", f"jobid={number}", "EndTime=now")
        cluster.ask("scancel", in_training(cluster, study, cancelled))
        waited_for(lambda: bool(checkpoints(study, cancelled)), "the cancelled run leaves no checkpoint")
        newest = checkpoints(study, cancelled)[-1]
        os.truncate(newest, newest.stat().st_size // 2)
        waited_for(lambda: number not in cluster.jobs(), "the hanging run is not ended")
        yield study, start


@pytest.fixture(scope="module", autouse=True)
def cramped(cluster, undisturbed, names, struck, tmp_path_factory):
    """A study whose disk was full while its run trained, and its start, which goes on beside the other drills.

    None where no disk can be mounted.
    """
    study = shutil.copytree(undisturbed.with_name("tokens"), tmp_path_factory.mktemp("cramped") / "study")
    with _small_disk(study / "results") as disk:
        if disk is None:
            yield None
            return
        with started(study, "slurm", _folder(names[0]), cluster=cluster) as start:
            in_training(cluster, study, names[0])
            _fill(disk / "filler")
            waited_for(lambda: "the disk is full" in _cluster_logs(study), "the full disk is not noticed")
            (disk / "filler").unlink()
            yield study, start


@pytest.fixture(scope="module", autouse=True)
def twice(cluster, struck, tmp_path_factory):
    """Two studies from their text on, the second's corpus in parts, and their starts, which go on beside the drills."""
    graphs = STUDY["corpora"]["graphs"]
    shorter = {**STUDY, "training": {**STUDY["training"], "max_tokens": 60_000, "sweep": []}}
    folders = [tmp_path_factory.mktemp(name) for name in ("whole", "parts")]
    for folder, parts in zip(folders, (1, 2), strict=True):
        corpora = {"graphs": {**graphs, "parts": parts}}
        (folder / "study.yaml").write_text(yaml.safe_dump({**shorter, "corpora": corpora}))
    whole, in_parts = (started(folder, "slurm", "runs", cluster=cluster) for folder in folders)
    with whole as one, in_parts as other:
        yield (folders[0], one), (folders[1], other)


@pytest.fixture(scope="module", autouse=True)
def on_gpus(cluster, undisturbed, struck, tmp_path_factory):
    """Two studies that ask for GPUs, the second's runs for one together, and their starts, beside the other drills."""
    asked = ["--retries", "0", "--precommand", "touch before-a-job; true"]
    asked += ["--set-resources", "train:slurm_partition=gpus", "--config", "hardware=1 H100"]
    folders = [tmp_path_factory.mktemp(name) / "study" for name in ("each", "together")]
    each, together = (
        started(
            shutil.copytree(undisturbed.with_name("tokens"), folder),
            "slurm", "runs", *asked, f"small_run_minutes={minutes}", cluster=cluster,
        )
        for folder, minutes in zip(folders, (0, 60), strict=True)
    )  # fmt: skip
    with each as one, together as other:
        yield (folders[0], one), (folders[1], other)


def runs_that_share_a_job_lose_nothing_that_one_of_them_has_finished(cluster, study, undisturbed, names):
    second, first, _ = names  # on one core the costlier goes first
    one_by_one = ["--cores", "1", "--config", "small_run_minutes=60"]
    with started(study, "slurm", "runs", *one_by_one, cluster=cluster) as start:
        waited_for((study / RESULTS / "runs" / first / "run.json").is_file, "the first run does not end")
        waited_for(lambda: "tokens/s" in log_of(study, second), "the second run does not train")
        waited_for(lambda: cluster.shared_jobs(study), "their job does not run")
        cluster.ask("scancel", *cluster.shared_jobs(study))
        ended(start)
    assert "finished before" in log_of(study, first)
    assert resumed(study, second), "the one that was cancelled has left a checkpoint"
    assert len(cluster.shared_jobs(study, "all")) == 2, "all runs in one job, and what was left of it in another"
    assert not list((study / RESULTS / "checkpoints").glob("*/finished"))
    same_study(study, undisturbed)


def of_two_starts_of_one_study_at_once_one_alone_goes_on(cluster, study, undisturbed, names):
    """With different targets, which Snakemake's own lock lets pass."""
    targets = [_folder(run) for run in names[:2]]
    with (
        started(study, "slurm", targets[0], cluster=cluster) as one,
        started(study, "slurm", targets[1], cluster=cluster) as other,
    ):
        printed = {start: start.communicate(timeout=LONGEST_MINUTES * MINUTES)[0] for start in (one, other)}
    assert sorted(start.returncode for start in printed) == [0, 1], printed
    assert "another start of this study" in next(text for start, text in printed.items() if start.returncode)
    same_run(study, undisturbed, names[0 if one.returncode == 0 else 1])


def a_run_on_two_nodes_goes_on_after_it_was_cancelled_and_ends_like_one_on_one_core(cluster, study, undisturbed, names):
    run, shorter = names[0], {**STUDY, "training": {**STUDY["training"], "max_tokens": 60_000}}
    alone = shutil.copytree(undisturbed.with_name("tokens"), study.with_name("alone"))
    for folder in (study, alone):
        (folder / "study.yaml").write_text(yaml.safe_dump(shorter))
    made(alone, "local", _folder(run), "--cores", "1")
    on_nodes = ["--config", "small_run_minutes=0", "hardware=2 x CPU core", "longest_hours=0.000001"]
    with started(study, "slurm", _folder(run), *on_nodes, cluster=cluster) as start:
        number = in_training(cluster, study, run, rule="train_on_nodes")
        assert cluster.ask("squeue", "-h", "-j", number, "-o", "%D") == "2"
        cluster.ask("scancel", number)
        assert resumed(study, run)
        ended(start)
    columns, file = ["step", "corpus", "split", "loss"], f"{RESULTS}/runs/{run}/losses.parquet"
    one, two = (pd.read_parquet(folder / file, columns=columns) for folder in (alone, study))
    pd.testing.assert_frame_equal(one, two, rtol=0.01)


def a_damaged_shard_is_named_and_made_again(cluster, study, undisturbed, _names):
    shard = next((study / RESULTS / "corpus/graphs/documents/train").glob("*.parquet"))
    os.truncate(shard, shard.stat().st_size // 2)
    (study / RESULTS / "tokens/graphs.train.json").unlink()
    with started(study, "slurm", "tokens", "--retries", "0", cluster=cluster) as start:
        ended(start, status=1)
    assert f"{shard.relative_to(study)}: not readable as parquet" in _cluster_logs(study)
    shutil.rmtree(shard.parents[1])  # as the line says
    made(study, "slurm", "tokens", cluster=cluster)
    same_tokens(study, undisturbed)


BESIDE = (
    runs_that_share_a_job_lose_nothing_that_one_of_them_has_finished,
    of_two_starts_of_one_study_at_once_one_alone_goes_on,
    a_run_on_two_nodes_goes_on_after_it_was_cancelled_and_ends_like_one_on_one_core,
    a_damaged_shard_is_named_and_made_again,
)
"""Drills that the others do not disturb, but for the controller that is away in one of them: they end before it."""


@pytest.fixture(scope="module", autouse=True)
def beside(cluster, struck, undisturbed, names, tmp_path_factory):
    """What becomes of each drill of BESIDE, made in a thread beside the others."""
    with ThreadPoolExecutor() as threads:
        yield {
            drill: threads.submit(
                drill, cluster, shutil.copytree(undisturbed.with_name("tokens"), folder), undisturbed, names
            )
            for drill, folder in ((drill, tmp_path_factory.mktemp("beside") / "study") for drill in BESIDE)
        }


@pytest.fixture
def study(undisturbed, tmp_path):
    """A study whose tokens are made and whose runs are not."""
    return shutil.copytree(undisturbed.with_name("tokens"), tmp_path / "study")


def test_a_profile_is_held_against_the_cluster(cluster, study, monkeypatch):
    printed = made(study, "slurm", "check_cluster", cluster=cluster)
    assert "the cluster has everything that the profile asks for" in printed
    whole_path = os.environ["PATH"]
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, cluster.environment[name])
    site = {"account": "any", "partition": "cpu", "training_partition": "fast", "cores": 99}
    assert site_problems(site, Room()) == [
        "cores: the largest node of 'cpu' has 2, not 99",
        "training_partition: there is no 'fast'; there are cpu, gpus, urgent",
    ]
    site |= {"training_partition": "cpu", "cores": 2}
    assert site_problems(site, Room(gpus=8, nodes=4, memory_mb=9000, hours=999)) == [
        "longest_job_hours: 'cpu' allows 168, not 999",
        "longest_job_hours: 'cpu' allows 168, not 999",
        "hardware: the best node of 'cpu' has 0 GPUs, not 8",
        "hardware: 'cpu' has 2 nodes, not 4",
        "hardware: a job asks for up to 9,000 MB of a node, the largest node of 'cpu' has 6,000 MB",
        "cores: 8 GPUs of a node want a core each at least, not 2 in all",
    ]
    assert site_warnings() == []
    monkeypatch.setenv("PATH", whole_path)
    if shutil.which("sacct"):
        assert "take sacct off the PATH" in site_warnings()[0]


def test_a_run_that_is_pre_empted_then_warned_and_then_loses_its_node(cluster, study, undisturbed, names):
    run = names[1]
    with started(study, "slurm", _folder(run), cluster=cluster) as start:
        number = in_training(cluster, study, run)
        urgent = ["--partition=urgent", f"--nodelist={cluster.node_of(number)}", "--exclusive", "--output=/dev/null"]
        cluster.ask("sbatch", *urgent, "--wrap=sleep 1")
        first = resumed(study, run)
        assert in_training(cluster, study, run) == number, "it was put back under its own number"
        warned = time.monotonic()
        cluster.ask("scancel", "--signal=USR1", number)
        waited_for(lambda: number not in cluster.jobs(), "the warned job does not leave")
        assert time.monotonic() - warned < 30
        second = resumed(study, run, after=first)
        number = cluster.number_of(study, "train", run)
        node = cluster.node_of(number)
        cluster.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=drill")
        time.sleep(3)
        with suppress(subprocess.CalledProcessError):  # it may have come back by itself
            cluster.ask("scontrol", "update", f"nodename={node}", "state=resume")
        shown = partial(cluster.ask, "scontrol", "show", "job", number)
        waited_for(lambda: "Restarts=1" in shown(), "the job of the node that is down was not put back")
        ended(start)
    assert resumed(study, run) >= second
    same_run(study, undisturbed, run)


@pytest.mark.parametrize("drill", BESIDE, ids=lambda drill: drill.__name__)
def test_what_the_others_do_not_disturb(beside, drill):
    beside[drill].result()


def test_a_second_start_is_refused_and_orphans_of_a_killed_one_are_cancelled(cluster, study, undisturbed, names):
    """While the controller is away for some time, which costs nothing either."""
    run = names[1]
    with started(study, "slurm", _folder(run), cluster=cluster) as first:
        orphan = in_training(cluster, study, run)
        hang(orphan)
        with started(study, "slurm", _folder(run), cluster=cluster) as second:
            assert "LockException" in ended(second, status=1)
        slurm.end(cluster, "slurmctld", signal.SIGKILL)
        time.sleep(10)
        slurm.start_controller(cluster)
        time.sleep(10)
        assert first.poll() is None, "the first start did not live through it"
        os.kill(first.pid, signal.SIGKILL)
    subprocess.run(command(study, "slurm", "--unlock"), cwd=study, env=cluster.environment, check=True)
    printed = made(study, "slurm", _folder(run), cluster=cluster)
    assert "that an earlier start left in SLURM" in printed
    assert orphan not in cluster.jobs()
    same_run(study, undisturbed, run)


def test_a_full_disk_costs_no_more_than_what_it_interrupts(cramped, undisturbed, names):
    if cramped is None:
        pytest.skip("no disk can be mounted here")
    study, start = cramped
    ended(start)
    assert "no checkpoint at step" in _cluster_logs(study)
    same_run(study, undisturbed, names[0])


def test_a_run_that_outgrows_its_memory_is_tried_again_with_more(outgrowing, undisturbed, names):
    study, start = outgrowing
    assert "Trying to restart" in ended(start)
    assert "exceeded memory limit" in _cluster_logs(study)
    same_run(study, undisturbed, names[0])


def test_runs_that_are_cancelled_or_hang_or_diverge(struck, undisturbed, names):
    study, start = struck
    printed = ended(start)
    assert "SLURM status is: 'CANCELLED'" in printed
    assert "SLURM status is: 'TIMEOUT'" in printed
    same_study(study, undisturbed)
    runs = pd.read_parquet(study / RESULTS / "runs.parquet").set_index("run")
    assert runs["status"].to_dict() == dict(zip(names, ["finished", "finished", "diverged"], strict=True))
    assert "the laws leave it out" in log_of(study, names[2])


def test_each_run_asks_for_a_gpu_and_all_that_share_a_job_ask_for_one(cluster, on_gpus):
    """And none trains on the cores of a node that has no GPU after all. What a profile says comes first, does."""
    (each, one), (together, other) = on_gpus
    ended(one, status=1)
    ended(other, status=1)
    assert cluster.gpus_of(each) == [1, 1, 1]
    assert cluster.gpus_of(together) == [1]
    for folder in (each, together):
        assert "a GPU was asked for, and PyTorch" in _cluster_logs(folder)
        assert (folder / "before-a-job").exists()
        assert not list((folder / RESULTS / "runs").glob("*/run.json"))


def test_a_study_made_twice_through_slurm_from_its_text_on_is_the_same_bit_for_bit(twice):
    """The second time with its corpus in parts."""
    (whole, one), (in_parts, other) = twice
    ended(one)
    ended(other)
    same_study(whole, in_parts)
    same_tokens(whole, in_parts)


def _folder(run):
    return f"{RESULTS}/runs/{run}"


def _cluster_logs(study):
    """What the jobs that have not ended well said: their terminals are SLURM's files."""
    return "".join(path.read_text() for path in (study / ".snakemake/slurm_logs").rglob("*.log"))


@contextmanager
def _small_disk(folder):
    """Move a folder's content onto a disk of a few megabytes that is mounted in its place; None where none can be."""
    aside = folder.rename(folder.with_name("aside"))
    folder.mkdir()
    size = sum(path.stat().st_size for path in aside.rglob("*")) + (8 << 20)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "drill", folder], check=False)
    if mounted.returncode:
        yield None
        return
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _fill(file):
    with suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
