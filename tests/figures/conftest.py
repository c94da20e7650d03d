"""One synthetic study and its fitted laws, shared by the tests of the figures."""

import matplotlib as mpl
import pytest
from scalelaws.figures.style import styled
from scalelaws.laws.study import fit_laws

from .study import synthetic_observations

mpl.use("agg")


@pytest.fixture(scope="session")
def observations():
    return synthetic_observations()


@pytest.fixture(scope="session")
def laws(observations):
    return fit_laws(observations, {"resamples": 200}, seed=1, study="synthetic")


@pytest.fixture
def style():
    with styled():
        yield
