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
    cost = sum(run.flops for run in runs)
    assert 0.9 * 100 * 3600 * 4e14 < cost < 1.02 * 100 * 3600 * 4e14


def test_a_design_that_cannot_be_bought_gets_one_line(capsys):
    assert main(["design", "--flops", "1e12"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "buy fewer than 25 runs" in line
