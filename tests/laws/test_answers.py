import json
import shutil

import numpy as np
import pytest
from scalelaws.cli import main
from scalelaws.errors import InputError
from scalelaws.laws.answers import comparison, predictions, splits
from scalelaws.laws.files import write_laws
from scalelaws.laws.study import fit_laws
from scalelaws.observations.table import write_observations

from . import synthetic

QUICK = {"resamples": 200}


@pytest.fixture(scope="module")
def observations():
    return synthetic.study(noise=0.002)


@pytest.fixture(scope="module")
def laws(observations):
    return fit_laws(observations, QUICK, seed=1, study="known")


def truth(n, d):
    p = synthetic.CHINCHILLA
    return p["E"] + p["A"] * n ** -p["alpha"] + p["B"] * d ** -p["beta"]


def test_a_prediction_holds_the_truth_and_warns_when_it_is_far(laws):
    near, far = (
        next(a for a in predictions(laws, {"parameters": n, "tokens": d}) if "Chinchilla" in a.law)
        for n, d in ((2e5, 2e6), (1e9, 1e11))
    )
    value, low, high = near.values["loss"]
    assert low <= truth(2e5, 2e6) <= high
    assert value == pytest.approx(truth(2e5, 2e6), rel=0.01)
    assert not near.warnings
    assert any("decades beyond the data" in warning for warning in far.warnings)


def test_every_law_of_the_given_variables_answers(laws):
    assert {a.law for a in predictions(laws, {"parameters": 1e5})} == {"L(N)", "L(N) with floor"}
    assert {a.law for a in predictions(laws, {"flops": 1e11})} == {"L(C)", "L(C) with floor"}
    assert len(predictions(laws, {"loss": 4.0}, "ood_transfer:growing")) == 1
    with pytest.raises(InputError, match="no fitted law is a function of flops, loss"):
        predictions(laws, {"flops": 1e11, "loss": 3.0})


def test_a_law_that_is_not_there_and_values_that_were_left_out_are_told_with_the_laws(laws):
    there = r"There are loss_of_parameters: parameters; "
    with pytest.raises(InputError, match=rf"laws of known: there is no law foo\. {there}"):
        predictions(laws, {"parameters": 1e5}, "foo")
    with pytest.raises(InputError, match=rf"laws of known: a law needs the values of its variables\. {there}"):
        predictions(laws, {})


def test_a_budget_is_split_by_every_approach(laws):
    answers = splits(laws, 1e12)
    assert len(answers) == 3
    for answer in answers:
        n, d = answer.values["parameters"][0], answer.values["tokens"][0]
        assert 6 * n * d == pytest.approx(1e12)
        assert all(low <= value <= high for value, low, high in answer.values.values())


def test_a_study_agrees_with_its_repetition_and_not_with_another(laws):
    again = fit_laws(synthetic.study(noise=0.002, seed=5), QUICK, seed=2)
    agreed = [d.agree for d in comparison(laws, again) if "Chinchilla" in d.law]
    assert np.mean(agreed) >= 0.8
    steeper = fit_laws(synthetic.study(truth=synthetic.CHINCHILLA | {"alpha": 0.6, "A": 600.0}), QUICK, seed=2)
    found = {d.parameter: d.agree for d in comparison(laws, steeper) if "Chinchilla" in d.law}
    assert not found["alpha"]
    assert found["beta"]


def test_a_table_goes_through_all_commands(observations, tmp_path, capsys, monkeypatch):
    drawn = []
    monkeypatch.setattr("scalelaws.figures.draw.draw_figures", lambda *given, **_: drawn.append(given[2]))
    table = tmp_path / "mine.csv"
    write_observations(observations, tmp_path / "l.parquet", tmp_path / "r.parquet", table)
    folder = tmp_path / "out"
    laws = ["loss_of_parameters_and_data_chinchilla", "loss_of_flops"]
    assert main(["fit", str(table), "--out", str(folder), "--resamples", "200", "--laws", *laws]) == 0
    assert drawn == [folder / "figures"]
    file = str(folder / "laws.json")
    assert main(["predict", file, "--parameters", "1e6", "--tokens", "1e8"]) == 0
    assert main(["allocate", file, "--flops", "1e13"]) == 0
    assert main(["compare", file, file]) == 0
    printed = capsys.readouterr().out
    for expected in ("a table of observations that scalelaws wrote", "L(N,D), Chinchilla", "tokens per", "yes"):
        assert expected in printed


