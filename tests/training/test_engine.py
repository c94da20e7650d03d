"""How much of a batch goes through a model together."""

from dataclasses import replace

import pytest
import torch
from scalelaws.training import engine
from scalelaws.training.engine import TOKENS_AT_ONCE, sequences_at_once
from scalelaws.training.hardware import Hardware
from scalelaws.training.needs import device_bytes, needs_of

from .test_needs import run_of

GPU = torch.device("cuda")


@pytest.fixture
def gpu_of(monkeypatch):
    """Make GPUs hold so many bytes."""
    return lambda total: monkeypatch.setattr(engine, "total_bytes", lambda _device: total)


@pytest.mark.parametrize("parameters", [1e6, 1e8, 1e9, 2e9])
def test_a_run_that_is_planned_on_one_gpu_goes_through_it_in_parts_that_fit(parameters, gpu_of):
    run = run_of(parameters, 1e9)
    assert needs_of(run, Hardware("H100"), 1e6, 3).gpus == 1
    gpu_of(80e9)
    parts = sequences_at_once(run, GPU)
    assert run.batch_tokens // run.context % parts == 0
    assert device_bytes(run, parts, 0) <= 0.9 * 80e9
    assert parts * run.context == TOKENS_AT_ONCE["cuda"] or device_bytes(run, 2 * parts, 0) > 0.9 * 80e9


def test_less_memory_and_a_larger_piece_of_the_state_leave_less_at_once(gpu_of):
    run, found = run_of(2e9, 1e9), []
    for total, pieces in ((141e9, 4), (141e9, 1), (80e9, 1), (1e9, 1)):
        gpu_of(total)
        found.append(sequences_at_once(run, GPU, pieces))
    assert found == sorted(found, reverse=True)
    assert found[0] > found[2] > found[3] == 1


def test_on_a_cpu_memory_changes_nothing_of_what_is_computed():
    run = run_of(1e9, 1e9)
    assert sequences_at_once(run, torch.device("cpu")) == TOKENS_AT_ONCE["cpu"] // run.context
    assert sequences_at_once(replace(run, context=16_384), torch.device("cpu")) == 1
