from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scalelaws.errors import InputError
from scalelaws.training.evaluate import EvaluationSet, evaluation_sets, losses_by_position, summary

from .test_loop import RUN, tokens, trained  # noqa: F401  (tokens is a fixture)


def test_in_passing_every_third_window_is_evaluated_but_never_fewer_than_two():
    chosen = EvaluationSet("a", "test", np.arange(96)[:, None], np.arange(96)[:, None] + 1, 4.0)
    few = chosen.in_passing()
    assert few.inputs[:, 0].tolist() == list(range(0, 96, 3))
    assert (few.targets == few.inputs + 1).all()
    two = replace(chosen, inputs=chosen.inputs[:2], targets=chosen.targets[:2])
    assert len(two.in_passing().inputs) == 2


def test_a_result_is_evaluated_on_every_window(tokens, tmp_path):  # noqa: F811
    """An early result's rows are those of a run that ends there: whole sets, the same weights."""
    early = trained(replace(RUN, dataset_tokens=300, steps=600, patience=4, evaluations=40), tokens, tmp_path / "early")
    assert early.status == "early_stopped"
    ends_there = replace(RUN, dataset_tokens=300, steps=early.best_step)
    rows = [
        pd.DataFrame(state.losses).query("result").set_index(["corpus", "split"])[["loss", "loss_sem"]].sort_index()
        for state in (early, trained(ends_there, tokens, tmp_path / "whole"))
    ]
    pd.testing.assert_frame_equal(*rows)


def test_the_standard_error_is_that_of_windows():
    losses = np.random.default_rng(0).normal(3, 1, (50, 8)).astype(np.float32)
    chosen = EvaluationSet("a", "test", np.zeros((50, 8), int), np.zeros((50, 8), int), 4.0)
    found = summary(chosen, losses)
    assert np.isclose(found["loss_sem"], losses.mean(1).std(ddof=1) / np.sqrt(50))
    by_position = losses_by_position(chosen, losses)
    assert np.isclose(np.mean([row["loss"] for row in by_position]), found["loss"])
    assert np.isclose(by_position[2]["loss_sem"], losses[:, 2].std(ddof=1) / np.sqrt(50))


def test_a_mean_loss_is_above_zero_however_the_losses_of_text_known_by_heart_are_rounded():
    chosen = EvaluationSet("a", "train", np.zeros((50, 8), int), np.zeros((50, 8), int), 4.0)
    rounded = np.random.default_rng(0).normal(-6e-4, 1e-3, (50, 8)).astype(np.float32)
    found = summary(chosen, rounded)
    assert 0 < found["loss"] < 1e-5
    assert found["bits_per_byte"] > 0
    assert all(0 < row["loss"] < 1e-3 for row in losses_by_position(chosen, rounded))
    assert summary(chosen, rounded + np.float32(1e-3))["loss"] == pytest.approx(4e-4, rel=0.3)  # no bias above
    assert np.isnan(summary(chosen, rounded * np.nan)["loss"])


def test_training_text_that_a_run_does_not_see_is_evaluated_for_its_result_alone(tokens, tmp_path):  # noqa: F811
    """A run that repeats knows its own text better; one that sees all text leaves none."""
    losses = pd.DataFrame(trained(replace(RUN, dataset_tokens=300, steps=300), tokens, tmp_path).losses)
    unseen = losses[losses["split"] == "unseen"]
    assert unseen["result"].tolist() == [True]
    assert unseen["corpus"].tolist() == ["pages"]
    (seen,) = losses.loc[losses["result"] & (losses["split"] == "train"), "loss"]
    assert seen < unseen["loss"].item() - 0.1
    last = tokens["pages", "train"].ids[2700:]
    inputs = {s.split: s.inputs for s in evaluation_sets(RUN, tokens, "pages")}["unseen"]
    pieces = np.lib.stride_tricks.sliding_window_view(last, RUN.context)
    assert all((pieces == row).all(axis=1).any() for row in inputs)
    assert "unseen" not in {s.split for s in evaluation_sets(replace(RUN, dataset_tokens=2701), tokens, "pages")}


def test_a_subset_of_one_sequence_is_refused(tokens):  # noqa: F811
    with pytest.raises(InputError, match="hold 1 sequences of 16, and two are needed"):
        evaluation_sets(replace(RUN, dataset_tokens=20), tokens, "pages")
