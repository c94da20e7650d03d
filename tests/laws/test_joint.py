import numpy as np
import pytest
from scalelaws.laws.fitted import DETERMINED
from scalelaws.laws.joint import ENDLESS, fit_error, held_fixed, joint_laws
from scalelaws.laws.study import fit_laws

from . import synthetic

FIT = ["loss_of_parameters", *(f"loss_of_parameters_and_data_{form}" for form in ("kaplan", "chinchilla"))]
SIZES = tuple(np.geomspace(3e3, 3e6, 7))


def fitted(subsets):
    observations = synthetic.study(sizes=SIZES, subsets=subsets, noise=0.002)
    return observations, fit_laws(observations, {"resamples": 100, "fit": FIT}, seed=1)


@pytest.fixture(scope="module")
def limited():
    return fitted((3e4, 1e5, 3e5))


def test_the_law_that_made_the_data_speaks_for_them(limited):
    observations, laws = limited
    first, *others = joint_laws(laws.laws, observations.train_corpus)
    assert (first.form, first.status) == ("chinchilla", DETERMINED)
    assert all(fit_error(first) < fit_error(law) for law in others)


def test_a_law_of_size_says_by_how_much_its_data_limit_it(limited):
    observations, laws = limited
    law, best = laws.laws["loss_of_parameters"], joint_laws(laws.laws, observations.train_corpus)[0]
    assert held_fixed(law, observations) == 3e5
    (note,) = [message for message in law.messages if "not without limit" in message]
    assert note.startswith("holds at D = 300k, not without limit: by L(N,D), Chinchilla its losses are ")
    excess = best.predict(parameters=SIZES[-1], dataset_tokens=3e5) / best.predict(
        parameters=SIZES[-1], dataset_tokens=ENDLESS
    )
    assert f"{excess - 1:.1%} above" in note


def test_a_law_of_size_on_plenty_of_data_says_nothing_of_limits():
    _, laws = fitted((1e7, 1e9, 1e11))
    assert not any("limit" in message for message in laws.laws["loss_of_parameters"].messages)
