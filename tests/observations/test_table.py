import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from scalelaws.errors import InputError
from scalelaws.observations.read import read_table
from scalelaws.observations.table import (
    LOSS_COLUMNS,
    POSITION_COLUMNS,
    RUN_COLUMNS,
    Observations,
    read_observations,
    validated,
    write_observations,
)

EXAMPLES = {"str": "x", "int64": 1, "float64": 1.0, "bool": False}


def run(name, **columns):
    return {**{column: EXAMPLES[kind] for column, kind in RUN_COLUMNS.items()}, "run": name, **columns}


def loss(name, step, **columns):
    return {**{column: EXAMPLES[kind] for column, kind in LOSS_COLUMNS.items()}, "run": name, "step": step, **columns}


def tables():
    runs = pd.DataFrame([run("b", train_corpus="pages"), run("a", train_corpus="pages", status="diverged")])
    losses = [
        loss(name, step, corpus="pages", split="test", loss=4.0 - step / 10, result=step == 2)
        for name in ("a", "b")
        for step in (3, 2, 1)
    ]
    return pd.DataFrame(losses), runs


def positions():
    """Two positions of each run, the last one first."""
    example = {column: EXAMPLES[kind] for column, kind in POSITION_COLUMNS.items()}
    return pd.DataFrame([{**example, "run": name, "position": place} for name in ("b", "a") for place in (2, 1)])


def test_a_studys_own_table_brings_its_runs_and_of_its_sweep_alone_all_are_one_grid(tmp_path):
    losses, runs = tables()
    names = ("observations.parquet", "runs.parquet", "all.csv")
    write_observations(validated(losses, runs.assign(variant=["", "wsd"])), *(tmp_path / name for name in names))
    for name in (names[0], names[2]):
        assert list(read_table(tmp_path / name).observations.runs["variant"]) == ["wsd", ""]
        reading = read_table(tmp_path / name, where="run == 'a'")
        assert list(reading.observations.runs["variant"]) == [""]
        assert "as one grid" in reading.how[1]
    runs[runs["run"] == "a"].to_parquet(tmp_path / "runs.parquet")
    with pytest.raises(InputError, match=r"runs.parquet: the run 'b' is not in it"):
        read_table(tmp_path / "observations.parquet")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file, runs: file.unlink(), "there is no such file"),
        (lambda file, runs: file.write_bytes(b""), "not readable"),
        (lambda file, runs: file.write_bytes(file.read_bytes()[:300]), "not readable"),
        (lambda file, runs: runs.drop(columns="run").to_parquet(file), "the column 'run' is missing"),
        (lambda file, runs: runs.drop(columns="status").to_parquet(file), "the column 'status' is missing"),
        (lambda file, runs: pd.concat([runs, runs]).to_parquet(file), "row 3: run = 'b' appears twice"),
    ],
    ids=["deleted", "empty", "truncated", "without run", "without status", "doubled"],
)
def test_a_damaged_table_of_runs_is_the_file_that_is_named(tmp_path, damage, message):
    file = tmp_path / "runs.parquet"
    losses, runs = tables()
    write_observations(validated(losses, runs), tmp_path / "observations.parquet", file, tmp_path / "all.csv")
    damage(file, runs)
    with pytest.raises(InputError) as error:
        read_table(tmp_path / "observations.parquet")
    assert str(error.value).startswith(f"{file}: {message}")
    assert "\n" not in str(error.value)


def test_what_is_written_is_read_back(tmp_path):
    observations = validated(*tables())
    paths = [tmp_path / name for name in ("observations.parquet", "runs.parquet", "observations.csv")]
    write_observations(observations, *paths, {"seed": 3})
    assert json.loads(pq.read_schema(paths[0]).metadata[b"provenance"]) == {"seed": 3}
    again = read_observations(*paths[:2])
    pd.testing.assert_frame_equal(again.losses, observations.losses)
    pd.testing.assert_frame_equal(again.runs, observations.runs)
    assert len(pd.read_csv(paths[2])) == len(observations.losses)


def test_results_are_one_row_a_run_and_leave_diverged_runs_out():
    observations = validated(*tables())
    results = observations.results("pages")
    assert results[["run", "step", "loss"]].to_numpy().tolist() == [["b", 2, 3.8]]
    assert list(observations.results("pages", diverged=True)["run"]) == ["a", "b"]
    assert len(observations.curves("pages")) == 3
    assert observations.train_corpus == "pages"


