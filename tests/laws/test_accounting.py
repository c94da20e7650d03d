from dataclasses import replace

import numpy as np
import pytest
from scalelaws.laws.accounting import (
    EVERY,
    WITH,
    WITHOUT,
    frontier_exponent,
    local_exponent,
    recounted,
    with_embeddings,
    with_every_product,
)
from scalelaws.laws.study import fit_laws
from scalelaws.models.shapes import Shape
from scalelaws.observations.table import Observations
from scalelaws.units import non_embedding_parameters, total_parameters

from . import synthetic

FACTOR = 2000.0
"""Of embeddings against the cube root of N, so that the smallest of these small models are four fifths embeddings."""
SIZES = np.geomspace(3e3, 3e6, 13)
SUBSETS = (1e5, 1e6, 1e7, 1e8, 1e9)
TRUE_A = synthetic.CHINCHILLA["beta"] / (synthetic.CHINCHILLA["alpha"] + synthetic.CHINCHILLA["beta"])
MORE_THAN_LINEAR = 1.5
"""How the products of every token grow with a model's total size."""
ONE_TERM = {"E": 1e-9, "A": 600.0, "B": 1e-9, "alpha": 0.4, "beta": 0.32}


def of_total_parameters(noise=0.0, truth=synthetic.CHINCHILLA):
    """Runs whose loss is a law of N with embeddings, in a table that keeps these apart (Pearce & Song 2024)."""
    sizes = total_parameters(SIZES, FACTOR)
    whole = synthetic.study(sizes, SUBSETS, truth=truth, noise=noise, max_tokens=SUBSETS[-1])
    runs, losses = whole.runs, whole.losses
    size = non_embedding_parameters(runs["parameters"], FACTOR)
    share = dict(zip(runs["run"], size / runs["parameters"], strict=True))
    every = 6 * runs["parameters"] ** MORE_THAN_LINEAR * runs["tokens"]
    runs = runs.assign(
        embedding_parameters=runs["parameters"] - size,
        parameters=size,
        flops=6 * size * runs["tokens"],
        flops_total=every,
    )
    return Observations(losses.assign(flops=losses["flops"] * losses["run"].map(share)), runs)


@pytest.fixture(scope="module")
def laws():
    return fit_laws(of_total_parameters(noise=0.001), {"resamples": 200}, seed=1)


def test_a_local_exponent_is_the_derivative():
    n = np.array([1e5, 1e8, 1e11])
    ahead, behind = (0.5 * np.log(total_parameters(n * np.exp(s))) for s in (1e-5, -1e-5))
    np.testing.assert_allclose(local_exponent(n, 0.5), (ahead - behind) / 2e-5, rtol=1e-6)
    assert local_exponent(1e14, 0.5) == pytest.approx(0.5, rel=1e-3)
    assert local_exponent(1.0, 0.5) == pytest.approx(0.5 / 3, rel=1e-3)


def test_small_models_see_a_steeper_frontier_without_embeddings():
    """Hoffmann et al.'s law over Kaplan et al.'s sizes, the best size at each C found by trying all of them."""
    size = np.geomspace(768, 1.5e9, 4001)
    flops = np.geomspace(1e13, 1e21, 60)[:, None]
    loss = 406.4 * total_parameters(size) ** -0.34 + 410.7 * (flops / (6 * size)) ** -0.28
    best = size[loss.argmin(axis=1)]
    inside = (best > size[0]) & (best < size[-1])
    log_n, log_c = np.log(best[inside]), np.log(flops[inside, 0])
    middle = np.sqrt(best[inside][2:] * best[inside][:-2])
    found = (log_n[2:] - log_n[:-2]) / (log_c[2:] - log_c[:-2])
    np.testing.assert_allclose(frontier_exponent(middle, 0.34, 0.28), found, atol=0.02)
    assert np.polyfit(log_c, log_n, 1)[0] == pytest.approx(0.73, abs=0.02), "what Kaplan et al. found"
    assert frontier_exponent(1e14, 0.34, 0.28) == pytest.approx(0.28 / 0.62, abs=1e-3), "what Hoffmann et al. found"


def test_counting_embeddings_turns_runs_into_those_of_their_total_size():
    observations = of_total_parameters()
    counted = with_embeddings(observations)
    np.testing.assert_allclose(np.unique(counted.runs["parameters"]), total_parameters(SIZES, FACTOR))
    for table, n in ((counted.runs, counted.runs["parameters"]), (counted.losses, sizes_of(counted))):
        np.testing.assert_allclose(table["flops"], 6 * n * table["tokens"])
    assert (observations.runs["parameters"] < counted.runs["parameters"]).all(), "the table given is left as it was"


def sizes_of(observations):
    return observations.losses["run"].map(observations.runs.set_index("run")["parameters"])


def test_tokens_go_through_embeddings_once_however_often_they_go_through_the_layers():
    observations = of_total_parameters()
    thrice = Observations(
        observations.losses.assign(flops=3 * observations.losses["flops"]),
        observations.runs.assign(flops=3 * observations.runs["flops"]),
    )
    more = with_embeddings(thrice).runs["flops"] - thrice.runs["flops"]
    np.testing.assert_allclose(more, 6 * thrice.runs["embedding_parameters"] * thrice.runs["tokens"])


