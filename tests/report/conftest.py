"""A study's folder with a report in it, written once for all tests of the page."""

import pytest
from figures.study import laws_of, synthetic_observations
from scalelaws.report.page import write_report

from . import CONFIG, plan_of, write_study


@pytest.fixture(scope="session")
def observations():
    return synthetic_observations()


@pytest.fixture(scope="session")
def laws(observations, tmp_path_factory):
    return laws_of(observations, "synthetic", tmp_path_factory)


@pytest.fixture(scope="session")
def study(observations, laws, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "synthetic"
    write_study(folder)
    cards = [folder / "corpus" / name / "card.json" for name in CONFIG["corpora"]]
    provenance = {"recipe": "fedcba9876543210", "packages": {"jinja2": "3.1"}}
    write_report(folder / "report.html", observations, laws, plan_of(observations), cards, CONFIG, provenance)
    return folder


@pytest.fixture(scope="session")
def page(study):
    return (study / "report.html").read_text(encoding="utf-8")
