import yaml
from scalelaws.cli import main
from scalelaws.config import SCHEMA, checked_config
from scalelaws.training.plan import runs_of

CORPORA = {"web": {"role": "train", "sources": [{"kind": "installed-docs", "content": "docstrings"}]}}


def test_design_prints_runs_intervals_and_a_study_that_makes_those_runs(capsys):
    assert main(["design", "--hours", "100", "--hardware", "H100", "--runs", "16"]) == 0
    printed = capsys.readouterr().out
    assert "exponent of N_opt(C)" in printed
    training = yaml.safe_load(printed[printed.index("training:") :])["training"]
    raw = {"study": "designed", "corpora": CORPORA, "training": training | {"batch_tokens": 65_536}}
    config = checked_config(raw, SCHEMA, "designed.yaml")
    runs = runs_of(config).values()
    assert len(runs) == 16
    assert {run.variant for run in runs} == {""}
    hours = sum(run.flops_total for run in runs) / 4e14 / 3600  # as the plan prices them
    assert 90 < hours < 102


def test_hours_of_a_core_buy_what_a_core_makes_in_them(capsys):
    assert main(["design", "--hours", "1000", "--hardware", "CPU core", "--runs", "10"]) == 0
    printed = capsys.readouterr().out
    training = yaml.safe_load(printed[printed.index("training:") :])["training"]
    raw = {"study": "designed", "corpora": CORPORA, "training": training | {"batch_tokens": 65_536}}
    runs = runs_of(checked_config(raw, SCHEMA, "designed.yaml")).values()
    assert 900 < sum(run.flops_total for run in runs) / 1e11 / 3600 < 1050


def test_a_design_that_cannot_be_bought_gets_one_line(capsys):
    assert main(["design", "--flops", "1e12"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "buy fewer than 25 runs" in line
