"""One synthetic study and its fitted laws, shared by the tests of the figures."""

import matplotlib as mpl
import pytest
from scalelaws.figures.registry import Material
from scalelaws.figures.style import styled

from .study import cards_of, laws_of, synthetic_observations
from .varied import varied_observations

mpl.use("agg")


@pytest.fixture(scope="session")
def observations():
    return synthetic_observations()


@pytest.fixture(scope="session")
def laws(observations, tmp_path_factory):
    return laws_of(observations, "synthetic", tmp_path_factory)


@pytest.fixture(scope="session")
def material(observations, laws, tmp_path_factory):
    """A study of the usual kind: sizes by subsets, other corpora, corpus cards."""
    return Material(observations, laws, cards_of(tmp_path_factory.mktemp("cards")))


@pytest.fixture(scope="session")
def varied(tmp_path_factory):
    """A study that varied batches, rates, schedules, shapes, families and training corpora."""
    observations = varied_observations()
    return Material(observations, laws_of(observations, "varied", tmp_path_factory))


@pytest.fixture
def style():
    with styled():
        yield
