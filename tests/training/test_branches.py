from dataclasses import replace

import numpy as np
import pytest
import torch
from scalelaws.errors import InputError
from scalelaws.training.branches import trunks_and_branches
from scalelaws.training.loop import FORKS
from scalelaws.training.schedule import fork_steps, last_held_step, learning_rate
from scalelaws.units import readable

from .test_loop import RUN, tokens, trained  # noqa: F401  (tokens is a fixture)


def planned(*subsets):
    """Runs of one size that go once through each subset, as the plan makes them."""
    base = replace(RUN, parameters=RUN.shape.parameters, warmup_steps=2, evaluations=4, averaging=0.0)
    return [
        replace(
            base, run=f"{RUN.shape.name}-{readable(count)}-s3", dataset_tokens=count, steps=count // RUN.batch_tokens
        )
        for count in subsets
    ]


def test_a_column_has_one_trunk_that_ends_where_the_longest_branch_decays():
    trunk, *branches = trunks_and_branches(planned(640, 1280, 2560), "config")
    assert (trunk.run, trunk.schedule, trunk.steps) == ("1L16d-trunk-s3", "trunk", 16)
    assert [run.steps for run in branches] == [5, 10, 20]
    assert [run.first_step for run in branches] == [4, 8, 16]  # forks a factor √2 apart, on which doublings fall
    assert {run.trunk for run in branches} == {trunk.run}
    assert {run.stream_tokens for run in (trunk, *branches)} == {2560}
    own = sum(run.flops_total for run in (trunk, *branches))
    assert own == pytest.approx(trunk.flops_total * 23 / 16)  # 23 updates in place of 35


def test_a_new_horizon_leaves_trunk_and_branches_as_they_were():
    before = trunks_and_branches(planned(640, 2560), "config")
    after = trunks_and_branches(planned(640, 1280, 2560), "config")
    assert set(before) < set(after)
    assert len(after) == len(before) + 1


def test_of_runs_that_end_at_the_same_step_the_largest_subset_is_the_stream():
    small, large = planned(1280, 2560)
    made = trunks_and_branches([small, replace(large, steps=small.steps)], "config")
    assert {run.stream_tokens for run in made} == {2560}
    assert made[0].dataset_tokens == 2560


def test_settings_that_differ_with_the_tokens_are_refused():
    short, long = planned(640, 2560)
    with pytest.raises(InputError, match="cannot branch from one trunk"):
        trunks_and_branches([replace(short, learning_rate=1.0), long], "config")
    with pytest.raises(InputError, match="warm-up"):
        trunks_and_branches(planned(256, 2560), "config")


def test_a_trunk_warms_up_as_the_run_that_it_stands_for():
    (alone,) = planned(2560)  # 20 steps, of which the trunk makes 16
    trunk, branch = trunks_and_branches([replace(alone, warmup_steps=10)], "config")
    for step in range(1, trunk.steps + 1):
        rates = (learning_rate(step, run.steps, 1.0, run.schedule, 10) for run in (trunk, branch))
        assert next(rates) == next(rates) == learning_rate(step, alone.steps, 1.0, "wsd", 10)
    with pytest.raises(InputError, match=r"warm-up of 11 steps is more than half of 1L16d-2\.56k-s3's 20"):
        trunks_and_branches([replace(alone, warmup_steps=11)], "config")


def test_a_branch_holds_its_trunks_rate_and_falls_to_zero():
    rates = [learning_rate(step, 20, 1.0, "branch", 2) for step in range(1, 21)]
    assert rates == [learning_rate(step, 20, 1.0, "wsd", 2) for step in range(1, 21)]
    assert rates[: last_held_step(20)] == [learning_rate(step, 16, 1.0, "trunk", 2) for step in range(1, 17)]
    assert rates[-1] == 0.0


def test_a_trunk_saves_its_last_state():
    assert fork_steps(1000)[-3:] == [500, 707, 1000]


@pytest.mark.parametrize("tokens_of_branch", [1280, 1500])
def test_a_branch_equals_the_same_run_made_alone_bit_for_bit(tokens, tmp_path, tokens_of_branch):  # noqa: F811
    trunk, _, branch = trunks_and_branches([*planned(2560), *planned(tokens_of_branch)], "config")
    trained(trunk, tokens, tmp_path / "trunk")
    forked = trained(branch, tokens, tmp_path / "forked", trunk=tmp_path / "trunk" / FORKS)
    assert forked.first_step == branch.first_step > 0
    alone = trained(replace(branch, schedule="wsd"), tokens, tmp_path / "alone")
    assert alone.first_step == 0
    assert torch.equal(forked.weights, alone.weights)
    results = [
        [(row["corpus"], row["split"], row["loss"]) for row in state.losses if row["result"]]
        for state in (forked, alone)
    ]
    assert sorted(results[0]) == sorted(results[1])
    assert min(row["step"] for row in forked.losses) > branch.first_step  # the trunk's evaluations are the trunk's


def test_a_trunk_of_new_settings_leaves_no_fork_of_the_old_ones(tokens, tmp_path):  # noqa: F811
    trunk, branch = trunks_and_branches(planned(2560), "config")
    trained(replace(trunk, learning_rate=0.01), tokens, tmp_path / "again", owner="old")
    for folder in ("again", "once"):
        trained(trunk, tokens, tmp_path / folder)
    forks = [tmp_path / folder / FORKS for folder in ("again", "once")]
    assert len(list(forks[0].iterdir())) == len(list(forks[1].iterdir())) == len(fork_steps(trunk.steps))
    again, once = (trained(branch, tokens, tmp_path / at.parent.name / "branch", trunk=at) for at in forks)
    assert again.first_step == branch.first_step
    assert torch.equal(again.weights, once.weights)


def test_a_damaged_fork_costs_a_branch_some_training_and_nothing_else(tokens, tmp_path):  # noqa: F811
    trunk, branch = trunks_and_branches(planned(2560), "config")
    trained(trunk, tokens, tmp_path / "trunk")
    forks = tmp_path / "trunk" / FORKS
    whole = trained(branch, tokens, tmp_path / "whole", trunk=forks)
    newest = max(forks.iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    other = trained(branch, tokens, tmp_path / "other", trunk=forks)
    assert 0 < other.first_step < whole.first_step
    assert torch.equal(other.weights, whole.weights)
    assert np.isfinite(other.best_loss)
