"""No command computes with a number that means nothing: it is refused before anything is read."""

import pytest
from scalelaws.cli import main

PREDICT, DESIGN = ["predict", "laws.json"], ["design", "--flops", "1e20"]
ABOVE_ZERO = [
    *(([*PREDICT], f"--{option}") for option in ("parameters", "tokens", "flops", "loss")),
    (["allocate", "laws.json"], "--flops"),
    (["design"], "--flops"),
    (["design"], "--hours"),
    *((DESIGN, option) for option in ("--max-tokens", "--predict", "--noise")),
]


def refused(capsys, *arguments):
    """The line in which the parser says why it refuses."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e400"])
@pytest.mark.parametrize(("command", "option"), ABOVE_ZERO)
def test_amounts_are_finite_and_above_zero(capsys, command, option, value):
    line = refused(capsys, *command, f"{option}={value}")
    assert f"error: argument {option}: {value} is not a finite number above 0" in line


@pytest.mark.parametrize("sizes", [("0", "1e7"), ("1e6", "inf"), ("nan", "1e7")])
def test_both_sizes_of_a_design_are_amounts(capsys, sizes):
    assert "is not a finite number above 0" in refused(capsys, *DESIGN, "--sizes", *sizes)


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        *(("--resamples", value, "is not a whole number from 100 to 100,000") for value in ("0", "-5", "1", "1000000")),
        *(("--backtest", value, "is not a finite number above 0 to 0.5") for value in ("5", "nan", "0", "1", "-1")),
        *(("--huber-delta", value, "is neither 0 nor a finite number") for value in ("-1", "nan", "inf", "1e-9")),
        ("--seed", "-1", "is not a whole number from 0"),
        ("--seed", "1.5", "invalid whole_number value: '1.5'"),
        ("--backtest", "half", "invalid number value: 'half'"),
    ],
)
def test_a_fit_has_the_bounds_of_a_study_s_laws(capsys, option, value, problem):
    assert problem in refused(capsys, "fit", "mine.csv", f"{option}={value}")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["fit", "none.csv", "--out", "{file}"], "is a file, and results go to a folder"),
        (["figures", "none.csv", "--out", "{file}/deep"], "is a file, and results go to a folder"),
        (["figures", "none.csv", "--only", "loss_vs_parameter"], "there is no such figure. Did you mean"),
        (["figures", "none.csv", "--style", "poster"], "there is no such style or file"),
    ],
)
def test_what_can_be_refused_is_refused_before_the_table_is_read(tmp_path, capsys, arguments, problem):
    (tmp_path / "mine.txt").touch()
    assert main([word.format(file=tmp_path / "mine.txt") for word in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line


def test_a_table_is_no_plan(tmp_path, capsys):
    (tmp_path / "mine.csv").write_text("parameters,loss\n1e6,3\n")
    assert main(["train", "--plan", str(tmp_path / "mine.csv"), "--run", "1"]) == 2
    assert "mine.csv: the column 'run' is missing" in capsys.readouterr().err


def test_a_design_has_runs_enough_for_its_law(capsys):
    assert "argument --runs: 4 is not a whole number from 5" in refused(capsys, *DESIGN, "--runs", "4")


@pytest.mark.parametrize("unit", ["parameters=inf", "parameters=0", "parameters=nan", "parameters="])
def test_a_unit_is_a_word_and_a_factor(capsys, unit):
    assert main(["fit", "mine.csv", "--unit", unit]) == 2
    assert capsys.readouterr().err == f"scalelaws: --unit {unit}: not understood. Write it like parameters=1e6.\n"
