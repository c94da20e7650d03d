"""A run by hand from a study's plan and tokens: the run that the workflow would have made."""

import io
import math
import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from scalelaws.cli import main
from scalelaws.errors import InputError
from scalelaws.io import read_json
from scalelaws.job import Progress
from scalelaws.training import files, loop
from scalelaws.training.branches import trunks_and_branches
from scalelaws.training.engine import Engine
from scalelaws.training.files import RECIPE, RunFiles, check_forks, planned_run, train_planned, train_to_files
from scalelaws.training.loop import train
from scalelaws.training.schedule import fork_steps
from scalelaws.training.state import views

from workflow.rules import rules

from .made import write_plan, write_tokens
from .test_loop import RUN, tokens, trained  # noqa: F401

LSTM = replace(RUN, run="lstm-test", family="lstm", n_layer=2, n_head=0, positions="none", learning_rate=0.1 / 3)


@pytest.fixture
def study(tmp_path, tokens):  # noqa: F811
    """A study's plan and tokens."""
    write_plan(tmp_path, [RUN, LSTM])
    for (corpus, split), file in tokens.items():
        write_tokens(tmp_path, f"{corpus}.{split}", file.ids, vocabulary=40)
    return tmp_path


@pytest.fixture
def tree(study):
    """The same tokens with a plan of a trunk of 16 steps and a branch from its last."""
    longest = replace(RUN, run="1L16d-2.56k-s3", parameters=RUN.shape.parameters, dataset_tokens=2560, steps=20)
    write_plan(study, trunks_and_branches([replace(longest, warmup_steps=2, evaluations=4)], "config"))
    return study


def test_a_plan_gives_back_its_runs(study):
    assert planned_run(study / "plan.csv", "1") == RUN
    assert planned_run(study / "plan.csv", "2") == LSTM == planned_run(study / "plan.csv", "lstm-test")


def test_a_run_by_hand_is_the_workflow_s_run(study, tokens, tmp_path):  # noqa: F811
    assert main(["train", "--plan", str(study / "plan.csv"), "--run", "2"]) == 0
    record = read_json(study / "runs/lstm-test/run.json")["run"]
    assert (record["family"], record["status"], record["train_corpus"]) == ("lstm", "finished", "pages")
    losses = pd.read_parquet(study / "runs/lstm-test/losses.parquet")
    assert set(zip(losses["corpus"], losses["split"], strict=True)) == {*tokens, ("pages", "unseen")}
    for name in tokens.values():
        name.ids[-1] = 39
    state = trained(LSTM, tokens, tmp_path / "other")
    weights = load_file(study / "runs/lstm-test/model.safetensors")
    assert all((weights[name] == view).all() for name, view in views(state.best, LSTM.shape).items())
    assert not (study / "checkpoints").exists() or not list((study / "checkpoints").glob("*/*"))
    assert main(["tensorboard", str(study)]) == 0
    assert (study / "tensorboard/lstm-test/events.out.tfevents").stat().st_size > 500


def test_ids_that_were_damaged_since_they_were_written_train_nothing(study):
    path = study / "tokens" / "pages.train.bin"
    content = bytearray(path.read_bytes())
    content[1000] ^= 4
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"pages\.train\.bin: damaged since it was written, .*--forcerun encode"):
        train_planned(study / "plan.csv", "1", None, 1)
    assert not (study / "runs").exists() or not list((study / "runs").rglob("run.json"))


def test_a_diverged_run_keeps_its_last_good_checkpoint_and_names_it(study, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 0.0)
    exploding = replace(RUN, learning_rate=300.0, weight_decay=0.0, steps=400)
    write_plan(study, [exploding])
    train_planned(study / "plan.csv", "1", None, threads=1)
    record = read_json(study / f"runs/{RUN.run}/run.json")["run"]
    assert record["status"] == "diverged"
    assert record["good_checkpoint_step"] == record["steps"] - 1
    kept = study / "checkpoints" / RUN.run
    assert any(path.name.startswith(f"{record['good_checkpoint_step']:09}-") for path in kept.iterdir())


