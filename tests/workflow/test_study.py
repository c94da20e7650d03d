"""A whole small study through Snakemake: every stage real, then partial reruns, a kill, and the same again."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import PurePosixPath

import pandas as pd
import pytest
import yaml
from corpus.conftest import prose
from scalelaws.cli import main
from scalelaws.io import file_digest, read_json

from .rules import ROOT
from .start import planned, snakemake

STUDY = {
    "study": "small",
    "seed": 3,
    "corpora": {
        "graphs": {
            "role": "train",
            "sources": [{"kind": "installed-docs", "content": "docstrings", "packages": ["networkx"]}],
            "clean": {"language_confidence": 0, "quality": {"repetition": None, "c4": None, "fineweb": None}},
        },
        "code": {
            "role": "ood",
            "sources": [{"kind": "installed-docs", "content": "code", "packages": ["sqlparse"]}],
            "clean": {"language": None, "quality": None},
        },
    },
    "tokenizer": {"vocabulary": 512},
    "training": {
        "context": 32,
        "parameters": [1_600, 3_200],
        "dataset_tokens": [4_000, 40_000],
        "batch_tokens": 512,
        "max_tokens": 40_000,
        "learning_rate": 0.01,
        "schedule": "constant",
        "warmup_steps": 10,
        "averaging": 0.1,
        "evaluations": 5,
        "evaluation_tokens": 2_000,
    },
    "laws": {"resamples": 100},
    "figures": {"formats": []},
}
RUNS = {"2L8d-4k-s3", "2L8d-40k-s3", "2L12d-4k-s3", "2L12d-40k-s3"}


def changed(folder, name, change):
    """The study's configuration with a change, under another name."""
    config = yaml.safe_load(yaml.safe_dump(STUDY))
    change(config)
    (folder / name).write_text(yaml.safe_dump(config))
    return name


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The finished study's working folder."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    snakemake(folder)
    return folder


def test_every_stage_leaves_what_it_promises(study):
    results = study / "results/small"
    for name in (
        "corpus/graphs/card.md", "corpus/code/card.json", "tokens/tokenizer/tokenizer.json", "tokens/graphs.train.bin",
        "plan.csv", "observations.parquet", "runs.parquet", "observations.csv", "laws.json", "figures/index.json",
        "report.html",
    ):  # fmt: skip
        assert (results / name).stat().st_size > 0, name
    losses = pd.read_parquet(results / "observations.parquet")
    assert set(losses["run"]) == RUNS == set(pd.read_csv(results / "plan.csv")["run"])
    assert set(zip(losses["corpus"], losses["split"], strict=True)) == {
        ("graphs", "train"), ("graphs", "unseen"), ("graphs", "test"), ("code", "test"),
    }  # fmt: skip
    assert (losses["loss"] < 6.5).all()  # ln 512 = 6.24, and a little for the first steps
    card = read_json(results / "corpus/graphs/card.json")
    assert "networkx" in str(card)
    assert not list(results.glob("checkpoints/*/*"))
    assert not list(results.rglob("*.tmp"))


def test_typing_the_command_again_does_nothing(study):
    assert "Nothing to be done" in snakemake(study)


@pytest.mark.parametrize(
    ("target", "last"),
    [("corpus", "split"), ("tokens", "card"), ("runs", "gather"), ("laws", "fit"), ("figures", "plot_figures")],
)
def test_a_named_target_brings_the_study_just_that_far(tmp_path, target, last):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    order = ["split", "card", "train", "gather", "fit", "plot_figures", "write_report"]
    rules = planned(tmp_path, target)
    assert last in rules
    assert not set(rules) & set(order[order.index(last) + 1 :]) - {"card"}


