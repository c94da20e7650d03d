"""Every sweep that we ship, at the size of a minute: all its settings planned, each trained for a moment."""

import argparse
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from scalelaws.config import read_config
from scalelaws.observations.gather import gather
from scalelaws.training.files import train_planned
from scalelaws.training.plan import runs_of
from training.made import write_plan, write_tokens

from .rules import ROOT
from .start import planned
from .test_study import STUDY

SWEEPS = {
    path.stem: [entry for entry in sweep if "dataset_tokens" not in entry]  # a grid of its own is no setting
    for path in sorted((ROOT / "workflow/studies").glob("*.yaml"))
    if (sweep := yaml.safe_load(path.read_text()).get("training", {}).get("sweep"))
}
SMALL = {"batch_tokens": 1024, "context": 64, "head_size": 4}
"""What stands in for values that a model of 1,600 parameters and 4,000 tokens cannot have."""
TRAINING = {
    "parameters": [1_600], "dataset_tokens": [4_000], "max_tokens": 8_000, "evaluations": 3, "patience": 0,
}  # fmt: skip


def last(entry):
    """A sweep's entry with only the last value of every list."""
    return {key: SMALL.get(key, value[-1]) if isinstance(value, list) else value for key, value in entry.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where study.yaml holds all sweeps in one."""
    folder = tmp_path_factory.mktemp("sweeps")
    sweep = [last(entry) for entries in SWEEPS.values() for entry in entries]
    config = {**STUDY, "study": "swept", "training": {**STUDY["training"], **TRAINING, "sweep": sweep}}
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def swept(folder):
    """The configuration of all sweeps in one, and the observations of its runs on the bytes of a module of Python."""
    config = read_config(folder / "study.yaml")
    text = np.frombuffer(Path(argparse.__file__).read_bytes(), np.uint8)
    for name in ("graphs.train", "graphs.test", "code.test"):
        write_tokens(folder, name, text, vocabulary=512)
    runs = runs_of(config)
    write_plan(folder, runs.values())
    for name in runs:
        train_planned(folder / "plan.csv", name, None, threads=1)
    return config, gather([folder / "runs" / name for name in runs])


def reduced(settings):
    """Settings of the GPU edition of the study of web text for the bytes of a file: a batch of 32,768 is one of 64."""
    smaller = {
        "parameters": lambda sizes: [round(N**0.6) for N in sizes],
        "dataset_tokens": lambda subsets: [1_000 + D // 20_000 for D in subsets],
        "max_tokens": lambda most: 1_000 + most // 20_000,
        "batch_tokens": lambda batches: (np.array(batches) // 512).tolist(),
        "sweep": lambda entries: list(map(reduced, entries)),
    }
    return {key: smaller[key](value) if key in smaller else value for key, value in settings.items()}


def test_the_edition_for_a_gpu_trains_each_kind_of_its_runs_at_small_size(tmp_path):
    config = yaml.safe_load((ROOT / "workflow/studies/web-small-gpu.yaml").read_text())
    short = {"context": 16, "warmup_steps": 2, "evaluations": 3, "evaluation_tokens": 160, "precision": "auto"}
    config |= {"training": reduced(config["training"]) | short, "tokenizer": {"vocabulary": 512}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    text = np.frombuffer(Path(argparse.__file__).read_bytes(), np.uint8)
    for name in ("web.train", "web.test", "books.test"):
        write_tokens(tmp_path, name, text, vocabulary=512)
    runs = runs_of(read_config(tmp_path / "study.yaml"))
    write_plan(tmp_path, runs.values())
    kinds = {(run.variant, run.schedule): name for name, run in reversed(runs.items())}
    chosen = dict.fromkeys(filter(None, (way for name in kinds.values() for way in (runs[name].trunk, name))))
    for name in chosen:
        train_planned(tmp_path / "plan.csv", name, None, threads=1)
    observations = gather([tmp_path / "runs" / name for name in chosen])
    assert set(observations.runs["schedule"]) == {"constant", "trunk", "branch"}
    assert observations.runs["batch_tokens"].nunique() == 5
    assert set(observations.runs["status"]) <= {"finished", "early_stopped"}


def test_the_workflow_trains_every_variant(folder):
    assert planned(folder, "--", "runs")["train"] == len(runs_of(read_config(folder / "study.yaml")))


def test_the_sweeps_that_were_promised_are_there():
    settings = {key for entries in SWEEPS.values() for entry in entries for key in entry}
    assert settings >= {
        "feed_forward_ratio", "aspect_ratio", "head_size", "context", "batch_tokens", "learning_rate", "schedule",
        "family", "optimizer", "tied", "positions", "parametrization",
    }  # fmt: skip


def test_every_variant_is_trained_under_its_own_name_and_recorded(swept):
    config, observations = swept
    planned = runs_of(config)
    runs = observations.runs.set_index("run")
    assert set(runs.index) == set(planned)
    assert len(runs) >= 15
    assert (runs["status"] == "finished").all()
    assert runs["variant"].is_unique
    for name, run in planned.items():
        for column in ("family", "recurrence", "feed_forward_ratio", "tied", "optimizer", "beta2", "parametrization"):
            assert runs.loc[name, column] == getattr(run, column), f"{name}: {column}"
    assert set(runs["family"]) == {"transformer", "lstm", "universal"}


def test_what_differs_is_all_that_differs(swept):
    _, observations = swept
    runs = observations.runs.drop(columns=["run", "seconds", "hardware", "flops_total"])
    settings = runs.drop(columns="variant").astype(str)
    assert not settings.duplicated().any()
    (grid,) = runs.index[runs["variant"] == ""]
    (schedule,) = runs.index[runs["variant"] == "wsd"]
    changed = settings.columns[settings.loc[grid] != settings.loc[schedule]]
    assert list(changed) == ["schedule"]


def test_every_variant_learns(swept):
    _, observations = swept
    losses = observations.results(observations.train_corpus)
    assert losses["loss"].max() < math.log(512) + 0.05