def test_a_checkpoint_of_the_step_whose_batch_had_no_finite_loss_is_good(study, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 0.0)
    plain, no_number = Engine._gradients_of, (torch.tensor(math.nan),) * 3
    monkeypatch.setattr(
        Engine, "_gradients_of", lambda *of, **kind: no_number if of[0].state.step == 20 else plain(*of, **kind)
    )
    train_planned(study / "plan.csv", "1", None, threads=1)
    record = read_json(study / f"runs/{RUN.run}/run.json")["run"]
    assert (record["status"], record["steps"], record["good_checkpoint_step"]) == ("diverged", 20, 20)


def test_a_trunk_that_diverges_before_its_first_fork_is_recorded_and_leaves_none(tree, monkeypatch):
    stale = tree / "checkpoints/1L16d-trunk-s3/forks/000000016-a-b.safetensors"
    stale.parent.mkdir(parents=True)
    stale.touch()
    monkeypatch.setattr(Engine, "_gradients_of", lambda *_, measured: (torch.tensor(math.nan),) * 3)
    train_planned(tree / "plan.csv", "1", None, threads=1)
    assert read_json(tree / "runs/1L16d-trunk-s3/run.json")["run"]["status"] == "diverged"
    assert list((tree / "runs/1L16d-trunk-s3/forks").iterdir()) == []


def test_a_trunk_hands_its_forks_over_without_a_copy(tree, monkeypatch):
    monkeypatch.setattr(files, "forget_checkpoints", lambda _: None)
    train_planned(tree / "plan.csv", "1", None, threads=1)
    forks = list((tree / "runs/1L16d-trunk-s3/forks").iterdir())
    assert len(forks) == len(fork_steps(16))
    assert all(fork.samefile(tree / "checkpoints/1L16d-trunk-s3/forks" / fork.name) for fork in forks)


def test_a_finished_run_whose_job_is_done_again_is_not_trained_again(tree, monkeypatch):
    folder, sidecars = tree / "runs/trunk", sorted(map(str, tree.glob("tokens/*.json")))
    into = RunFiles(folder, tree / "checkpoints/trunk")
    job = planned_run(tree / "plan.csv", "1"), sidecars, "pages", into, "recipe", 1, Progress("train", io.StringIO())
    train_to_files(*job, kept=True)
    made = sorted(path.name for path in folder.rglob("*"))
    shutil.rmtree(folder)  # as Snakemake does before it does a job again
    monkeypatch.setattr(Engine, "queue", None)
    train_to_files(*job, kept=True)
    assert sorted(path.name for path in folder.rglob("*")) == made
    assert len(made) == 5 + len(fork_steps(16))


def test_a_branch_by_hand_begins_from_the_study_s_trunk_wherever_its_results_go(tree, tmp_path):
    train_planned(tree / "plan.csv", "1", None, threads=1)
    train_planned(tree / "plan.csv", "2", tmp_path / "elsewhere/mine", threads=1)
    assert read_json(tmp_path / "elsewhere/mine/run.json")["run"]["first_step"] == 16


def test_a_branch_by_hand_begins_from_no_trunk_of_another_plan(tree):
    trunk, branch = (planned_run(tree / "plan.csv", number) for number in ("1", "2"))
    train_planned(tree / "plan.csv", "1", None, threads=1)
    write_plan(tree, [replace(trunk, learning_rate=0.5), replace(branch, learning_rate=0.5)])
    with pytest.raises(InputError, match=r"trained with learning_rate 0\.\d+, not 0\.5 as planned\. Delete .* first"):
        train_planned(tree / "plan.csv", "2", None, threads=1)


