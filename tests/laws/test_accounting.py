import numpy as np
import pytest
from scalelaws.laws.accounting import (
    exponents_by_convention,
    frontier_exponent,
    local_exponent,
    non_embedding_parameters,
    total_parameters,
)
from scalelaws.laws.study import fit_laws

from . import synthetic


def test_conversions_undo_each_other():
    sizes = np.geomspace(1e3, 1e12, 30)
    np.testing.assert_allclose(non_embedding_parameters(total_parameters(sizes)), sizes, rtol=1e-6)


def test_embeddings_matter_for_small_models_only():
    assert total_parameters(1e6) / 1e6 > 4
    assert total_parameters(7e10) / 7e10 == pytest.approx(1, abs=0.01)


def test_a_local_exponent_is_the_derivative():
    n = np.array([1e5, 1e8, 1e11])
    ahead, behind = (0.5 * np.log(total_parameters(n * np.exp(s))) for s in (1e-5, -1e-5))
    np.testing.assert_allclose(local_exponent(n, 0.5), (ahead - behind) / 2e-5, rtol=1e-6)
    assert local_exponent(1e14, 0.5) == pytest.approx(0.5, rel=1e-3)
    assert local_exponent(1.0, 0.5) == pytest.approx(0.5 / 3, rel=1e-3)


def test_counting_embeddings_makes_the_exponent_of_size_steeper_and_leaves_data_alone():
    law = fit_laws(
        synthetic.study(noise=0.0), {"resamples": 100, "fit": ["loss_of_parameters_and_data_chinchilla"]}, seed=0
    ).laws["loss_of_parameters_and_data_chinchilla"]
    used = law.data[law.data["used"]]
    found = exponents_by_convention(law, 40 * np.sqrt(used["parameters"] / 24))
    assert found["non_embedding"] == pytest.approx({"alpha": 0.4, "beta": 0.32}, abs=1e-3)
    assert found["total"]["alpha"] > 0.41
    assert found["total"]["beta"] == pytest.approx(0.32, abs=0.02)


def test_small_models_see_a_steeper_frontier_without_embeddings():
    """On a frontier N ∝ √C in total parameters, where D_opt ∝ N_total."""
    total = 10.0 ** np.linspace(5, 12, 2000)
    size = non_embedding_parameters(total)
    slope = np.gradient(np.log(size)) / np.gradient(np.log(6 * size * total))
    np.testing.assert_allclose(frontier_exponent(size, 0.5)[1:-1], slope[1:-1], rtol=1e-3)
    assert frontier_exponent(1e3, 0.5) > 0.73, "what Kaplan et al. measured"
    assert frontier_exponent(7e10, 0.5) == pytest.approx(0.5, abs=0.01), "what Hoffmann et al. measured"
