import numpy as np
import pandas as pd
import pytest
from scalelaws.errors import InputError
from scalelaws.observations.read import read_table
from scalelaws.units import total_parameters


@pytest.fixture
def table():
    n, d = (axis.ravel() for axis in np.meshgrid([1e7, 1e8, 1e9], [1e9, 1e10, 1e11]))
    return pd.DataFrame({"Model Size": n, "Training Tokens": d, "Val. loss": 2 + 400 / n**0.34 + 400 / d**0.28})


def written(table, folder, name="runs.csv"):
    path = folder / name
    {"csv": table.to_csv, "tsv": lambda p, index: table.to_csv(p, sep="\t", index=index)}[name.split(".")[1]](
        path, index=False
    )
    return path


@pytest.mark.parametrize("name", ["runs.csv", "runs.tsv", "runs.csv.gz"])
def test_usual_names_are_found_and_said(table, tmp_path, name):
    reading = read_table(written(table, tmp_path, name))
    found = reading.observations.results("held_out")
    assert len(found) == 9
    np.testing.assert_allclose(sorted(found["loss"]), sorted(table["Val. loss"]))
    np.testing.assert_allclose(found["flops"], 6 * found["parameters"] * found["dataset_tokens"])
    assert "parameters: column 'Model Size'" in reading.how
    assert any("flops: from the two others" in line for line in reading.how)
    assert not reading.warnings


def test_columns_may_be_named_and_scaled(table, tmp_path):
    odd = table.rename(columns={"Model Size": "weights (M)"}).assign(**{"weights (M)": table["Model Size"] / 1e6})
    reading = read_table(written(odd, tmp_path), {"parameters": "weights (M)"}, {"parameters": 1e6})
    assert set(reading.observations.runs["parameters"]) == {1e7, 1e8, 1e9}


@pytest.mark.parametrize("given", ["parameters", "embeddings", "total alone"])
def test_embeddings_are_told_from_what_the_table_counts(table, tmp_path, given):
    size = table["Model Size"]
    more = {"parameters": {}, "embeddings": {"embedding params": total_parameters(size) - size}, "total alone": {}}
    counted = table.assign(total=total_parameters(size), **more[given])
    counted = counted if given == "parameters" else counted.drop(columns="Model Size")
    reading = read_table(written(counted, tmp_path), {"total_parameters": "total"})
    runs = reading.observations.runs
    np.testing.assert_allclose(runs["parameters"].unique(), size.unique(), rtol=1e-6)
    np.testing.assert_allclose(runs["parameters"] + runs["embedding_parameters"], total_parameters(runs["parameters"]))
    assert any("Pearce & Song" in line for line in reading.how) == (given == "total alone")


def test_compute_that_counts_embeddings_gives_the_tokens_of_all_parameters(table, tmp_path):
    total = table["Model Size"]
    counted = table.assign(**{"Total params": total, "FLOPs": 6 * total * table["Training Tokens"]})
    counted = counted.drop(columns=["Model Size", "Training Tokens"])
    runs = read_table(written(counted, tmp_path)).observations.runs
    np.testing.assert_allclose(runs["dataset_tokens"].unique(), table["Training Tokens"].unique())
    assert (runs["parameters"] < total.max()).all()


def test_a_total_below_its_part_is_refused(table, tmp_path):
    wrong = table.assign(**{"Total params": table["Model Size"] / 2})
    with pytest.raises(InputError, match=r"row 1: Total params = 5000000\.0 holds no more than"):
        read_table(written(wrong, tmp_path))


def test_tokens_follow_from_compute(table, tmp_path):
    compute = table.assign(FLOPs=6 * table["Model Size"] * table["Training Tokens"]).drop(columns="Training Tokens")
    found = read_table(written(compute, tmp_path)).observations.runs
    np.testing.assert_allclose(sorted(found["dataset_tokens"]), sorted(table["Training Tokens"]))