def test_a_trunk_by_hand_leaves_its_forks_in_the_folder_named_and_a_branch_tells_that_it_finds_none(tree, capfd):
    train_planned(tree / "plan.csv", "1", tree / "mine", threads=1)
    assert len(list((tree / "mine/forks").iterdir())) == len(fork_steps(16))
    train_planned(tree / "plan.csv", "2", None, threads=1)
    assert read_json(next((tree / "runs").glob("*/run.json")))["run"]["first_step"] == 0
    assert "no state of the trunk up to step 16" in capfd.readouterr().err


def test_a_checkpoint_is_taken_up_however_the_plan_s_path_is_typed(study, monkeypatch):
    plain_queue, steps = Engine.queue, []

    def killed_at_step_20(engine, *pair):
        steps.append(engine.state.step)
        if steps == list(range(21)):
            os.kill(os.getpid(), signal.SIGTERM)
        return plain_queue(engine, *pair)

    monkeypatch.setattr(Engine, "queue", killed_at_step_20)
    with pytest.raises(SystemExit):
        train_planned(study / "plan.csv", "1", None, threads=1)
    monkeypatch.chdir(study)
    train_planned(Path("plan.csv"), "1", None, threads=1)
    assert steps == list(range(RUN.steps))


@pytest.mark.parametrize(
    ("plan", "which", "message"),
    [
        ("plan.csv", "3", r"--run 3: there is no such run\. Give a number from 1 to 2, or a name such as 1L16d-test"),
        ("plan.csv", "0", r"there is no such run"),
        ("absent.csv", "1", r"there is no such plan"),
    ],
)
def test_a_mistake_gets_one_line(study, plan, which, message):
    with pytest.raises(InputError, match=message):
        train_planned(study / plan, which, None, threads=1)


def test_a_finished_run_is_not_overwritten(study):
    (study / "runs/1L16d-test").mkdir(parents=True)
    (study / "runs/1L16d-test/run.json").touch()
    with pytest.raises(InputError, match=r"has been trained already\. Name another folder with --out"):
        train_planned(study / "plan.csv", "1", None, threads=1)


def test_a_folder_that_is_there_is_not_replaced(study, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for folder in (tmp_path / "mine", tmp_path / "link"):
        with pytest.raises(InputError, match=rf"{folder.name}: exists already\. Name a new folder with --out"):
            train_planned(study / "plan.csv", "1", folder, threads=1)
    assert (tmp_path / "mine/thesis.tex").exists()
    (study / "runs/1L16d-test").mkdir(parents=True)
    with pytest.raises(InputError, match=r"runs/1L16d-test: exists already\. Delete it"):
        train_planned(study / "plan.csv", "1", None, threads=1)


def test_where_nobody_may_write_nothing_is_trained(study, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(Engine, "queue", None)
    with pytest.raises(OSError, match="file"):
        train_planned(study / "plan.csv", "1", tmp_path / "file/mine", threads=1)


def test_a_trunk_without_its_states_is_told(tree):
    train_planned(tree / "plan.csv", "1", None, threads=1)
    check_forks(tree / "runs/1L16d-trunk-s3")
    shutil.rmtree(tree / "runs/1L16d-trunk-s3/forks")
    with pytest.raises(InputError, match=r"trunk-s3/forks: the states .* are gone\. Delete \S*/1L16d-trunk-s3\."):
        check_forks(tree / "runs/1L16d-trunk-s3")


def test_checkpoints_by_hand_are_the_rule_s():
    (rule,) = [rule for rule in rules() if rule.name == "train"]
    assert tuple(rule.recipe) == RECIPE


def test_progress_tells_loss_speed_utilization_and_time_left(tokens, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("scalelaws.job.SECONDS_BETWEEN_LINES", 0.0)
    said = io.StringIO()
    train(RUN, tokens, "pages", tmp_path, "me", threads=1, progress=Progress("train", said))
    assert re.search(r" \ds left  loss 3\.\d{3}  \d+k tokens/s  \d+% of the machine's matrix products", said.getvalue())