def test_a_corpus_in_parts_is_made_by_as_many_jobs_and_is_the_same(tmp_path):
    for number in range(3):
        pages = [{"url": f"https://s.org/{number}/{page}", "text": prose(50 * number + page)} for page in range(40)]
        (tmp_path / f"{number}.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    sources = [{"kind": "files", "paths": [str(tmp_path / "*.jsonl")]}]
    documents = []
    for parts in (1, 2):
        corpora = {"mine": {"role": "train", "sources": sources, "parts": parts, "clean": {"max_bytes": 60_000}}}
        config = {**STUDY, "study": f"in-{parts}", "corpora": corpora}
        (tmp_path / f"{parts}.yaml").write_text(yaml.safe_dump(config))
        documents.append(tmp_path / f"results/in-{parts}/corpus/mine/documents")
        rules = planned(tmp_path, "--", "corpus", config=f"{parts}.yaml")
        assert sum(count for rule, count in rules.items() if rule.startswith("extract")) == parts
        assert rules.get("match", 0) == (0 if parts == 1 else 3 * parts)
        snakemake(tmp_path, "--", "corpus", config=f"{parts}.yaml")
        assert "Nothing to be done" in snakemake(tmp_path, "--dry-run", "--", "corpus", config=f"{parts}.yaml")
    assert file_digest(documents[0]) == file_digest(documents[1])
    made = documents[1].parent
    assert not [*made.glob("*.parts/*"), *made.glob("signed/*"), *made.glob("matches/*/*")], "parts are not kept"


def test_redoing_a_stage_redoes_only_what_depends_on_it(study):
    assert planned(study, "--forcerun", "fit") == {"fit": 1, "plot_figures": 1, "write_report": 1, "report": 1}


def test_a_look_of_figures_never_retrains(study):
    other = changed(study, "look.yaml", lambda config: config.update(figures={"settings": {"font.size": 9}}))
    assert planned(study, config=other) == {"plot_figures": 1, "write_report": 1, "report": 1}


def test_other_laws_rerun_laws_figures_and_report(study):
    other = changed(study, "laws.yaml", lambda config: config.update(laws={"resamples": 110}))
    assert "Again: fit (params have changed since last execution)" in snakemake(study, "--dry-run", config=other)
    assert planned(study, config=other) == {"fit": 1, "plot_figures": 1, "write_report": 1, "report": 1}


@pytest.mark.parametrize(("key", "value", "new"), [("parameters", 6_000, 2), ("dataset_tokens", 10_000, 2)])
def test_a_new_size_or_subset_trains_only_the_new_runs(study, key, value, new):
    other = changed(study, f"{key}.yaml", lambda config: config["training"][key].append(value))
    rules = planned(study, config=other)
    assert rules["train"] == new
    assert not set(rules) & {"scrape", "extract", "clean", "deduplicate", "split", "tokenizer", "encode"}
    assert {"plan", "gather", "fit", "plot_figures", "write_report"} <= set(rules)


def test_a_subset_larger_than_the_corpus_is_refused_before_anything_trains(study):
    other = changed(study, "huge.yaml", lambda config: config["training"]["dataset_tokens"].append(900_000_000))
    printed = snakemake(study, config=other, check=False)
    assert "training.dataset_tokens" in printed
    assert "900,000,000 tokens are asked for" in printed


def test_on_a_first_start_too_a_corpus_that_is_too_small_ends_the_study_before_anything_is_trained(study, tmp_path):
    folder = tmp_path / "first"
    shutil.copytree(study, folder)
    for made in ("tokens", "runs"):
        shutil.rmtree(folder / "results/small" / made)
    subsets = [4_000, 40_000, 900_000_000]
    other = changed(folder, "huge.yaml", lambda config: config["training"].update(dataset_tokens=subsets))
    printed = snakemake(folder, "--", "runs", config=other, check=False)
    assert "900,000,000 tokens are asked for" in printed
    assert not list(folder.glob("results/small/runs/*/run.json"))


def test_what_is_left_is_priced_before_it_starts_and_nothing_starts_beyond_a_limit(study, tmp_path):
    limited = changed(study, "limited.yaml", lambda config: config.update(limits={"core_hours": 1e-6}, seed=4))
    assert re.search(
        r"^train +4 (.*\n)+all ", snakemake(study, "--dry-run", "--", "runs", config=limited), re.MULTILINE
    )
    before = sorted(study.rglob("*.json"))
    printed = snakemake(study, config=limited, check=False)
    assert "limits.core_hours: about" in printed
    assert "Nothing was started." in printed
    assert sorted(study.rglob("*.json")) == before


def test_neither_hardware_nor_limits_change_what_a_study_is(study):
    other = {"hardware": "4 x 8 H100", "longest_hours": 1, "limits": {"gpu_hours": 1}}
    moved = changed(study, "moved.yaml", lambda config: config.update(other))
    assert "Nothing to be done" in snakemake(study, "--dry-run", config=moved)


def test_on_gpus_a_run_stays_on_its_node_and_small_ones_share_a_gpu(tmp_path):
    (tmp_path / "asking").write_text(f"""
include: "{ROOT}/Snakefile"
from snakemake.iocontainers import Wildcards
run = Wildcards(fromdict={{"run": "2L8d-4k-s3"}})
asked = dict(workflow.get_rule("train").expand_resources(run, input=[], attempt=1))
print("asked", *(f"{{name}}={{asked.get(name)}}" for name in ("gpu", "gres", "nodes")))
""")
    asked = []
    for minutes in (0, 60):
        config = {**STUDY, "hardware": "8 H100", "small_run_minutes": minutes}
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
        printed = snakemake(tmp_path, "--dry-run", "--snakefile", str(tmp_path / "asking"), "--", "runs")
        asked.append(re.search("^asked (.*)", printed, re.MULTILINE)[1])
    assert asked == ["gpu=1 gres=None nodes=1", "gpu=0 gres=gpu:1 nodes=None"]


def test_a_listed_file_is_known_by_what_it_holds_and_not_by_its_date(tmp_path):
    pages, blocked, merges = files = [tmp_path / name for name in ("pages.jsonl", "blocked.txt", "merges.txt")]
    pages.write_text("".join(json.dumps({"url": f"https://s.org/{n}", "text": prose(n)}) + "\n" for n in range(120)))
    blocked.write_text("forbidden.org\n")
    merges.write_text("#version: 0.2\n")
    sources = [{"kind": "files", "paths": [str(pages)]}]
    corpora = {"mine": {"role": "train", "sources": sources, "clean": {"blocklist": {"hosts": str(blocked)}}}}
    config = {**STUDY, "corpora": corpora, "tokenizer": {"file": str(merges), "vocabulary": 257}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    snakemake(tmp_path, "--", "tokens")
    for file in files:
        held = file.read_text()
        file.write_text(held + "\n")
        made = {pages: "extract", blocked: "clean", merges: "tokenizer"}[file]
        assert planned(tmp_path, "--", "tokens").get(made) == 1
        file.write_text(held)
    assert "Nothing to be done" in snakemake(tmp_path, "--dry-run", "--", "tokens")
    shutil.rmtree(tmp_path / ".snakemake")  # as in a fresh clone, whose files are newer than the results
    assert "Nothing to be done" in snakemake(tmp_path, "--dry-run", "--", "tokens")


def test_results_that_were_moved_beside_a_fresh_clone_are_taken_as_they_are(study, tmp_path):
    folder = shutil.copytree(study, tmp_path / "moved", ignore=shutil.ignore_patterns(".snakemake"))
    for path in folder.rglob("*"):  # all of it older than any file of the clone
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 10**18))
    assert "Nothing to be done" in snakemake(folder, "--dry-run")


