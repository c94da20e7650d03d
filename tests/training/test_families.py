"""Every family goes through the one engine: it learns, follows the plain loop, and resumes bit for bit."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from scalelaws.models.families import hidden_states, initial_weights, output_weight
from scalelaws.training.batches import batch
from scalelaws.training.engine import LARGEST_GRADIENT, Engine
from scalelaws.training.optimizers import BETA1, EPSILON
from scalelaws.training.schedule import learning_rate
from scalelaws.training.state import initial_state, read_checkpoint, write_checkpoint
from scalelaws.training.targets import NOTHING

from .test_loop import RUN, tokens  # noqa: F401

RUNS = {
    "untied": replace(RUN, tied=False),
    "universal": replace(RUN, family="universal", recurrence=3),
    "lstm": replace(RUN, family="lstm", n_layer=2, n_head=0, positions="none"),
    "encoder_decoder": replace(RUN, family="encoder_decoder", n_layer=2, encoder_layers=1),
}


@pytest.fixture(params=RUNS)
def run(request):
    return RUNS[request.param]


def batches(run, tokens):  # noqa: F811
    ids = tokens["pages", "train"].ids[: run.dataset_tokens]
    return lambda step: batch(ids, step, run.batch_tokens, run.context, run.seed, run.shape.marks)


def test_every_family_follows_the_plain_loop_and_learns(run, tokens):  # noqa: F811
    run = replace(run, precision="float32", averaging=0.0)
    engine, draw = Engine(run, initial_state(run.shape, run.seed)), batches(run, tokens)
    weights = {name: w.requires_grad_(True) for name, w in initial_weights(run.shape, run.seed).items()}
    plain = torch.optim.AdamW(weights.values(), lr=1, betas=(BETA1, run.beta2), eps=EPSILON, weight_decay=0.1)
    losses = []
    for step in range(1, 31):
        inputs, targets = draw(step)
        plain.zero_grad()
        hidden = hidden_states(weights, run.shape, torch.from_numpy(inputs), torch.float32)
        logits = hidden @ output_weight(weights, run.shape).T
        loss = F.cross_entropy(logits, torch.from_numpy(targets).flatten(), ignore_index=NOTHING)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), LARGEST_GRADIENT)
        plain.param_groups[0]["lr"] = learning_rate(step, run.steps, 0.02, run.schedule, run.warmup_steps)
        plain.step()
        losses.append(engine.update(inputs, targets))
        assert losses[-1] == pytest.approx(loss.item(), rel=2e-4), f"step {step}"
    assert losses[-1] < losses[0] - 0.5


def test_a_checkpoint_of_every_family_goes_on_bit_for_bit(run, tokens, tmp_path):  # noqa: F811
    draw = batches(run, tokens)
    straight = Engine(run, initial_state(run.shape, run.seed))
    for step in range(1, 13):
        straight.update(*draw(step))
        if step == 6:
            write_checkpoint(tmp_path, straight.state, "me")
    resumed = Engine(run, read_checkpoint(tmp_path, "me"))
    for step in range(7, 13):
        resumed.update(*draw(step))
    assert torch.equal(resumed.state.weights, straight.state.weights)
    assert torch.equal(resumed.state.second_moment, straight.state.second_moment)
