"""Any table at all is either read or refused in one line; what is wrong in it is named by column and row."""

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scalelaws.config import SCHEMA
from scalelaws.errors import InputError
from scalelaws.observations.columns import LOSSES, NAMES, NUMBERS
from scalelaws.observations.read import local_table, read_table

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIZES, SUBSETS = np.geomspace(1e6, 1e9, 4), np.geomspace(1e8, 1e11, 3)


def table():
    n, d = (axis.ravel() for axis in np.meshgrid(SIZES, SUBSETS))
    return pd.DataFrame({"N": n, "D": d, "loss": 1.8 + 400 / n**0.35 + 2000 / d**0.37})


def read(frame, folder, *arguments, **named):
    path = folder / "runs.csv"
    frame.to_csv(path, index=False)
    return read_table(path, *arguments, **named)


@SETTINGS
@given(
    row=st.integers(0, 11),
    column=st.sampled_from(["N", "D", "loss"]),
    value=st.one_of(
        st.floats(max_value=0, allow_nan=False, allow_infinity=False),
        st.sampled_from(["n/a?", "12 billion", "1,5", "-inf", "--"]),
    ),
)
def test_an_impossible_value_is_named_by_column_and_row(tmp_path, row, column, value):
    frame = table().astype(object)
    frame.loc[row, column] = value
    with pytest.raises(InputError) as error:
        read(frame, tmp_path)
    assert f"row {row + 1}: {column} = " in str(error.value)
    assert "\n" not in str(error.value)


@SETTINGS
@given(row=st.integers(0, 11), column=st.sampled_from(["N", "D"]), value=st.sampled_from([np.nan, np.inf]))
def test_a_missing_size_is_named_by_column_and_row(tmp_path, row, column, value):
    frame = table()
    frame.loc[row, column] = value
    with pytest.raises(InputError, match=f"row {row + 1}: {column} = "):
        read(frame, tmp_path)


@SETTINGS
@given(row=st.integers(0, 11), value=st.sampled_from([np.nan, np.inf, 700.0]))
def test_a_diverged_run_is_left_out_and_named(tmp_path, row, value):
    frame = table().assign(run=[f"run{i}" for i in range(12)])
    frame.loc[row, "loss"] = value
    reading = read(frame, tmp_path)
    assert any(f"left out as diverged: run{row}, whose loss" in warning for warning in reading.warnings)
    assert len(reading.observations.results("held_out")) == 11


@SETTINGS
@given(order=st.permutations(range(12)), columns=st.permutations(["N", "D", "loss"]))
def test_the_order_of_rows_and_columns_does_not_matter(tmp_path, order, columns):
    frame = table().assign(run=[f"run{i}" for i in range(12)])
    other = read(frame.iloc[list(order)][["run", *columns]], tmp_path).observations
    pd.testing.assert_frame_equal(other.runs, read(frame, tmp_path).observations.runs)


@pytest.mark.parametrize("word", ["parameters", "dataset_tokens", "flops", "run"])
def test_every_usual_name_is_understood(tmp_path, word):
    frame = table().assign(C=6 * table()["N"] * table()["D"], run=[f"run{i}" for i in range(12)])
    own = {"parameters": "N", "dataset_tokens": "D", "flops": "C", "run": "run"}[word]
    wanted = read(frame, tmp_path).observations.runs
    for name in NAMES[word]:
        renamed = frame.rename(columns={own: name.upper()})
        pd.testing.assert_frame_equal(read(renamed, tmp_path).observations.runs, wanted)


