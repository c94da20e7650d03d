"""A small study of pairs through Snakemake: both kinds of sources, an encoder-decoder of several shares, a report."""

import json

import pandas as pd
import pytest
import yaml
from corpus.conftest import prose
from scalelaws.io import read_json
from scalelaws.models.export import export_run
from scalelaws.tokens.store import open_tokens

from .rules import ROOT
from .start import planned, snakemake
from .test_study import STUDY

SHIPPED = yaml.safe_load((ROOT / "workflow/studies/translations.yaml").read_text())
QUESTIONS = {"kind": "files", "paths": ["questions.jsonl"], "source_field": "question", "target_field": "answer"}
SMALL = {
    "parameters": [2_000, 4_000], "dataset_tokens": [4_000, 30_000], "max_tokens": 30_000,
    "sweep": [{"encoder_share": 0.25, "parameters": [4_000], "dataset_tokens": [30_000]}],
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The finished study's working folder: that which we ship, on messages of Sphinx, and with questions besides."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = [{"question": f"What does {n} say?", "answer": prose(n)} for n in range(40)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpora = {
        "sphinx": {**SHIPPED["corpora"]["sphinx"], "role": "train"},
        "questions": {"role": "ood", "sources": [QUESTIONS]},
    }
    training = {**STUDY["training"], **SMALL, "family": SHIPPED["training"]["family"]}
    (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, "corpora": corpora, "training": training}))
    snakemake(folder)
    return folder


def test_every_stage_leaves_what_it_promises(study):
    results = study / "results/small"
    runs = pd.read_parquet(results / "runs.parquet").set_index("run")
    assert set(runs.index) == {
        "encoder_decoder-1+1L8d-4k-s3", "encoder_decoder-1+1L8d-30k-s3", "encoder_decoder-2+2L8d-4k-s3",
        "encoder_decoder-2+2L8d-30k-s3", "encoder_decoder-1+3L8d-30k-s3",
    }  # fmt: skip
    assert (runs["status"] != "diverged").all()
    assert (runs["encoder_parameters"] + runs["decoder_parameters"] == runs["parameters"]).all()
    assert runs.loc["encoder_decoder-1+3L8d-30k-s3", "variant"] == "share0.25"
    losses = pd.read_parquet(results / "observations.parquet")
    assert set(zip(losses["corpus"], losses["split"], strict=True)) == {
        ("sphinx", "train"), ("sphinx", "unseen"), ("sphinx", "test"), ("questions", "test"),
    }  # fmt: skip
    held_out = losses[(losses["corpus"] == "sphinx") & (losses["split"] == "test")].sort_values("step")
    first, last = held_out.groupby("run")["loss"].first(), held_out.groupby("run")["loss"].last()
    assert (last < first - 0.3).all()
    assert read_json(results / "laws.json")["laws"]
    assert read_json(results / "figures/index.json")["figures"]
    assert "encoder_decoder-1+3L8d-30k-s3" in (results / "report.html").read_text()
    assert "Nothing to be done" in snakemake(study)


def test_tokens_hold_a_separator_in_every_document(study):
    file = open_tokens(study / "results/small/tokens/sphinx.train.json")
    assert (file.separator, file.end_of_document) == (511, 510)
    assert (file.ids == file.separator).sum() == file.documents == (file.ids == file.end_of_document).sum()


def test_a_decoder_may_learn_the_same_pairs_as_texts_and_nothing_before_the_runs_is_made_again(study):
    config = yaml.safe_load((study / "study.yaml").read_text())
    config["training"] |= {"family": "transformer", "sweep": []}
    (study / "decoder.yaml").write_text(yaml.safe_dump(config))
    rules = planned(study, "--", "runs", config="decoder.yaml")
    assert rules["train"] == 4
    assert not set(rules) & {"extract", "clean", "tokenizer", "encode"}


def test_a_trained_run_is_exported(study, tmp_path):
    (run,) = (study / "results/small/runs").glob("*1+3L8d-30k*")
    export_run(run, tmp_path / "exported")
    config = read_json(tmp_path / "exported/config.json")
    assert config["eos_token_id"] == 510
    assert config["shape"]["family"] == "encoder_decoder"


def test_texts_that_are_no_pairs_get_one_line_before_anything_begins(study):
    config = yaml.safe_load((study / "study.yaml").read_text())
    config["corpora"]["questions"]["sources"] = [{"kind": "files", "paths": ["questions.jsonl"]}]
    (study / "texts.yaml").write_text(yaml.safe_dump(config))
    printed = snakemake(study, config="texts.yaml", check=False).splitlines()
    (line,) = [line for line in printed if line.strip() and not line.startswith("Using profile")]
    assert "corpora.questions.sources.0: the family encoder_decoder learns pairs of texts" in line
