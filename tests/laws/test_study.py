import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scalelaws.laws.files import read_laws, write_laws
from scalelaws.laws.rows import LAWS, at_largest_shared, of_gaps
from scalelaws.laws.study import fit_laws, fit_study
from scalelaws.observations.table import Observations, write_observations

from . import synthetic

QUICK = {"resamples": 300}
CHINCHILLA = "loss_of_parameters_and_data_chinchilla"


@pytest.fixture(scope="module")
def observations():
    return synthetic.study()


@pytest.fixture(scope="module")
def laws(observations):
    return fit_laws(observations, QUICK, seed=1, study="known")


def test_the_law_that_made_the_data_comes_back_within_its_intervals(laws):
    law = laws.laws[CHINCHILLA]
    assert law.status == "determined"
    assert all(law.parameters[name].contains(value) for name, value in synthetic.CHINCHILLA.items())


@pytest.mark.parametrize(("name", "truth"), [("gap", synthetic.GAP), ("memory", synthetic.MEMORY)])
def test_the_laws_of_the_gap_to_held_out_and_to_unseen_text_come_back(laws, name, truth):
    law = laws.laws[f"{name}_of_parameters_and_data"]
    for name, value in truth.items():
        assert law.parameters[name].value == pytest.approx(value, rel=1e-3)


def test_the_law_of_encoder_and_decoder_takes_the_sweeps_shares_of_encoders_and_other_laws_do_not():
    made = synthetic.study(subsets=(1e5, 2e5, 4e5), seeds=3)
    share = made.runs["seed"].map({0: 0.5, 1: 0.25, 2: 0.75})
    halves = {"encoder_parameters": share, "decoder_parameters": 1 - share}
    runs = made.runs.assign(**{name: part * made.runs["parameters"] for name, part in halves.items()})
    runs = runs.assign(variant=share.map({0.5: "", 0.25: "share0.25", 0.75: "share0.75"}))
    seen_once = runs.assign(dataset_tokens=100 * runs["dataset_tokens"])
    others = ["loss_of_parameters", "loss_of_overtraining"]
    wanted = {"resamples": 100, "fit": ["loss_of_encoder_and_decoder", *others]}
    found = fit_laws(replace(made, runs=seen_once), wanted, seed=1, study="halves").laws
    varied = set(runs.loc[runs["variant"] != "", "run"])
    assert varied & set(found["loss_of_encoder_and_decoder"].data["run"])
    assert not any(varied & set(found[name].data["run"]) for name in others)


def test_a_gap_is_of_runs_that_repeat_their_subset_where_these_vary_enough(observations):
    longest = observations.runs["dataset_tokens"] == max(synthetic.SUBSETS)
    of_sweep = observations.runs.assign(variant=np.where(longest, "", "constant-averaging0.1-max4000000"))
    chosen = of_gaps(replace(observations, runs=of_sweep)).runs
    assert set(chosen["variant"]) == {"constant-averaging0.1-max4000000"}
    few = of_sweep.assign(variant=np.where(of_sweep["dataset_tokens"] < 2e5, of_sweep["variant"], "batch256"))
    few.loc[longest, "variant"] = ""
    assert set(of_gaps(replace(observations, runs=few)).runs["variant"]) == {""}


@pytest.mark.parametrize(("corpus", "constant"), [("same_offset", True), ("growing", False)])
def test_a_constant_offset_is_told_from_a_growing_one(laws, corpus, constant):
    law = laws.laws[f"ood_transfer:{corpus}"]
    slope, offset = synthetic.TRANSFER[corpus]
    assert law.parameters["slope"].value == pytest.approx(slope, abs=1e-6)
    assert law.parameters["offset"].value == pytest.approx(offset, abs=1e-5)
    assert any(("is not constant" in message) is not constant for message in law.messages)


def test_every_law_is_fitted_and_numbered(laws):
    names = {name.partition(":")[0] for name in laws.laws}
    needing_more = {"repeated_data", "shape", "encoder", "critical_batch", "steps", "least", "overtraining"}
    assert names == {name for name in LAWS if not any(word in name for word in needing_more)}
    assert set(laws.allocations) == {"envelope", "isoflop", "parametric"}


def test_the_backtest_predicts_the_largest_run_that_it_never_saw(laws):
    backtest = laws.laws[CHINCHILLA].backtest
    assert backtest.largest["run"].startswith("400000-4000000")
    assert backtest.worst_error < 0.02
    assert backtest.rows["flops"].is_monotonic_increasing


