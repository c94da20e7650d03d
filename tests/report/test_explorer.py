"""The interactive figure is given every run and every law, in groups few enough to switch."""

import numpy as np
import pandas as pd
import pytest
from scalelaws.laws.study import fit_laws
from scalelaws.observations.read import read_table
from scalelaws.report.explorer import MOST_GROUPS, explorer_data


@pytest.fixture(scope="module")
def views(observations, laws):
    return {view["title"]: view["charts"] for view in explorer_data(observations, laws)}


def test_every_run_stands_in_a_group_with_words_of_its_own(views, observations):
    results = observations.results("documentation")
    for chart in views["Runs and their laws"]:
        points, groups = chart["points"], {group["name"] for group in chart["groups"]}
        assert sorted(points["y"]) == pytest.approx(sorted(results["loss"]), rel=1e-4)
        assert set(points["group"]) == groups
        assert len(set(points["words"])) == len(results)


def test_laws_are_drawn_where_they_are_with_their_bands(views, laws):
    chart = next(chart for chart in views["Runs and their laws"] if chart["axis"].startswith("Parameters"))
    law = laws.laws["loss_of_parameters"]
    (curve,) = next(each for each in chart["laws"] if each["title"] == law.title)["curves"]
    np.testing.assert_allclose(curve["y"], law.predict(parameters=curve["x"]), rtol=1e-3)
    np.testing.assert_allclose(curve["low"], law.band(parameters=curve["x"])[0], rtol=1e-3)
    assert curve["solid"] == list(law.ranges["parameters"])
    family = next(each for each in chart["laws"] if each["title"] == "L(N,D), Kaplan")["curves"]
    assert {each["group"] for each in family} == {group["name"] for group in chart["groups"]}


def test_learning_curves_and_other_text_are_there(views, observations):
    curves = observations.curves("documentation")
    for chart in views["Learning curves"]:
        assert len(chart["lines"]) == curves["run"].nunique()
        assert sum(len(line["x"]) for line in chart["lines"]) == len(curves) == len(chart["points"]["x"])
    (other,) = views["Loss on other text"]
    assert len(other["groups"]) == 5
    assert len(other["points"]["x"]) == 5 * len(observations.results("readmes"))


def test_many_sizes_are_put_together_in_ranges(tmp_path):
    rng = np.random.default_rng(0)
    size, data = np.exp(rng.uniform(12, 18, 60)), np.exp(rng.uniform(16, 22, 60))
    loss = 1.8 + 400 / size**0.34 + 400 / data**0.28
    pd.DataFrame({"parameters": size, "tokens": data, "loss": loss}).to_csv(tmp_path / "runs.csv", index=False)
    observations = read_table(tmp_path / "runs.csv").observations
    (runs, *_) = explorer_data(observations, fit_laws(observations, {"resamples": 50}, seed=1))
    for chart in runs["charts"]:
        names = [group["name"] for group in chart["groups"]]
        assert 3 <= len(names) <= MOST_GROUPS
        assert len(set(names)) == len(names)
        assert set(chart["points"]["group"]) == set(names)