@pytest.mark.parametrize("name", LOSSES)
def test_every_usual_name_of_the_loss_is_understood(tmp_path, name):
    renamed = table().rename(columns={"loss": name})
    assert len(read(renamed, tmp_path).observations.results("held_out")) == 12


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        (["c4_loss_last5mean", "c4_loss_final"], "c4_loss_final"),
        (["train_loss", "my_val_loss"], "my_val_loss"),
        (["loss_sem", "pile_loss"], "pile_loss"),
        (["final_loss", "smoothed_loss"], "final_loss"),
        (["loss_train", "loss_val"], "loss_val"),
        (["loss_training", "loss_test", "loss_valid"], "loss_valid"),
        (["loss_mean", "loss_stderr", "loss_min", "loss_max"], "loss_mean"),
        (["loss_scale", "loss_se", "loss_val"], "loss_val"),
        (["loss", "loss_val", "loss_train", "loss_mean", "loss_seed1", "loss_seed2"], "loss"),
        (["loss_web", "loss_books", "val_loss"], "val_loss"),
    ],
)
def test_of_several_losses_the_likeliest_is_taken_and_the_others_are_said(tmp_path, columns, chosen):
    base = table()
    frame = base.drop(columns="loss").assign(**{name: base["loss"] + (name != chosen) for name in columns})
    reading = read(frame, tmp_path)
    assert f"loss: column '{chosen}'" in reading.how
    np.testing.assert_allclose(sorted(reading.observations.results("held_out")["loss"]), sorted(base["loss"]))


def test_no_other_column_takes_the_place_of_the_loss_in_silence(tmp_path):
    frame = table().assign(loss_web=4.0, loss_books=5.0, loss_scale=65536.0)
    reading = read(frame, tmp_path)
    assert set(reading.observations.losses["corpus"]) == {"held_out"}
    assert "not read as the loss: loss_web, loss_books (name another with --loss)" in reading.how
    assert read(frame, tmp_path, {"loss": "loss_web"}).observations.train_corpus == "web"


def test_columns_of_one_loss_a_corpus_are_a_matrix_and_one_that_is_named_comes_first(tmp_path):
    frame = table().rename(columns={"loss": "loss_web"})
    frame = frame.assign(loss_books=frame["loss_web"] + 0.3, loss_val=frame["loss_web"] + 0.1)
    assert read(frame, tmp_path).observations.train_corpus == "val"
    found = read(frame, tmp_path, {"loss": "loss_books"}).observations
    assert found.train_corpus == "books"
    assert set(found.losses["corpus"]) == {"web", "books", "val"}
    frame.loc[2, "loss_web"] = np.nan
    reading = read(frame, tmp_path)
    assert not reading.warnings, "an evaluation that was not made is no diverged run"
    assert len(reading.observations.results("web")) == 11


def test_bits_are_refused_by_name_and_converted_by_unit(tmp_path):
    frame = table()
    bits = frame.assign(loss=frame["loss"] / np.log(2))
    with pytest.raises(InputError, match="not in nats per token"):
        read(bits.rename(columns={"loss": "bits_per_token"}), tmp_path)
    for name in ("loss", "loss_bits"):
        renamed = bits.rename(columns={"loss": name})
        converted = read(renamed, tmp_path, {"loss": name}, {"loss": np.log(2)}).observations.results("held_out")
        np.testing.assert_allclose(sorted(converted["loss"]), sorted(frame["loss"]))


@pytest.mark.parametrize(
    "named", [{}, {"columns": {"loss": "ppl"}}, {"columns": {"loss": "ppl"}, "units": {"loss": 2}}]
)
def test_the_logarithm_of_perplexity_is_asked_for(tmp_path, named):
    with pytest.raises(InputError, match=r"nats per token = ln\(perplexity\)"):
        read(table().rename(columns={"loss": "ppl"}), tmp_path, **named)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"columns": {"los": "loss"}}, "columns: unknown word 'los'. Did you mean 'loss'?"),
        ({"columns": {"foo": "loss"}}, "columns: unknown word 'foo'. Known words: parameters,"),
        ({"units": {"parametres": 1e6}}, "units: unknown word 'parametres'. Did you mean 'parameters'?"),
        ({"units": {"run": 2.0}}, "units: unknown word 'run'. Known words: parameters,"),
        ({"units": {"flops": 1e15}}, "units: the table has no column of flops. Leave its unit out."),
    ],
)
def test_a_word_that_says_nothing_is_refused_by_name(tmp_path, named, message):
    with pytest.raises(InputError) as error:
        read(table(), tmp_path, **named)
    assert message in str(error.value)


