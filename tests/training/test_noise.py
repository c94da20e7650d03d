from dataclasses import replace

import numpy as np
import pytest
import torch
from scalelaws.models.transformer import transformer_layer
from scalelaws.training.batches import batch, sequences
from scalelaws.training.engine import Engine
from scalelaws.training.noise import NOISE_SPACING, averaged_squares, noise_scale
from scalelaws.training.state import initial_state

from .test_loop import RUN, tokens  # noqa: F401  (a fixture)


def test_squares_of_known_noise_give_its_scale():
    draw = np.random.default_rng(0)
    gradient = draw.normal(size=300)
    deviation = 40.0  # of one token's gradient, in every direction
    squares = [0.0, 0.0]
    for step in range(NOISE_SPACING, 4000, NOISE_SPACING):
        newest = [
            float(np.sum((gradient + draw.normal(size=300) * deviation / np.sqrt(count)) ** 2)) for count in (128, 1024)
        ]
        squares = averaged_squares(squares, newest, step)
    exact = 300 * deviation**2 / np.sum(gradient**2)
    assert noise_scale(squares, 128, 1024) == pytest.approx(exact, rel=0.1)


def test_squares_that_allow_no_scale_give_none():
    assert noise_scale([1.0, 2.0], 128, 1024) is None  # the larger batch looks noisier
    assert noise_scale([8.0, 0.5], 128, 1024) is None  # all noise: no gradient is left


def test_the_engine_measures_the_noise_of_its_own_gradients(tokens):  # noqa: F811
    run = replace(RUN, learning_rate=0.0, weight_decay=0.0, steps=1600, precision="float32")
    ids = tokens["pages", "train"].ids[: run.dataset_tokens]
    engine = Engine(run, initial_state(run.shape, run.seed))
    for step in range(1, run.steps + 1):
        engine.update(*batch(ids, step, run.batch_tokens, run.context, run.seed))
    starts = np.arange((len(ids) - 1) // run.context) * run.context
    gradients = []
    for inputs, targets in zip(*sequences(ids, starts, run.context), strict=True):
        engine._gradient_of(torch.tensor(inputs[None]), torch.tensor(targets[None]), 1, transformer_layer)
        gradients.append(engine.gradient.numpy().copy())
    noise = np.var(gradients, axis=0).sum() * run.context
    # Batches are drawn from the sequences without replacement, which leaves less noise in the larger ones.
    count, large, small = len(starts), run.batch_tokens // run.context, engine.few_sequences
    squares = [
        np.sum(np.mean(gradients, axis=0) ** 2) + noise / run.context / size * (count - size) / (count - 1)
        for size in (small, large)
    ]
    assert engine.noise_scale == pytest.approx(noise_scale(squares, small * run.context, run.batch_tokens), rel=0.15)