def test_rows_of_one_run_are_its_curve(tmp_path):
    curve = pd.DataFrame({"run": ["a", "a", "b"], "N": [1e7, 1e7, 1e8], "D": [1e9, 2e9, 1e9], "loss": [4.0, 3.5, 3.0]})
    found = read_table(written(curve, tmp_path)).observations
    assert found.results("held_out")["loss"].tolist() == [3.5, 3.0]
    assert len(found.losses) == 3


@pytest.mark.parametrize("more", [{}, {"seed": [1, 2]}, {"corpus": ["web", "books"]}])
@pytest.mark.parametrize("names", [["S", "M", "L"], ["gpt"] * 3], ids=["a name a size", "one name"])
def test_the_rows_of_a_models_name_are_runs_and_this_is_said(table, tmp_path, names, more):
    named = table.assign(model=np.repeat(names, 3))
    named = pd.concat(
        [named.assign(**{word: values[i] for word, values in more.items()}) for i in range(2 if more else 1)]
    )
    reading = read_table(written(named, tmp_path))
    assert len(reading.observations.runs) == (18 if "seed" in more else 9)
    assert len(reading.observations.losses) == len(named)
    assert [
        line for line in reading.how if "of a name is a run" in line and "(for learning curves: --run 'model')" in line
    ]


@pytest.mark.parametrize("steps", [{}, {"step": [1, 2, 3] * 3}], ids=["by tokens", "by steps"])
def test_rows_of_a_name_that_is_said_to_be_a_runs_are_its_curve(table, tmp_path, steps):
    curves = table.sort_values("Model Size").assign(model=np.repeat(["S", "M", "L"], 3), **steps)
    for columns in [{"run": "model"}, {}] if steps else [{"run": "model"}]:
        reading = read_table(written(curves, tmp_path), columns)
        assert len(reading.observations.runs) == 3
        assert any("run: rows of one run are its learning curve" in line for line in reading.how)


def test_several_corpora_per_run_are_a_matrix(table, tmp_path):
    both = pd.concat([table.assign(corpus=c, run=range(9)) for c in ("web", "books")])
    found = read_table(written(both, tmp_path)).observations
    assert found.train_corpus == "web"
    assert len(found.results("books")) == 9


IMPOSSIBLE = [
    (lambda t: t.drop(columns="Val. loss"), "no column holds the loss"),
    (lambda t: t.rename(columns={"Val. loss": "bits_per_byte"}), "not in nats per token"),
    (lambda t: t.drop(columns="Training Tokens"), "no columns found for dataset_tokens, flops"),
    (lambda t: t.assign(**{"Model Size": [*t["Model Size"][:2], -1, *t["Model Size"][3:]]}), "row 3: Model Size = -1"),
    (lambda t: t.assign(**{"Training Tokens": [np.nan, *t["Training Tokens"][1:]]}), "row 1: Training Tokens = nan"),
    (lambda t: t.assign(**{"Val. loss": ["3.1", "n.a."] + ["3"] * 7}), "row 2: Val. loss = 'n.a.'"),
    (lambda t: t.assign(run=["a", "a", *"cdefghi"], step=1), "row 2: run = 'a' has a step twice"),
    (lambda t: t.assign(run=range(9), corpus=[*["web"] * 5, *["books"] * 4]), "mixes 2 corpora (web, books)"),
    (lambda t: t.assign(corpus=["web", None, *["web"] * 7]), "row 2: corpus = nan is missing"),
    (lambda t: t.assign(run=["a", None, *"cdefghi"]), "row 2: run = nan is missing"),
    (lambda t: t.assign(**{"train set": [None, *["web"] * 8]}), "row 1: train set = nan is missing"),
    (lambda t: t.assign(run="a", step=range(1, 10)), "row 2: run = 'a' has rows of several sizes"),
    (lambda t: t.assign(run="a", step=[1, 1.5, *range(2, 9)]), "row 2: step = 1.5 is no whole number"),
    (lambda t: t.head(0), "no rows"),
    (lambda t: t.assign(**{"Val. loss": np.nan}), "runs.csv: Val. loss: no run ends with a loss"),
    (lambda t: t.assign(**{"Val. loss": 700}), "runs.csv: Val. loss: no run ends with a loss"),
    (lambda t: t.assign(corpus=np.nan), "row 1: corpus = nan is missing"),
    (lambda t: t.assign(split="train"), "runs.csv: split: no row is of split test"),
    (
        lambda t: t.rename(columns={"Val. loss": "loss_web"}).assign(loss_books=3.0, loss_val=np.nan),
        "runs.csv: loss_val: no run ends with a loss",
    ),
    (
        lambda t: t.rename(columns={"Val. loss": "loss_seed1"}).assign(loss_seed2=3.0),
        "loss_seed1: a column is the loss of one seed. Give one row per seed",
    ),
]


