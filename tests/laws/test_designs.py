"""Tables that vary more than N and D: each gives back the law that made it, and others do not get it."""

import numpy as np
import pandas as pd
import pytest
from scalelaws.laws.designs import needed_parameters
from scalelaws.laws.forms import FORMS
from scalelaws.laws.study import fit_laws
from scalelaws.observations.read import read_table

BASE = {"E": 1.87, "A": 521.0, "B": 1488.0, "alpha": 0.35, "beta": 0.35}


def grid(**axes):
    """Every combination of the columns' values."""
    return pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)


def laws_of(table, law, folder):
    table.assign(run=[f"r{i}" for i in range(len(table))]).to_csv(folder / "runs.csv", index=False)
    return fit_laws(read_table(folder / "runs.csv").observations, {"resamples": 200, "fit": [law]}, seed=1).laws


def noisy(form, truth, x, noise=0.002):
    exact = FORMS[form].predict(truth, {name: x[name].to_numpy(float) for name in FORMS[form].variables})
    return exact * np.exp(noise * np.random.default_rng(7).standard_normal(len(x)))


def check(law, truth):
    assert law.status == "determined", law.messages
    for name, value in truth.items():
        found = law.parameters[name]
        assert abs(found.value - value) < found.high - found.low, name
        assert found.value == pytest.approx(value, rel=0.3), name


def test_widths_and_depths_that_vary_apart(tmp_path):
    truth = {"E": 1.8, "A_w": 30.0, "A_d": 1.0, "A_D": 2000.0, "a_w": 0.6, "a_d": 0.7, "a_D": 0.37}
    x = grid(width=[256, 512, 1024, 2048, 4096], depth=[4, 8, 24, 64], dataset_tokens=np.geomspace(1e9, 1e11, 4))
    x = x.assign(parameters=12.0 * x["depth"] * x["width"] ** 2)
    x["loss"] = noisy("shape_of_width_depth_dataset", truth, x)
    check(laws_of(x, "loss_of_shape", tmp_path)["loss_of_shape"], truth)
    one_family = x[x["width"] == x["depth"] * 64]
    assert "loss_of_shape" not in laws_of(one_family, "loss_of_shape", tmp_path)


def test_encoders_and_decoders(tmp_path):
    truth = {"E": 1.3, "A": 60.0, "p_e": 0.12, "p_d": 0.1}
    sizes = np.geomspace(1e7, 1e9, 6)
    x = grid(encoder_parameters=sizes, decoder_parameters=sizes)
    x = x.assign(parameters=x.sum(axis=1), dataset_tokens=1e11)
    x["loss"] = noisy("encoder_decoder", truth, x, 0.0005)
    check(laws_of(x, "loss_of_encoder_and_decoder", tmp_path)["loss_of_encoder_and_decoder"], truth)


def test_overtrained_runs(tmp_path):
    truth = {"E": 1.8, "a": 210.0, "b": 370.0, "eta": 0.136}
    x = grid(parameters=np.geomspace(1e7, 7e9, 8), tokens_per_parameter=[5.0, 20, 80, 320, 640])
    x["loss"] = noisy("overtraining", truth, x)
    table = x.assign(tokens=x["parameters"] * x["tokens_per_parameter"]).drop(columns="tokens_per_parameter")
    check(laws_of(table, "loss_of_overtraining", tmp_path)["loss_of_overtraining"], truth)


def test_repeated_data(tmp_path):
    truth = BASE | {"R_N": 5.3, "R_D": 15.4}
    x = grid(parameters=np.geomspace(1e7, 8e9, 6), unique_tokens=np.geomspace(1e8, 3e10, 4), epochs=[1, 4, 16, 64])
    x = x.rename(columns={"unique_tokens": "dataset_tokens"})
    x["tokens"] = x["dataset_tokens"] * x["epochs"]
    theta = {"s_N": np.log(BASE["A"]), "s_D": np.log(BASE["B"]), "alpha": 0.35, "beta": 0.35}
    best = needed_parameters(theta, x["dataset_tokens"].to_numpy())
    needed = x.assign(needed_parameters=np.minimum(x["parameters"], best))
    x["loss"] = noisy("repeated_data", truth, needed)
    # One epoch of a model larger than its data need is no run of the base law, which is fitted to single epochs.
    x = x[(x["epochs"] > 1) | (x["parameters"] <= best)].drop(columns="epochs")
    check(laws_of(x, "loss_of_repeated_data", tmp_path)["loss_of_repeated_data"], truth)
    fresh = x[x["tokens"] == x["dataset_tokens"]]
    assert "loss_of_repeated_data" not in laws_of(fresh, "loss_of_repeated_data", tmp_path)


def test_the_size_that_data_need_is_the_optimum_of_the_base_law():
    """At C = 6·N·D the law's loss is lowest where the unique tokens are all that the budget buys."""
    theta = {"s_N": np.log(480.0), "s_D": np.log(2000.0), "alpha": 0.35, "beta": 0.37}
    tokens = 3e9
    size = float(needed_parameters(theta, np.array([tokens]))[0])
    around = size * np.geomspace(1 / 1.1, 1.1, 201)
    loss = 480.0 / around**0.35 + 2000.0 / (size * tokens / around) ** 0.37
    assert loss.argmin() == 100