def test_a_kept_study_is_fitted_and_drawn_again_without_its_text_and_with_nothing_to_train(
    study, tmp_path, monkeypatch
):
    monkeypatch.chdir(study)
    assert main(["keep", "study.yaml", str(tmp_path / "kept")]) == 0
    kept = {"config": "kept/config.yaml"}
    finished = ("--config", "finished=kept", "--", "report")
    assert planned(tmp_path, *finished, **kept) == {"fit": 1, "plot_figures": 1, "write_report": 1, "report": 1}
    snakemake(tmp_path, *finished, **kept)
    assert "Nothing to be done" in snakemake(tmp_path, *finished, **kept)
    then, now = (read_json(folder / "laws.json") for folder in (study / "results/small", tmp_path / "kept"))
    assert now["laws"] and {**now, "provenance": 0} == {**then, "provenance": 0}
    then, now = (read_json(folder / "figures/index.json") for folder in (study / "results/small", tmp_path / "kept"))
    assert now["figures"] == then["figures"]
    page = (tmp_path / "kept/report.html").read_text()
    assert "Memory of the largest training" in page
    cards = [read_json(study / f"results/small/corpus/{corpus}/card.json") for corpus in ("graphs", "code")]
    removed = [count for card in cards for step in card["steps"] for count in step["removed"].values()]
    excerpts = [
        example["excerpt"] for count in removed for example in count["examples"] if len(example["excerpt"]) > 20
    ]
    assert excerpts
    texts = [file.read_text() for file in (tmp_path / "kept").rglob("*") if file.suffix in (".json", ".md", ".html")]
    assert not any(excerpt in text for excerpt in excerpts for text in texts)


@pytest.mark.parametrize(
    "kept", sorted((ROOT / "results/reference").glob("*/config.yaml")), ids=lambda path: path.parent.name
)
def test_a_study_that_git_keeps_needs_no_training_and_holds_no_text(kept):
    finished = f"finished={kept.parent.relative_to(ROOT)}"
    rules = planned(ROOT, "--forceall", "--config", finished, "--", "report", config=str(kept.relative_to(ROOT)))
    assert rules == {"fit": 1, "plot_figures": 1, "write_report": 1, "report": 1}
    cards = [read_json(card) for card in kept.parent.glob("corpus/*/card.json")]
    assert cards and not any(
        count["examples"] for card in cards for step in card["steps"] for count in step["removed"].values()
    )


