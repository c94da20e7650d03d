from dataclasses import replace

import pytest
import torch
from scalelaws.models.shapes import Shape
from scalelaws.training.state import initial_state, newest_step, read_checkpoint, views, write_checkpoint

SHAPE = Shape(2, 16, 1, 32, 100)


def state_at(step):
    state = initial_state(SHAPE, seed=0)
    state.step = step
    state.weights += step
    state.losses.append({"run": "a", "step": step, "loss": 1.5})
    return state


def same(one, other):
    buffers = ("weights", "average", "first_moment", "second_moment", "best")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in buffers) and (
        one.numbers() == other.numbers()
    )


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    write_checkpoint(tmp_path, state_at(7), "me")
    assert same(read_checkpoint(tmp_path, "me"), state_at(7))


def test_only_the_two_newest_are_kept(tmp_path):
    for step in (1, 2, 10):
        write_checkpoint(tmp_path, state_at(step), "me")
    assert sorted(int(path.name.split("-")[0]) for path in tmp_path.iterdir()) == [2, 10]


@pytest.mark.parametrize("kept", [2, None])
def test_of_a_step_that_is_made_again_the_new_state_stays(tmp_path, kept):
    for step, seconds in ((1, 1.0), (2, 2.0), (2, 3.0)):
        write_checkpoint(tmp_path, replace(state_at(step), seconds=seconds), "me", kept)
    assert sorted(path.name[:9] for path in tmp_path.iterdir()) == ["000000001", "000000002"]
    assert read_checkpoint(tmp_path, "me").seconds == 3.0


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path):
    for step in (1, 2):
        write_checkpoint(tmp_path, state_at(step), "me")
    newest = max(tmp_path.iterdir())
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert same(read_checkpoint(tmp_path, "me"), state_at(1))
    newest.write_bytes(content[: len(content) // 2])
    assert same(read_checkpoint(tmp_path, "me"), state_at(1))


def test_a_checkpoint_of_other_settings_is_not_taken_up(tmp_path):
    write_checkpoint(tmp_path, state_at(7), "someone else")
    assert read_checkpoint(tmp_path, "me") is None
    assert read_checkpoint(tmp_path / "absent", "me") is None


def test_a_run_s_checkpoint_outlives_those_of_other_settings_that_had_come_further(tmp_path):
    for step in (900, 1000):
        write_checkpoint(tmp_path, state_at(step), "someone else")
    write_checkpoint(tmp_path, state_at(50), "me")
    assert same(read_checkpoint(tmp_path, "me"), state_at(50))
    assert newest_step(tmp_path, "me") == 50
    assert newest_step(tmp_path, "someone else") is None


def test_what_a_killed_process_was_writing_goes_with_the_next_checkpoint(tmp_path):
    (tmp_path / ".000000003-a-b.safetensors.elsewhere.1.tmp").touch()
    write_checkpoint(tmp_path, state_at(7), "me")
    assert [path.name[:9] for path in tmp_path.iterdir()] == ["000000007"]


def test_views_share_the_flat_buffer():
    state = initial_state(SHAPE, seed=0)
    views(state.weights, SHAPE)["layers.1.attention_out"].fill_(3.0)
    assert (state.weights == 3.0).sum() == 16 * 16