def test_the_order_of_rows_does_not_matter(observations, laws):
    shuffled = Observations(
        observations.losses.sample(frac=1, random_state=2), observations.runs.sample(frac=1, random_state=3)
    )
    other = fit_laws(shuffled, QUICK, seed=1)
    for name, law in laws.laws.items():
        for key, estimate in law.parameters.items():
            assert other.laws[name].parameters[key].value == pytest.approx(estimate.value, rel=1e-4), (name, key)


def test_fitting_fewer_laws_changes_none_of_the_others(observations, laws):
    few = fit_laws(observations, QUICK | {"fit": ["loss_of_parameters"]}, seed=1)
    assert list(few.laws) == ["loss_of_parameters"]
    assert few.laws["loss_of_parameters"].parameters == laws.laws["loss_of_parameters"].parameters


def test_laws_survive_the_disk(laws, tmp_path):
    write_laws(laws, tmp_path / "laws.json", tmp_path / "draws.npz", {"seed": 1})
    again = read_laws(tmp_path / "laws.json", tmp_path / "draws.npz")
    assert again.provenance == {"seed": 1}
    for name, law in laws.laws.items():
        other = again.laws[name]
        assert other.parameters == law.parameters
        assert other.messages == law.messages
        np.testing.assert_array_equal(other.draws, law.draws)
        pd.testing.assert_frame_equal(other.data, law.data, check_dtype=False)
        assert (other.backtest is None) == (law.backtest is None)
    assert laws.accounts
    assert again.accounts == laws.accounts
    for name, found in laws.allocations.items():
        pd.testing.assert_frame_equal(again.allocations[name].table, found.table, check_dtype=False)
        pd.testing.assert_frame_equal(again.allocations[name].points, found.points, check_dtype=False)


def test_laws_of_before_there_were_accounts_are_read(laws, tmp_path):
    paths = tmp_path / "laws.json", tmp_path / "draws.npz"
    write_laws(laws, *paths)
    document = json.loads(paths[0].read_text())
    del document["accounts"]
    paths[0].write_text(json.dumps(document))
    again = read_laws(*paths)
    assert again.accounts == {}
    assert set(again.laws) == set(laws.laws)


def test_the_same_study_gives_the_same_bytes_in_however_many_processes(observations, tmp_path):
    paths = tmp_path / "losses.parquet", tmp_path / "runs.parquet"
    write_observations(observations, *paths, tmp_path / "all.csv")
    contents = []
    for name, processes in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        outputs = tmp_path / name / "laws.json", tmp_path / name / "draws.npz"
        fit_study(*paths, *outputs, study="known", settings=QUICK, seed=1, recipe="r", processes=processes)
        contents.append([path.read_bytes() for path in outputs])
    assert contents[0] == contents[1]
    document = json.loads(contents[0][0])
    assert set(document["provenance"]["inputs"]) == {"losses.parquet", "runs.parquet"}


@pytest.mark.parametrize(
    ("sizes", "subsets", "law", "reason"),
    [
        ((1e4, 1e5), synthetic.SUBSETS, "loss_of_parameters", "too few points"),
        ((1e4,), synthetic.SUBSETS, CHINCHILLA, "sizes N in the data: 1, "),
        ((1e4, 1.2e4, 1.4e4, 1.6e4), synthetic.SUBSETS, "loss_of_parameters", "range of sizes N is too narrow"),
        (synthetic.SIZES, (4e6,), "loss_of_dataset_tokens", "too few points"),
        (synthetic.SIZES, (4e6,), "gap_of_parameters_and_data", "dataset sizes D in the data: 1, "),
        ((4e4,), (4e6,), "loss_of_flops", "too few points"),
    ],
)
def test_sparse_data_say_why_they_do_not_determine_a_law(sizes, subsets, law, reason):
    fitted = fit_laws(synthetic.study(sizes=sizes, subsets=subsets), QUICK | {"fit": [law]}, seed=1).laws[law]
    assert fitted.status == "undetermined"
    assert not fitted.parameters
    assert any(reason in message for message in fitted.messages), fitted.messages


def test_noise_larger_than_the_effect_leaves_a_law_undetermined():
    law = fit_laws(synthetic.study(noise=0.3, seeds=1), QUICK | {"fit": [CHINCHILLA]}, seed=1).laws[CHINCHILLA]
    assert law.status == "undetermined"
    assert any("interval of" in message or "known only" in message for message in law.messages)


