"""A run asks for what it needs: more memory, time and devices the larger it is."""

import math
from dataclasses import replace

import pytest
from scalelaws.errors import InputError
from scalelaws.models.families import weight_shapes
from scalelaws.models.loss import CPU_BLOCK, GPU_ROWS
from scalelaws.models.shapes import shape_of
from scalelaws.training.engine import TOKENS_AT_ONCE
from scalelaws.training.hardware import DEVICES, Hardware, hardware_of
from scalelaws.training.needs import (
    GPU_OUTPUT_ROWS,
    OUTPUT_ROWS,
    Needs,
    checkpoint_bytes,
    device_bytes,
    disk_bytes,
    gpus_asked,
    needed_bytes,
    needs_of,
    shared_memory_mb,
    sharing_jobs,
)
from scalelaws.training.run import Run

CLUSTER = Hardware("H100", devices_per_node=8, nodes=4)


def run_of(parameters, tokens, **fields):
    shape = shape_of(parameters, 1024, 50257)
    plain = {
        "run": "r", "family": shape.family, "parameters": shape.parameters, "n_layer": shape.n_layer,
        "embedding_parameters": shape.embedding_parameters, "d_model": shape.d_model, "n_head": shape.n_head,
        "context": 1024, "vocabulary": 50257, "positions": "learned", "dataset_tokens": int(tokens), "seed": 0,
        "batch_tokens": 2**19, "steps": int(tokens) // 2**19, "learning_rate": 1e-3, "schedule": "cosine",
        "warmup_steps": 10, "averaging": 0.0, "dropout": 0.0, "weight_decay": 0.1, "patience": 4, "evaluations": 20,
        "evaluation_tokens": 2**19, "precision": "bfloat16",
    }  # fmt: skip
    return Run(**{**plain, **fields})


def test_a_small_and_a_large_run_ask_for_what_they_need():
    small, large = (needs_of(run_of(n, d), CLUSTER, 12, 3) for n, d in ((1e5, 2e8), (1e9, 2e10)))
    assert (small.nodes, small.gpus) == (1, 1)
    assert large.gpus > 1
    assert large.seconds <= 12 * 3600
    assert small.memory_mb < 10_000 < large.memory_mb
    assert small.minutes < 60 < large.minutes


def test_devices_of_one_node_come_first_and_share_the_batch_evenly():
    given = [needs_of(run_of(1e9, d, batch_tokens=24 * 1024), CLUSTER, 12, 3) for d in (1e9, 2e10, 2e11, 1e13)]
    assert [need.devices for need in given] == sorted(need.devices for need in given)
    assert given[0].devices == 1
    assert all(24 % need.devices == 0 for need in given)
    assert all(need.nodes == 1 or need.devices_per_node == 8 for need in given)
    assert given[-1].devices == 24  # 32 do not divide 24 sequences; all that do is given, long as it will take


def test_a_model_that_one_gpu_cannot_hold_is_given_several_however_short_its_training():
    short = needs_of(run_of(1.2e10, 1e7), CLUSTER, 1e6, 3)
    assert short.gpus >= 4
    assert short.sharded


def test_a_model_that_one_gpu_holds_is_not_cut_into_pieces_however_many_train_it():
    several = needs_of(run_of(1e9, 2e10), CLUSTER, 1, 3)
    assert several.gpus > 1
    assert not several.sharded
    assert not needs_of(run_of(1e9, 2e10), Hardware("CPU core", 8), 0.1, 3).sharded


def test_more_devices_make_a_run_shorter_and_never_cheaper():
    one, several = (needs_of(run_of(1e9, 2e10), Hardware("H100", n), 0.001, 3) for n in (1, 8))
    assert several.seconds < one.seconds < 8 * several.seconds + 1
    assert several.minutes < one.minutes


@pytest.mark.parametrize("family", ["transformer", "universal", "lstm"])
def test_weights_are_counted_as_the_model_has_them(family):
    shape = shape_of(2e5, 128, 512, family=family)
    fields = {**vars(shape), "parameters": shape.parameters, "embedding_parameters": shape.embedding_parameters}
    fields = {key: value for key, value in fields.items() if key in Run.__dataclass_fields__}
    weights = sum(math.prod(size) for size in weight_shapes(shape).values())
    run = replace(run_of(2e5, 1e8), **fields)
    assert disk_bytes(run) == 4 * weights
    assert checkpoint_bytes(run) == 3 * 5 * 4 * weights


def test_what_is_known_without_pytorch_is_what_training_does():
    assert (CPU_BLOCK[0], GPU_ROWS) == (OUTPUT_ROWS, GPU_OUTPUT_ROWS)
    assert DEVICES["CPU core"].tokens_at_once == TOKENS_AT_ONCE["cpu"]
    assert {device.tokens_at_once for device in DEVICES.values()} == set(TOKENS_AT_ONCE.values())


