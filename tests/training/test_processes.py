"""Several processes, as torchrun starts them, train to the losses of one."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scalelaws.errors import InputError
from scalelaws.training import processes

from .test_loop import RUN, tokens, trained  # noqa: F401  (tokens is a fixture)

TRAINER = """
import json, os, signal, sys, time
import numpy as np
sys.path.insert(0, sys.argv[2])
from training import test_loop
from scalelaws.training import loop, processes
from scalelaws.training.engine import Engine
folder, said = loop.Path(sys.argv[1]), json.loads(sys.argv[3])
parts = np.load(folder / "parts.npz")
tokens = {tuple(name.split(".")): test_loop.token_file(ids) for name, ids in parts.items()}
run = test_loop.replace(test_loop.RUN, **said["changes"])
held = []
plain_queue = Engine.queue
def queue(engine, inputs, targets):
    held[:] = [engine.state.weights.numel(), engine.gradient.numel()]
    if engine.state.step == said["killed_at"] and processes.rank() == 0:
        os.kill(os.getpid(), signal.SIGTERM)
    return plain_queue(engine, inputs, targets)
Engine.queue = queue
written = []
plain_write = loop.write_checkpoint
def write(folder, state, *rest):
    written.append(state.step)
    time.sleep(said["writing"])
    plain_write(folder, state, *rest)
loop.write_checkpoint, loop.CHECKPOINT_SECONDS = write, said["spacing"]
state = test_loop.trained(run, tokens, folder / "checkpoints", sharded=said["sharded"])
content = {"losses": state.losses, "held": held, "weights": state.best.tolist(), "written": written}
(folder / f"{processes.rank()}.json").write_text(json.dumps(content))
processes.leave()
"""
EXACT = {"precision": "float32"}


def together(tokens, folder, count, killed_at=-1, sharded=False, writing=0.0, spacing=30.0, **changes):  # noqa: F811
    """What each of so many processes says of a run that they train together; None where they were killed.

    A checkpoint takes `writing` seconds more than it does, and is due after `spacing` at the earliest.
    """
    folder.mkdir(exist_ok=True)
    np.savez(folder / "parts.npz", **{".".join(key): file.ids for key, file in tokens.items()})
    script = folder / "trainer.py"
    script.write_text(TRAINER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", str(script)]
    said = {"changes": EXACT | changes, "killed_at": killed_at, "sharded": sharded}
    said |= {"writing": writing, "spacing": spacing}
    done = subprocess.run(
        [*command, str(folder), str(Path(__file__).parents[1]), json.dumps(said)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode == 0) == (killed_at < 0), done.stderr[-2000:]
    return None if killed_at >= 0 else [json.loads((folder / f"{rank}.json").read_text()) for rank in range(count)]


def assert_like(losses, others):
    assert [row["loss"] for row in losses] == pytest.approx([row["loss"] for row in others], rel=1e-4)


@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_give_the_losses_of_one(tokens, tmp_path, count):  # noqa: F811
    each = together(tokens, tmp_path, count)
    assert all(one["losses"] == each[0]["losses"] for one in each)
    assert_like(each[0]["losses"], trained(replace(RUN, **EXACT), tokens, tmp_path / "alone").losses)


HALVES = {"family": "encoder_decoder", "n_layer": 2, "encoder_layers": 1, "evaluation_tokens": 1200}
SHARDED = [
    (2, {}),
    (4, {"family": "lstm", "n_head": 0, "positions": "none"}),
    (4, {"parametrization": "mup", "tied": False, "positions": "rotary", "learning_rate": 0.002}),
    (
        2,
        {
            "family": "encoder_decoder",
            "n_layer": 2,
            "encoder_layers": 1,
            "learning_rate": 0.005,
            "evaluation_tokens": 1200,
        },
    ),
]


@pytest.mark.parametrize(
    ("count", "changes"), SHARDED, ids=["2", "4, LSTM", "4, rotary, untied, mup", "2, encoder-decoder"]
)
def test_processes_that_each_hold_a_piece_of_the_state_give_the_losses_and_weights_of_one(
    tokens, tmp_path, count, changes  # noqa: F811
):  # fmt: skip
    each = together(tokens, tmp_path, count, sharded=True, **changes)
    alone = trained(replace(RUN, **EXACT, **changes), tokens, tmp_path / "alone")
    assert all(one["losses"] == each[0]["losses"] for one in each)
    assert_like(each[0]["losses"], alone.losses)
    assert each[0]["weights"] == pytest.approx(alone.best.tolist(), rel=1e-2, abs=1e-3)
    pieces = -(-alone.weights.numel() // count)
    assert all(pieces <= number < pieces + 20 for one in each for number in one["held"]), "each holds its share"


def test_a_run_in_pieces_that_was_killed_goes_on_as_one_that_was_not_and_so_would_a_process_alone(tokens, tmp_path):  # noqa: F811
    undisturbed = together(tokens, tmp_path / "undisturbed", 2, sharded=True)
    together(tokens, tmp_path / "killed", 2, killed_at=23, sharded=True)
    assert [path.name[:9] for path in (tmp_path / "killed/checkpoints").glob("*.safetensors")] == ["000000024"]
    alone = trained(replace(RUN, **EXACT), tokens, shutil.copytree(tmp_path / "killed/checkpoints", tmp_path / "copy"))
    resumed = together(tokens, tmp_path / "killed", 2, sharded=True)
    assert resumed[0]["losses"] == undisturbed[0]["losses"]
    assert_like(alone.losses, undisturbed[0]["losses"])


def test_checkpoints_that_take_long_are_written_as_seldom_by_several_processes_as_by_one(tokens, tmp_path):  # noqa: F811
    first, second = together(tokens, tmp_path, 2, writing=0.2, spacing=0.0)
    assert first["written"] == [1, RUN.steps]
    assert second["written"] == []


def test_an_optimizer_of_whole_matrices_is_refused_where_none_holds_one(tokens, tmp_path):  # noqa: F811
    with pytest.raises(InputError, match="adafactor needs whole matrices"):
        trained(replace(RUN, optimizer="adafactor"), tokens, tmp_path, sharded=True)


def test_processes_know_how_many_share_their_node(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert processes.count_here() == 1  # left over in the environment of a process that joined none
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    assert processes.count_here() == 4


def test_a_gpu_that_was_asked_for_and_is_not_there_is_missed_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    processes.check_gpu()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"a GPU was asked for, and PyTorch .* sees none here"):
        processes.check_gpu()
