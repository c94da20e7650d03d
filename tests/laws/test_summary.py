import json

import pytest
from rich.console import Console
from scalelaws.cli import main
from scalelaws.io import read_json
from scalelaws.laws.files import write_laws
from scalelaws.laws.study import fit_laws
from scalelaws.laws.summary import accounts_table, number, summary

from . import synthetic


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "known"
    laws = fit_laws(synthetic.study(), {"resamples": 200}, seed=1, study="known")
    write_laws(laws, folder / "laws.json", folder / "laws_draws.npz")
    return folder


def test_the_table_shows_values_intervals_status_and_backtest(folder):
    console = Console(width=140, record=True)
    console.print(summary(folder))
    text = console.export_text()
    for expected in (
        "known",
        "L(N,D), Chinchilla",
        "alpha = 0.4",
        "determined",
        "decades beyond",
        "IsoFLOP minima",
        "what is counted",
    ):
        assert expected in text


def test_exponents_stand_beside_each_other_by_what_is_counted(folder):
    console = Console(width=140, record=True)
    document = read_json(folder / "laws.json")
    console.print(accounts_table(document))
    text = console.export_text()
    for heading in ("Exponents by what is counted", "without embeddings", "with embeddings"):
        assert heading in text
    for name in ("loss_of_parameters/alpha_N", "isoflop/parameters"):
        found = document["accounts"][name]
        row = next(line for line in text.splitlines() if found["title"] in line)
        for estimate in found["estimates"].values():
            assert number(estimate["value"]) in row


def test_an_exponent_that_neither_account_determines_is_left_out_and_a_doubtful_one_says_so():
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "unit": "", "symbol": "a"}
    both = {"without_embeddings": estimate, "with_embeddings": {**estimate, "value": 0.7}}

    def entry(title, *statuses):
        return {"title": title, "exponent": "a", "estimates": both, "status": dict(zip(both, statuses, strict=True))}

    console = Console(width=140, record=True)
    neither = entry("Unknown", "undetermined", "undetermined")
    half = entry("Half known", "determined", "undetermined")
    console.print(accounts_table({"accounts": {"u/a": neither, "h/a": half}}))
    text = console.export_text()
    assert "Unknown" not in text
    row = next(line for line in text.splitlines() if "Half known" in line)
    assert "0.7 (0.4 – 0.6) undetermined" in row
    assert row.count("undetermined") == 1


def test_a_study_without_embeddings_has_no_such_table(folder, tmp_path):
    document = read_json(folder / "laws.json")
    (tmp_path / "laws.json").write_text(json.dumps({**document, "accounts": {}}))
    console = Console(width=140, record=True)
    console.print(summary(tmp_path))
    assert "what is counted" not in console.export_text()


def test_show_takes_a_configuration_a_folder_or_its_laws(folder, capsys, monkeypatch, tmp_path):
    assert main(["show", str(folder)]) == main(["show", str(folder / "laws.json")]) == 0
    (tmp_path / "results").symlink_to(folder.parent)
    (tmp_path / "my.yaml").write_text("study: known\n")
    monkeypatch.chdir(tmp_path)
    assert main(["show", "my.yaml"]) == 0
    assert "Scaling laws of the study known" in capsys.readouterr().out


def test_a_missing_study_is_one_line_with_a_remedy(capsys):
    assert main(["show", "nowhere"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "make run" in error


def test_counts_are_readable_and_constants_exact():
    assert number(1.5e9, "parameters") == "1.5B"
    assert number(8.8e16, "parameters") == "8.8e+16"
    assert number(0.07634) == "0.07634"