def test_a_study_that_is_not_finished_cannot_be_kept(tmp_path, monkeypatch, capsys):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    monkeypatch.chdir(tmp_path)
    assert main(["keep", "study.yaml", "kept"]) == 2
    assert "observations.parquet is not there. Finish the study first" in capsys.readouterr().err
    printed = snakemake(tmp_path, "--config", "finished=kept", "--", "report", check=False)
    assert "study.yaml: finished: kept/observations.parquet is not there. Name a folder" in printed


def test_the_report_sets_the_plan_against_what_it_took(study):
    page = (study / "results/small/report.html").read_text()
    for row in ("Core hours", "Memory of the largest training", "Disk"):
        planned, actual = re.search(rf'<th scope="row">{row}</th><td>(.*?)</td><td>(.*?)</td>', page).groups()
        assert planned and actual, row


def test_a_wrong_key_gets_one_line_that_says_where(study):
    other = changed(study, "wrong.yaml", lambda config: config["training"].update(batch_token=5))
    printed = snakemake(study, config=other, check=False).splitlines()
    (line,) = [line for line in printed if line.strip() and not line.startswith("Using profile")]
    assert line.endswith("wrong.yaml: training: unknown key 'batch_token'. Did you mean 'batch_tokens'?")


def test_a_study_killed_in_training_goes_on_to_the_same_observations(study, tmp_path):
    folder = tmp_path / "killed"
    shutil.copytree(study, folder)
    results = folder / "results/small"
    shutil.rmtree(results / "runs")
    (results / "observations.parquet").unlink()
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--cores",
        "1",
        "--configfile",
    ]
    command += [str(folder / "study.yaml"), "--directory", str(folder), "--rerun-triggers", "mtime", "--", "runs"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        limit = time.monotonic() + 120
        while len(list(results.glob("runs/[!.]*/run.json"))) < 2 and time.monotonic() < limit:
            time.sleep(0.1)
        os.killpg(run.pid, signal.SIGKILL)
    finished = {path.parent.name: path.stat().st_mtime_ns for path in results.glob("runs/[!.]*/run.json")}
    assert 2 <= len(finished) < len(RUNS)
    del finished[max(finished, key=finished.get)]  # the newest may have been killed between its last file and its end

    snakemake(folder, "--unlock")
    snakemake(folder, "--", "runs")
    for name, when in finished.items():
        assert (results / "runs" / name / "run.json").stat().st_mtime_ns == when, f"{name} was trained again"
    pd.testing.assert_frame_equal(
        pd.read_parquet(results / "observations.parquet"),
        pd.read_parquet(study / "results/small/observations.parquet"),
    )


def test_one_trunk_serves_every_horizon_and_a_new_one_trains_only_its_branch(study, tmp_path):
    folder = tmp_path / "branched"
    shutil.copytree(study, folder)
    shutil.rmtree(folder / "results/small/runs")

    def horizons(*subsets):
        return lambda config: config["training"].update(
            schedule="branched", parameters=[1_600], dataset_tokens=list(subsets), averaging=0, warmup_steps=5
        )

    snakemake(folder, "--", "runs", config=changed(folder, "branched.yaml", horizons(10_000, 40_000)))
    runs = pd.read_parquet(folder / "results/small/runs.parquet").set_index("run")
    assert set(runs["schedule"]) == {"trunk", "branch"}
    assert runs.loc["2L8d-40k-s3", "trunk"] == "2L8d-trunk-s3"
    assert runs.loc["2L8d-40k-s3", "first_step"] == runs.loc["2L8d-trunk-s3", "steps"]
    more = changed(folder, "more.yaml", horizons(10_000, 20_000, 40_000))
    assert planned(folder, "--", "runs", config=more).items() >= {"train": 1, "gather": 1}.items()  # no trunk


def test_snakemakes_own_report_holds_every_figure_and_the_page_in_groups_with_captions(study):
    snakemake(study, "--report", "own.zip")
    with zipfile.ZipFile(study / "own.zip") as own:
        files = {PurePosixPath(name).name for name in own.namelist()}
        page = own.read("own/report.html").decode()
    assert files >= {path.name for path in (study / "results/small/figures").glob("*.png")}
    assert {"report.html", "learning_curves.png"} <= files
    for words in ('"The answer": {', '"Figures": {', "the numbers drawn are in", "calculator for budgets"):
        assert words in page, words