def test_a_wild_run_is_named():
    observations = synthetic.study()
    losses = observations.losses.copy()
    wild = losses["run"].eq("65000-400000-s0") & losses["corpus"].eq("train") & losses["split"].eq("test")
    losses.loc[wild, "loss"] *= 1.3
    law = fit_laws(Observations(losses, observations.runs), QUICK | {"fit": [CHINCHILLA]}, seed=1).laws[CHINCHILLA]
    assert any("outliers" in message and "65000-400000-s0" in message for message in law.messages)
    assert law.parameters["alpha"].value == pytest.approx(synthetic.CHINCHILLA["alpha"], abs=0.05)


def test_a_diverged_run_is_left_out_and_named():
    observations = synthetic.study()
    runs = observations.runs.copy()
    runs.loc[0, "status"] = "diverged"
    fitted = fit_laws(Observations(observations.losses, runs), QUICK | {"fit": [CHINCHILLA]}, seed=1)
    assert fitted.excluded.to_dict("records") == [{"run": runs["run"][0], "reason": "the run diverged"}]
    assert runs["run"][0] not in set(fitted.laws[CHINCHILLA].data["run"])


def test_a_band_holds_its_law_and_widens_beyond_the_data(laws):
    law = laws.laws["loss_of_parameters"]
    size = np.geomspace(1e4, 1e8, 5)
    low, high = law.band(parameters=size)
    assert (low <= law.predict(parameters=size)).all()
    assert (law.predict(parameters=size) <= high).all()
    assert (high - low)[-1] > (high - low)[1]
    with pytest.raises(TypeError, match="law of parameters"):
        law.predict(dataset_tokens=1e6)


def test_a_law_of_the_wrong_shape_says_that_it_misses_the_data(laws):
    kaplan, chinchilla = (laws.laws[f"loss_of_parameters_and_data_{form}"] for form in ("kaplan", "chinchilla"))
    assert any("times the noise between seeds" in message for message in kaplan.messages)
    assert not any("times the noise between seeds" in message for message in chinchilla.messages)


@settings(max_examples=8, deadline=None)
@example(sizes=[17196, 12004, 2834528], subsets=[578914, 105054, 48819], noise=0.0, kept=1.0)
@given(
    sizes=st.lists(st.integers(1_000, 10_000_000), min_size=1, max_size=4, unique=True),
    subsets=st.lists(st.integers(10_000, 1_000_000), min_size=1, max_size=3, unique=True),
    noise=st.sampled_from([0.0, 0.01, 0.5]),
    kept=st.floats(0.3, 1.0),
)
def test_no_study_is_too_poor_to_be_fitted_and_written(tmp_path_factory, sizes, subsets, noise, kept):
    whole = synthetic.study(sizes=sizes, subsets=subsets, noise=noise, seeds=1)
    runs = whole.runs.sample(frac=kept, random_state=1) if len(whole.runs) > 2 else whole.runs
    observations = Observations(whole.losses[whole.losses["run"].isin(runs["run"])], runs)
    laws = fit_laws(observations, {"resamples": 50}, seed=1)
    folder = tmp_path_factory.mktemp("poor")
    write_laws(laws, folder / "laws.json", folder / "draws.npz")
    assert set(read_laws(folder / "laws.json", folder / "draws.npz").laws) == set(laws.laws)
    for law in laws.laws.values():
        assert law.parameters or law.messages


def test_of_a_ragged_grid_laws_of_one_variable_take_the_largest_value_that_most_of_the_other_share():
    cells = [(N, D) for D in (1e6, 2e6, 4e6, 8e6) for N in (1e4, 4e4, 2e5, 8e5) if N * D <= 8e11]
    rows = pd.DataFrame(cells, columns=["parameters", "dataset_tokens"])
    at_d = rows[at_largest_shared(rows, "dataset_tokens", "parameters")]
    at_n = rows[at_largest_shared(rows, "parameters", "dataset_tokens")]
    assert set(at_d["dataset_tokens"]) == {4e6} and len(at_d) == 3 and set(at_n["parameters"]) == {2e5}
    alone = pd.DataFrame({"parameters": [1e4, 2e4, 3e4], "dataset_tokens": [1e6, 2e6, 3e6]})
    assert list(at_largest_shared(alone, "dataset_tokens", "parameters")) == [False, False, True]