@pytest.mark.parametrize("approach", ["envelope", "isoflop", "parametric"])
def test_counting_embeddings_brings_a_known_frontier_back(laws, approach):
    found = laws.accounts[f"{approach}/parameters"]
    assert found.estimates[WITH].value == pytest.approx(TRUE_A, abs=0.025)
    assert found.estimates[WITH].low <= found.estimates[WITH].value <= found.estimates[WITH].high
    assert found.status[WITH] == "determined"
    assert laws.accounts[f"{approach}/tokens"].estimates[WITH].value == pytest.approx(1 - TRUE_A, abs=0.025)


@pytest.mark.parametrize("approach", ["envelope", "isoflop"])
def test_without_embeddings_the_frontier_is_steeper_as_predicted_for_its_sizes(laws, approach):
    optima = laws.allocations[approach].points.query("used")["parameters"]
    law = synthetic.CHINCHILLA
    along = frontier_exponent(np.geomspace(optima.min(), optima.max(), 200), law["alpha"], law["beta"], FACTOR)
    found = laws.accounts[f"{approach}/parameters"].estimates
    assert found[WITHOUT].value == pytest.approx(1 / np.mean(1 / along), abs=0.03)
    assert found[WITHOUT].low > found[WITH].value


def test_a_law_of_total_parameters_is_flatter_in_those_without_embeddings_as_predicted():
    observations = of_total_parameters(truth=ONE_TERM)
    found = fit_laws(observations, {"resamples": 100, "fit": ["loss_of_parameters"]}, seed=0).accounts
    estimates = found["loss_of_parameters/alpha_N"].estimates
    assert estimates[WITH].value == pytest.approx(ONE_TERM["alpha"], abs=1e-4)
    least, most = local_exponent(SIZES[[0, -1]], ONE_TERM["alpha"], FACTOR)
    assert least < estimates[WITHOUT].value < most


def test_accounts_hold_every_exponent_of_laws_of_size_or_compute_and_of_no_others(laws):
    expected = {
        f"{law.name}/{name}"
        for law in laws.laws.values()
        if {"parameters", "flops"} & set(law.variables)
        for name, estimate in law.parameters.items()
        if estimate.unit == ""
    }
    expected |= {f"{approach}/{name}" for approach in laws.allocations for name in ("parameters", "tokens")}
    assert set(laws.accounts) == expected
    assert {"loss_of_flops/alpha_C", "ood_loss:growing/alpha_N"} <= expected
    for name, found in laws.accounts.items():
        owner, exponent = name.split("/")
        own = laws.laws[owner].parameters if owner in laws.laws else laws.allocations[owner].exponents
        assert found.estimates[WITHOUT] == own[exponent]
        of_compute = owner in ("envelope", "isoflop") or owner.startswith("loss_of_flops")
        assert set(found.estimates) == set(found.status) == {WITHOUT, WITH, *([EVERY] if of_compute else [])}


@pytest.mark.parametrize("approach", ["envelope", "isoflop"])
def test_counting_every_product_makes_the_frontier_as_steep_as_these_grow(laws, approach):
    alpha, beta = synthetic.CHINCHILLA["alpha"], synthetic.CHINCHILLA["beta"]
    expected = beta / (alpha + MORE_THAN_LINEAR * beta)
    assert laws.accounts[f"{approach}/parameters"].estimates[EVERY].value == pytest.approx(expected, abs=0.03)


def test_the_products_of_our_own_runs_are_those_of_their_shape():
    shape = Shape(2, 64, 2, 128, 4096)
    observations = synthetic.study(sizes=(float(shape.parameters),))
    counted = with_every_product(observations)
    np.testing.assert_allclose(counted.runs["flops"], 3 * shape.forward_flops * observations.runs["tokens"])
    np.testing.assert_allclose(counted.losses["flops"], 3 * shape.forward_flops * observations.losses["tokens"])
    np.testing.assert_allclose(counted.runs["parameters"], shape.parameters + observations.runs["embedding_parameters"])


@pytest.mark.parametrize("with_or_without", [0, 1])
def test_a_table_whose_compute_is_that_of_another_account_has_no_third_one(with_or_without):
    observations = of_total_parameters()
    runs = observations.runs
    size = runs["parameters"] + with_or_without * runs["embedding_parameters"]
    told = Observations(observations.losses, runs.assign(flops_total=6 * size * runs["tokens"]))
    assert with_every_product(told) is None


@pytest.mark.parametrize("lacking", [0.0, np.nan])
def test_a_table_that_lacks_the_embeddings_of_a_run_has_one_account_only(lacking):
    observations = synthetic.study()
    embeddings = observations.runs["embedding_parameters"].where(observations.runs.index > 0, lacking)
    same = observations.runs["flops"]
    partly = Observations(
        observations.losses, observations.runs.assign(embedding_parameters=embeddings, flops_total=same)
    )
    assert with_embeddings(partly) is None
    fitted = fit_laws(partly, {"resamples": 50, "fit": ["loss_of_parameters"]}, seed=0)
    assert fitted.laws["loss_of_parameters"].parameters
    assert fitted.accounts == {}


def test_an_exponent_that_one_account_does_not_give_is_shown_of_the_other(laws):
    poorer = replace(laws, laws={}, allocations={})
    found = recounted({WITHOUT: laws, WITH: poorer})
    assert found.keys() == laws.accounts.keys()
    assert all(set(entry.estimates) == {WITHOUT} for entry in found.values())