def test_mistakes_are_one_line(tmp_path, capsys):
    assert main(["predict", str(tmp_path / "laws.json"), "--parameters", "1"]) == 2
    assert main(["fit", str(tmp_path / "none.csv")]) == 2
    assert main(["fit", str(tmp_path / "none.csv"), "--unit", "size=3"]) == 2
    assert capsys.readouterr().err.count("\n") == 3


@pytest.fixture(scope="module")
def written(laws, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    write_laws(laws, folder / "laws.json", folder / "laws_draws.npz")
    return folder


ASKED = [
    ("show", "{}"),
    ("predict", "{}", "--parameters", "1e6", "--tokens", "1e8"),
    ("allocate", "{}", "--flops", "1e13"),
    ("compare", "{}", "{}"),
    ("design", "--flops", "1e19", "--laws", "{}"),
]


def refused(folder, command, capsys):
    """The one line in which a command refuses a folder of laws."""
    assert main([word.format(folder) for word in command]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("command", ASKED, ids=lambda command: command[0])
@pytest.mark.parametrize("damage", ["cut", "empty", "a list", "without a key"])
def test_damaged_laws_are_one_line_that_names_the_file(written, tmp_path, capsys, command, damage):
    text = (written / "laws.json").read_text()
    without = json.dumps({key: value for key, value in json.loads(text).items() if key != "allocations"})
    damaged = {"cut": text[: len(text) // 2], "empty": "", "a list": "[]", "without a key": without}
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    (tmp_path / "laws.json").write_text(damaged[damage])
    line = refused(tmp_path, command, capsys)
    assert f"{tmp_path}/laws.json: damaged, or no file of fitted laws" in line
    assert line.endswith("Fit them: scalelaws fit <table>.")


@pytest.mark.parametrize("command", ASKED[1:], ids=lambda command: command[0])
@pytest.mark.parametrize("damage", ["cut", "empty", "of other laws", "of a law with fewer parameters"])
def test_damaged_draws_are_one_line_that_names_the_file(written, tmp_path, capsys, command, damage):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    draws = tmp_path / "laws_draws.npz"
    if damage in ("cut", "empty"):
        content = draws.read_bytes()
        draws.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    else:
        with np.load(draws) as whole:
            fewer = {name: whole[name][:, :1] for name in whole} if "fewer" in damage else {"laws/mine": np.ones(1)}
        np.savez(draws, **fewer)
    assert f"{draws}: damaged, or no file of fitted laws" in refused(tmp_path, command, capsys)


@pytest.mark.parametrize("command", ASKED[1:], ids=lambda command: command[0])
def test_laws_that_were_kept_without_draws_are_fitted_to_the_observations_beside_them(
    written, tmp_path, capsys, command
):
    shutil.copyfile(written / "laws.json", tmp_path / "laws.json")
    (tmp_path / "observations.parquet").touch()
    line = refused(tmp_path, command, capsys)
    assert f"laws_draws.npz: there is no such file. Fit them: scalelaws fit {tmp_path}/observations.parquet" in line


def test_a_table_in_place_of_laws_is_blamed_itself(tmp_path, capsys):
    (tmp_path / "mine.csv").write_text("parameters,loss\n1e6,3\n")
    assert main(["predict", str(tmp_path / "mine.csv"), "--parameters", "1e6"]) == 2
    assert "mine.csv: damaged, or no file of fitted laws" in capsys.readouterr().err