def test_the_order_of_rows_does_not_matter():
    losses, runs = tables()
    one, other = validated(losses, runs), validated(losses.iloc[::-1], runs.iloc[::-1])
    pd.testing.assert_frame_equal(one.losses, other.losses)
    pd.testing.assert_frame_equal(one.runs, other.runs)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda losses, runs: losses.pop("loss"), "the column 'loss' is missing"),
        (lambda losses, runs: losses.__setitem__("loss", 0.0), "loss = 0.0 is not a positive number"),
        (lambda losses, runs: losses.__setitem__("step", "soon"), "wrong type"),
        (lambda losses, runs: losses.__setitem__("run", "c"), "row 1: run = 'c' is not in the runs table"),
        (lambda losses, runs: losses.__setitem__("step", 1), "step = .* is given twice"),
        (lambda losses, runs: runs.__setitem__("run", "b"), "row 2: run = 'b' appears twice"),
        (lambda losses, runs: runs.__setitem__("parameters", -1.0), "parameters = .* is not a positive number"),
    ],
)
def test_a_broken_table_is_refused_with_its_place(damage, message):
    losses, runs = tables()
    damage(losses, runs)
    with pytest.raises(InputError, match=message):
        validated(losses, runs, "table.csv")


def test_losses_by_position_go_with_the_table_where_it_has_them(tmp_path):
    observations = validated(*tables(), positions=positions())
    places = observations.positions[["run", "position"]].to_numpy().tolist()
    assert places == [["a", 1], ["a", 2], ["b", 1], ["b", 2]]
    files = [tmp_path / name for name in ("observations.parquet", "runs.parquet", "observations.csv")]
    by_position = tmp_path / "positions.parquet"
    write_observations(observations, *files, {"seed": 3}, by_position)
    pd.testing.assert_frame_equal(read_observations(*files[:2], by_position).positions, observations.positions)
    assert json.loads(pq.read_schema(by_position).metadata[b"provenance"]) == {"seed": 3}
    assert read_observations(*files[:2]).positions is None


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("run", "c", "positions: row 1: run = 'c' is not in the runs table"),
        ("position", 0, "position = 0 is before the first token"),
        ("position", 1, "position = 1 is given twice"),
        ("loss", -1.0, r"positions: row 1: loss = -1.0 is not a positive number"),
        ("loss", "low", "positions: a value has the wrong type"),
    ],
)
def test_a_broken_loss_by_position_is_refused_with_its_place(column, value, message):
    with pytest.raises(InputError, match=message):
        validated(*tables(), "runs", positions().assign(**{column: value}))
    with pytest.raises(InputError, match=f"the column '{column}' is missing"):
        validated(*tables(), "runs", positions().drop(columns=column))


def test_runs_of_a_sweep_are_kept_apart_from_those_of_the_grid():
    names = ["grid", "batch", "both", "lstm"]
    runs = pd.DataFrame({"run": names, "variant": [None, "batch512", "batch512-rate0.1", "lstm"]})
    observations = Observations(pd.DataFrame({"run": names * 2}), runs, pd.DataFrame({"run": names * 3}))
    assert list(observations.of_variants().runs["run"]) == ["grid"]
    assert list(observations.of_variants().positions["run"]) == ["grid"] * 3
    assert list(observations.of_variants().losses["run"]) == ["grid", "grid"]
    assert list(observations.of_variants("batch_tokens").runs["run"]) == ["grid", "batch"]
    assert list(observations.of_variants("batch_tokens", "learning_rate").runs["run"]) == ["grid", "batch", "both"]
    foreign = Observations(observations.losses, runs[["run"]])
    assert foreign.of_variants() is foreign


def test_batches_are_compared_among_trunks_and_held_rates_or_among_runs_of_the_grids_own_schedule():
    names = ["trunk", "branch", "constant"]
    runs = pd.DataFrame({"run": names, "schedule": names, "variant": ["trunk", "", "constant-batch512"]})
    observations = Observations(pd.DataFrame({"run": names * 2}), runs).of_batches()
    assert list(observations.runs["run"]) == ["trunk", "constant"]
    assert set(observations.losses["run"]) == {"trunk", "constant"}
    runs = pd.DataFrame({"run": names, "schedule": "cosine", "variant": ["", "batch512", "constant-batch512"]})
    assert list(Observations(pd.DataFrame({"run": names}), runs).of_batches().runs["run"]) == ["trunk", "branch"]