def test_the_schema_knows_the_words_of_columns_and_units():
    properties = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))["$defs"]["table"]["properties"]
    assert set(properties["columns"]["properties"]) == {*NAMES, "loss"}
    assert set(properties["units"]["properties"]) == {*NUMBERS, "loss"}


def test_training_sets_are_not_mixed_and_a_condition_parts_them(tmp_path):
    both = pd.concat([table().assign(train_set=name) for name in ("c4", "pile")])
    with pytest.raises(InputError, match="trained on 2 sets") as error:
        read(both, tmp_path)
    assert "--where \"train_set == 'c4'\"" in str(error.value)
    assert len(read(both, tmp_path, where="train_set == 'c4'").observations.runs) == 12
    for condition in ("train_set ==", "trainset == 'c4'", "N > 1e99"):
        with pytest.raises(InputError, match="where"):
            read(both, tmp_path, where=condition)


def test_rows_keep_their_numbers_when_some_are_left_out(tmp_path):
    frame = table()
    frame.loc[7, "D"] = -1
    with pytest.raises(InputError, match="row 8: D"):
        read(frame, tmp_path, where="N > 5e6")


def test_a_number_in_place_of_a_column_holds_for_every_row(tmp_path):
    reading = read(table().drop(columns="D"), tmp_path, {"dataset_tokens": "3e11"})
    assert set(reading.observations.runs["dataset_tokens"]) == {3e11}
    assert "dataset_tokens: 3e+11 in every row" in reading.how


def test_repeated_tokens_are_told_from_unique_ones(tmp_path):
    frame = table().rename(columns={"D": "unique_tokens"})
    found = read(frame.assign(tokens=4 * frame["unique_tokens"]), tmp_path).observations
    assert (found.runs["tokens"] == 4 * found.runs["dataset_tokens"]).all()
    np.testing.assert_allclose(found.runs["flops"], 6 * found.runs["parameters"] * found.runs["tokens"])


def test_a_curve_that_rises_at_its_end_is_doubted(tmp_path):
    curve = pd.DataFrame({"run": "a", "step": [1, 2, 3], "N": 1e7, "D": [1e8, 2e8, 3e8], "loss": [5.0, 3.0, 4.2]})
    warnings = read(curve, tmp_path).warnings
    assert any("more than 0.5 nats above its lowest loss: a;" in warning for warning in warnings)


def test_flops_of_another_convention_are_said_and_not_used(tmp_path):
    frame = table()
    reading = read(frame.assign(flops=9 * frame["N"] * frame["D"]), tmp_path)
    assert "flops are 1.5 times 6·N·D: the laws of compute use C = 6·N·D" in reading.warnings
    runs = reading.observations.runs
    np.testing.assert_allclose(runs["flops"], 6 * runs["parameters"] * runs["dataset_tokens"])
    np.testing.assert_allclose(runs["flops_total"], 1.5 * runs["flops"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.lists(st.sampled_from(["N", "D", "loss", "flops", "run", "step", "corpus", "split", "x"]), max_size=6),
    cells=st.lists(st.lists(st.one_of(st.text(max_size=6), st.floats().map(str)), max_size=7), max_size=5),
)
def test_no_table_is_so_bad_that_it_raises_anything_else(tmp_path, header, cells):
    lines = [",".join(header), *(",".join(row) for row in cells)]
    path = tmp_path / "odd.csv"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    try:
        assert len(read_table(path).observations.runs)
    except InputError as error:
        assert str(path) in str(error)


def test_only_a_file_on_this_machine_must_exist(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,D,loss\n1e6,1e8,3\n")
    assert local_table(str(path), "study.yaml") == [str(path)]
    assert local_table("https://example.org/runs.csv", "study.yaml") == []
    with pytest.raises(InputError, match="there is no such file"):
        local_table(str(tmp_path / "none.csv"), "study.yaml")
