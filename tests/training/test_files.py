"""A run by hand from a study's plan and tokens: the run that the workflow would have made."""

import io
import re
from dataclasses import replace

import pandas as pd
import pytest
from safetensors.torch import load_file
from scalelaws.cli import main
from scalelaws.errors import InputError
from scalelaws.io import read_json
from scalelaws.job import Progress
from scalelaws.training import loop
from scalelaws.training.files import RECIPE, planned_run, train_planned
from scalelaws.training.loop import train
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


def test_checkpoints_by_hand_are_the_rule_s():
    (rule,) = [rule for rule in rules() if rule.name == "train"]
    assert tuple(rule.recipe) == RECIPE


def test_progress_tells_loss_speed_utilization_and_time_left(tokens, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("scalelaws.job.SECONDS_BETWEEN_LINES", 0.0)
    said = io.StringIO()
    train(RUN, tokens, "pages", tmp_path, "me", threads=1, progress=Progress("train", said))
    assert re.search(r" \ds left  loss 3\.\d{3}  \d+k tokens/s  \d+% of the machine's matrix products", said.getvalue())
