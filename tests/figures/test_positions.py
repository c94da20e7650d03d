"""Loss by position: every size and family at the most data, its law, and how the loss at a position falls with size."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scalelaws.figures.architecture import loss_by_position
from scalelaws.figures.numbers import numbers_of
from scalelaws.figures.positions import binned, fitted_losses, losses_of_models
from scalelaws.figures.registry import FIGURES, Material, NotDrawableError

from .study import CONTEXT, SIZES, SUBSETS, position_law

pytestmark = pytest.mark.usefixtures("style")
BINS = [
    [1],
    [2],
    [3, 4],
    [5, 6, 7, 8],
    list(range(9, 17)),
    list(range(17, 33)),
    list(range(33, 65)),
    list(range(65, 129)),
]


def drawn(observations, laws):
    table = numbers_of(FIGURES[loss_by_position.__name__].draw(Material(observations, laws)))
    by_position = table["panel"].str.contains("Position")
    return table[by_position], table[~by_position]


def test_points_are_means_over_positions_of_the_runs_on_the_most_data(observations, laws):
    above, _ = drawn(observations, laws)
    points = above[above["mark"] == "points"]
    assert points["series"].nunique() == len(SIZES)
    for size in SIZES:
        own = points[points["series"] == f"transformer, N = {size / 1000:g}k"].reset_index(drop=True)
        assert len(own) == len(BINS)
        for number, positions in enumerate(BINS):
            point = own.loc[number]
            assert point["x"] == pytest.approx(np.exp(np.mean(np.log(positions))))
            assert point["y"] == pytest.approx(position_law(size, np.array(positions, float)).mean())


def test_lines_are_the_law_that_the_losses_follow(observations, laws):
    above, _ = drawn(observations, laws)
    for size in SIZES:
        line = above[above["series"] == f"transformer, N = {size / 1000:g}k, law"]
        assert (line["x"].min(), line["x"].max()) == pytest.approx((1, CONTEXT))
        np.testing.assert_allclose(line["y"], position_law(size, line["x"].to_numpy()), rtol=1e-4)


def test_a_loss_that_does_not_fall_is_drawn_where_it_is():
    noise = np.random.default_rng(2).normal(0, 0.01, 32)
    losses = pd.DataFrame({"position": np.arange(1, 33), "loss": 5.6 + noise, "loss_sem": 0.01})
    losses = losses.sort_values("loss").assign(position=np.arange(1, 33))  # rises, if anything
    np.testing.assert_allclose(fitted_losses(losses, np.array([1.0, 20.0])), 5.6, atol=0.02)


def test_noisier_positions_count_less():
    position = np.arange(1, 33)
    losses = pd.DataFrame({"position": position, "loss": position_law(1e5, position), "loss_sem": 0.01})
    losses.loc[::4, ["loss", "loss_sem"]] += [3.0, 100.0]
    at = np.array([1.5, 20.0])
    np.testing.assert_allclose(fitted_losses(losses, at), position_law(1e5, at), rtol=1e-3)


def test_too_few_positions_have_no_law():
    position = np.arange(1, 6)
    losses = pd.DataFrame({"position": position, "loss": position_law(1e5, position), "loss_sem": 0.01})
    assert fitted_losses(losses, np.array([2.0])) is None


def test_the_loss_at_a_position_falls_with_size(observations, laws):
    _, below = drawn(observations, laws)
    points = below[below["mark"] == "points"]
    assert points["series"].nunique() == 5
    first = points[points["series"] == "transformer, T = 1"]
    np.testing.assert_allclose(first["x"], SIZES)
    np.testing.assert_allclose(first["y"], [position_law(size, np.array([1.0])).item() for size in SIZES])
    assert "transformer, T = 95" in set(points["series"]), "the last ones, from 65 to 128, by their geometric mean"


def test_families_and_times_through_the_layers_are_drawn_apart(observations, laws):
    runs, last = observations.runs, observations.runs["dataset_tokens"] == SUBSETS[-1]
    assert last.sum() == len(SIZES)
    families = ["lstm", "universal", "universal", "transformer", "transformer"]
    runs = runs.assign(recurrence=1).set_index("run")
    chosen = runs.index[last.to_numpy()]
    runs.loc[chosen, "family"] = families
    runs.loc[chosen, "recurrence"] = [1, 2, 6, 1, 1]
    above, _ = drawn(replace(observations, runs=runs.reset_index()), laws)
    shown = set(above["series"].str.partition(",")[0])
    assert shown == {"lstm", "transformer", "universal ×2", "universal ×6"}


def test_seeds_are_averaged_and_other_settings_of_a_sweep_left_out(observations, laws):
    few = observations.runs["dataset_tokens"] == SUBSETS[0]
    runs = observations.runs[few].assign(variant="")
    names = runs["run"].to_numpy()
    changed = observations.positions.copy()
    changed.loc[changed["run"].str.endswith("s1"), "loss"] += 0.5
    both = losses_of_models(replace(observations, runs=runs, positions=changed))
    one = runs.assign(variant=np.where(runs["run"].str.endswith("s1"), "batch512", ""))
    alone = losses_of_models(replace(observations, runs=one, positions=changed).of_variants("family"))
    assert len(names) == 2 * len(SIZES)
    np.testing.assert_allclose(both["loss"], alone["loss"] + 0.25)


def test_bins_keep_every_position(observations):
    losses = losses_of_models(observations)
    counts = losses.groupby(["family", "parameters"]).size()
    assert (counts == CONTEXT).all()
    assert binned(losses)["bin"].max() == 7


@pytest.mark.parametrize(
    ("positions", "reason"),
    [(None, "none by position"), (slice(0, 0), "no run on the most data")],
    ids=["none", "empty"],
)
def test_without_losses_by_position_there_is_a_reason(positions, reason, observations, laws):
    kept = None if positions is None else observations.positions.iloc[positions]
    with pytest.raises(NotDrawableError, match=reason):
        drawn(replace(observations, positions=kept), laws)
