"""A study of batch sizes whose laws are known: the critical batch, and the laws in S_min and C_min that follow."""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from scalelaws.laws import kaplan
from scalelaws.laws.batches import scan_task, usable
from scalelaws.laws.derived import derived
from scalelaws.laws.study import fit_laws
from scalelaws.observations.read import read_table
from scipy.optimize import brentq

STEPS = {"alpha_N": 0.077, "alpha_S": 0.76, "N_c": 6.5e13, "S_c": 2.1e3}
BATCH = {"alpha_B": 0.21, "B_star": 2.1e8}
SIZES = np.geomspace(1e6, 1e9, 7)
SCANNED = SIZES[3]
STEPS_SEEN = np.geomspace(3e3, 3e5, 12).round()


def loss_at(size, step, batch):
    """The loss after `step` updates of `batch` tokens: S_min depends on the loss that it gives."""

    def excess(loss):
        least = kaplan.least_steps(step, batch, kaplan.critical_batch(loss, **BATCH))
        return (STEPS["N_c"] / size) ** STEPS["alpha_N"] + (STEPS["S_c"] / least) ** STEPS["alpha_S"] - loss

    return brentq(excess, 0.5, 100)


def curve(size, batch, rng, noise, steps=STEPS_SEEN, warmup=0.0):
    shift = np.exp(noise * rng.standard_normal())
    loss = [loss_at(size, step - warmup / 2, batch) * shift for step in steps]
    run = f"{size:.3g}-{batch:.3g}"
    return pd.DataFrame(
        {"run": run, "step": steps, "batch_tokens": batch, "N": size, "tokens": steps * batch, "loss": loss}
    )


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(4)
    plain = [(size, 5e5) for size in SIZES]
    scan = [(SCANNED, batch) for batch in (3e4, 1e5, 2e6, 8e6)]
    rows = pd.concat([curve(*pair, rng, 0.001) for pair in plain + scan])
    spread = np.exp(0.2 * rng.standard_normal(len(rows)))
    return rows.assign(noise_scale=kaplan.critical_batch(rows["loss"], **BATCH) * spread)


def fitted(table, folder):
    table.to_csv(folder / "batches.csv", index=False)
    return fit_laws(read_table(folder / "batches.csv").observations, {"resamples": 300}, seed=2)


@pytest.fixture(scope="module")
def laws(table, tmp_path_factory):
    return fitted(table, tmp_path_factory.mktemp("batches"))


@pytest.mark.parametrize("name", ["critical_batch_by_scans", "critical_batch_by_noise_scale"])
def test_the_critical_batch_comes_back_from_scans_and_from_noise_scales(laws, name):
    law = laws.laws[name]
    assert law.status == "determined"
    assert all(law.parameters[key].contains(value) for key, value in BATCH.items())
    assert law.parameters["alpha_B"].value == pytest.approx(BATCH["alpha_B"], rel=0.1)


def test_a_warm_up_that_takes_as_many_tokens_of_every_batch_is_not_taken_for_a_larger_critical_batch(tmp_path):
    tokens, rng, seen = 2.5e8, np.random.default_rng(3), np.geomspace(3e8, 3e10, 24)
    rows = [curve(SCANNED, batch, rng, 0.0, seen / batch, tokens / batch) for batch in (1e5, 3e5, 1e6, 3e6)]
    pd.concat(rows).round({"step": 0}).to_csv(tmp_path / "scan.csv", index=False)
    observations = read_table(tmp_path / "scan.csv").observations
    warmed = replace(
        observations, runs=observations.runs.assign(warmup_steps=tokens / observations.runs["batch_tokens"])
    )
    task, _ = scan_task(warmed, 0.001, 10, 1)
    assert task.rows["observed"].to_numpy() == pytest.approx(
        kaplan.critical_batch(task.rows["loss"], **BATCH).to_numpy(), rel=0.15
    )
    unaware, _ = scan_task(observations, 0.001, 10, 1)
    assert (unaware.rows["observed"] > 1.5 * kaplan.critical_batch(unaware.rows["loss"], **BATCH)).any()


def test_a_scan_that_does_not_tell_the_critical_batch_where_it_is_needed_gives_way_to_the_noise_scale(
    table, laws, tmp_path
):
    table.to_csv(tmp_path / "batches.csv", index=False)
    observations = read_table(tmp_path / "batches.csv").observations
    scan = laws.laws["critical_batch_by_scans"]
    assert usable(laws.laws, observations) is scan
    unsure = replace(scan, draws=scan.draws * np.geomspace(0.5, 2, len(scan.draws))[:, None])
    assert usable({**laws.laws, scan.name: unsure}, observations).name == "critical_batch_by_noise_scale"


def test_learning_curves_give_the_law_of_size_and_least_steps(laws):
    law = laws.laws["loss_of_parameters_and_steps"]
    for key, value in STEPS.items():
        found = np.log(law.parameters[key].value / value)
        assert abs(found) < (0.03 if key.startswith("alpha") else 0.5), key


def test_the_frontier_of_least_compute_is_as_the_other_laws_say(laws):
    predicted = kaplan.compute_exponents(STEPS["alpha_N"], STEPS["alpha_S"], BATCH["alpha_B"])
    assert laws.laws["loss_of_least_flops"].parameters["alpha_C"].value == pytest.approx(predicted["loss"], rel=0.05)
    for name, value in predicted.items():
        predicted_here = laws.derived[f"predicted_{name}_exponent"].estimate
        measured = laws.derived[f"measured_{name}_exponent"].estimate
        assert predicted_here.value == pytest.approx(value, abs=0.02), name
        assert measured.value == pytest.approx(value, abs=0.06), name
        assert measured.low <= measured.value <= measured.high


def test_what_follows_for_efficient_training(laws):
    assert laws.derived["efficient_excess"].estimate.value == pytest.approx(0.077 / 0.76, rel=0.05)
    assert laws.derived["cost_of_half_size"].estimate.value == pytest.approx(
        float(kaplan.cost_of_size(0.5, 0.077, 0.76)), rel=0.05
    )


def test_without_a_critical_batch_its_laws_are_left_out(table, tmp_path):
    one_batch = table[table["batch_tokens"] == 5e5].drop(columns="noise_scale")
    names = set(fitted(one_batch, tmp_path).laws)
    assert not names & {
        "critical_batch_by_scans",
        "critical_batch_by_noise_scale",
        "loss_of_parameters_and_steps",
        "loss_of_least_flops",
    }


def test_what_has_no_finite_value_is_left_out_and_the_rest_stays(laws):
    law = laws.laws["loss_of_parameters_and_steps"]
    steep = {
        name: replace(each, value=2.0) if name.startswith("alpha") else each for name, each in law.parameters.items()
    }
    # With exponents of two, half the best size never reaches the loss: 1 + (1 - 2²) is below zero.
    found = derived({law.name: replace(law, parameters=steep)}, {}, None, None)
    assert "cost_of_half_size" not in found
    assert "efficient_excess" in found
    json.dumps([asdict(each.estimate) for each in found.values()], allow_nan=False)


@pytest.mark.parametrize("status", ["determined", "undetermined"])
def test_an_undetermined_frontier_implies_nothing(laws, status):
    frontier = replace(laws.allocations["envelope"], status=status)
    found = derived(laws.laws, laws.allocations, laws.laws["critical_batch_by_scans"], frontier)
    assert any(name.startswith("measured_") for name in found) == (status == "determined")