@pytest.mark.parametrize(("spoil", "message"), IMPOSSIBLE, ids=[message for _, message in IMPOSSIBLE])
def test_an_impossible_table_is_refused_by_column_and_row(table, tmp_path, spoil, message):
    with pytest.raises(InputError) as error:
        read_table(written(spoil(table), tmp_path))
    assert message in str(error.value)
    assert "runs.csv" in str(error.value)


SUSPICIOUS = [
    (lambda t: t.assign(**{"Model Size": t["Model Size"] / 1e6}), "in millions or billions"),
    (lambda t: t.assign(**{"Val. loss": t["Val. loss"] / 4}), "bits per byte"),
    (lambda t: t.assign(FLOPs=t["Model Size"] * t["Training Tokens"] / 1e6), "times 6·N·D"),
    (lambda t: t.assign(**{"Model Size": 1e8}), "no law of N"),
    (lambda t: pd.concat([t, t.head(1)]), "row 10 repeats another"),
    (lambda t: t.assign(**{"Val. loss": [np.nan, *t["Val. loss"][1:]]}), "left out as diverged: row 1"),
]


@pytest.mark.parametrize(("spoil", "message"), SUSPICIOUS, ids=[message for _, message in SUSPICIOUS])
def test_a_suspicious_table_is_read_with_a_warning(table, tmp_path, spoil, message):
    warnings = read_table(written(spoil(table), tmp_path)).warnings
    assert any(message in warning for warning in warnings), warnings


@pytest.mark.parametrize("seeds", [["a", "b", "c"] * 3, [1.0, np.nan, 2.0] * 3])
def test_seeds_that_are_no_numbers_are_numbered(table, tmp_path, seeds):
    runs = read_table(written(table.assign(seed=seeds), tmp_path)).observations.runs
    assert set(runs["seed"]) == {0, 1, 2}


@pytest.mark.parametrize("decimal", [".", ","])
def test_another_mark_between_fields_is_named(table, tmp_path, decimal):
    path = tmp_path / "runs.csv"
    table.to_csv(path, sep=";", decimal=decimal, index=False)
    with pytest.raises(InputError, match="fields seem to be parted by ';', not by ','"):
        read_table(path)


def test_a_missing_or_unknown_file_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="known format"):
        read_table(tmp_path / "runs.docx")


@pytest.mark.parametrize("marks", [",", ",,"])
def test_marks_at_the_end_of_rows_shift_no_column(table, tmp_path, marks):
    path = written(table, tmp_path)
    wanted = read_table(path).observations
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([header, *(row + marks for row in rows)]), encoding="utf-8")
    pd.testing.assert_frame_equal(read_table(path).observations.losses, wanted.losses)
    path.write_text("\n".join([header, *(row + marks for row in rows[:-1]), rows[-1] + ",7"]), encoding="utf-8")
    with pytest.raises(InputError, match=r"rows have \d fields, their header has 3"):
        read_table(path)


@pytest.mark.parametrize("ending", ["gz", "zst", "xz", "bz2"])
def test_a_damaged_compressed_file_is_refused_in_one_line(table, tmp_path, ending):
    path = written(table, tmp_path, f"runs.csv.{ending}")
    for damaged in (path.read_bytes()[:100], b"params,tokens,loss"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"^.*: not readable .*\. Check the format\.$"):
            read_table(path)
