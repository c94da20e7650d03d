import pytest
from rich.console import Console
from scalelaws.cli import main
from scalelaws.laws.files import write_laws
from scalelaws.laws.study import fit_laws
from scalelaws.laws.summary import number, summary

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
    for expected in ("known", "L(N,D), Chinchilla", "alpha = 0.4", "determined", "decades beyond", "IsoFLOP minima"):
        assert expected in text


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