def test_a_cpu_run_asks_for_more_than_it_is_measured_to_take():
    run = run_of(1e6, 1e8, batch_tokens=8192, steps=1000)
    need = needs_of(run, Hardware("CPU core"), 1e9, 3)
    assert need.memory_mb > needed_bytes(run, 8, 3) / 1e6
    assert (need.gpus, need.devices) == (0, 1)


def test_a_precision_that_the_machine_chooses_is_counted_as_what_it_may_choose():
    auto, wide, narrow = (
        run_of(1e6, 1e8, batch_tokens=8192, precision=precision) for precision in ("auto", "float32", "bfloat16")
    )
    assert needed_bytes(auto, 8, 3) == needed_bytes(wide, 8, 3) > needed_bytes(narrow, 8, 3)
    assert device_bytes(auto, 8, 3) == device_bytes(narrow, 8, 3) < device_bytes(wide, 8, 3)


@pytest.mark.parametrize(
    ("text", "nodes", "devices", "name"),
    [("CPU core", 1, 1, "CPU core"), ("16 CPU cores", 1, 16, "CPU core"), ("8 H100", 1, 8, "H100"),
     ("4 x 8 H100", 4, 8, "H100"), ("2x4 A100", 2, 4, "A100")],
)  # fmt: skip
def test_hardware_is_read_as_people_write_it(text, nodes, devices, name):
    assert hardware_of(text) == Hardware(name, devices, nodes)


@pytest.mark.parametrize("text", ["", "8", "8 H1000", "0 H100", "H100 x 8"])
def test_other_hardware_is_refused_with_a_line(text):
    with pytest.raises(InputError, match=r"config: hardware: .*Write it as 4 x 8 H100"):
        hardware_of(text)


def needs(seconds, devices=1, gpus=0):
    return Needs(1, devices, gpus, seconds, minutes=10, memory_mb=1000)


def test_runs_on_one_device_that_are_soon_done_share_jobs():
    found = {"tiny": needs(30), "small": needs(60), "long": needs(90), "wide": needs(30, devices=2)}
    runs = {name: run_of(1e5, 2e9) for name in found}
    assert sharing_jobs(runs, found, Hardware("CPU core"), 1, 3) == {"tiny", "small"}
    assert sharing_jobs(runs, found, Hardware("CPU core"), 0, 3) == set()
    runs["tiny"] = run_of(1e5, 2e9, schedule="trunk")
    assert sharing_jobs(runs, found, Hardware("CPU core"), 1, 3) == {"small"}


def test_runs_that_share_a_job_need_the_memory_of_as_many_as_it_has_cores():
    found = {str(mb): replace(needs(1), memory_mb=mb) for mb in range(100, 2100, 100)}
    assert shared_memory_mb(found, set(found) - {"2000"}, cores=2) == 1900 + 1800
    assert shared_memory_mb(found, set(found), cores=99) == sum(range(500, 2100, 100))  # of the sixteen largest
    assert shared_memory_mb(found, set(), cores=2) == 0


def test_runs_that_would_not_fit_onto_a_gpu_together_share_none():
    found = {"small": needs(30, gpus=1), "large": needs(30, gpus=1)}
    runs = {"small": run_of(1e5, 2e9, batch_tokens=8192), "large": run_of(1e9, 2e9, batch_tokens=8192)}
    assert sharing_jobs(runs, found, Hardware("H100"), 1, 3) == {"small"}
    together = 16 * device_bytes(runs["small"], 8, 3)
    assert together <= 0.9 * DEVICES["H100"].gpu_bytes < 16 * device_bytes(runs["large"], 8, 3)


def test_a_gpu_keeps_no_weights_of_attention_but_more_rows_of_logits_than_a_core():
    run = run_of(1e8, 2e9)
    layer_sequence = 2 * run.context * (12 * run.d_model + 3 * run.shape.d_feed_forward)  # of two bytes a number
    more = device_bytes(run, 9, 3) - device_bytes(run, 8, 3)
    assert more == run.n_layer * layer_sequence
    assert needed_bytes(run, 9, 3) - needed_bytes(run, 8, 3) == more + run.n_layer * 2 * 3 * run.n_head * 1024**2
    assert device_bytes(replace(run, vocabulary=50258), 1, 3) - device_bytes(run, 1, 3) > 2 * 2 * GPU_OUTPUT_ROWS


def test_a_run_that_shares_a_job_asks_for_no_gpu_of_its_own():
    found = {"small": needs(30, gpus=1), "large": needs(90, gpus=4), "on cores": needs(30)}
    assert [gpus_asked(run, found, {"small", "on cores"}) for run in found] == [0, 4, 0]
