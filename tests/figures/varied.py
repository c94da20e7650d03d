"""Observations of one study that varied everything: sizes, batches, rates, schedules, shapes, families, corpora."""

import itertools

import numpy as np
import pandas as pd
from scalelaws.laws.kaplan import critical_batch
from scalelaws.observations.table import LOSS_COLUMNS, RUN_COLUMNS, Observations, validated

SIZES = (10_000.0, 30_000.0, 90_000.0, 270_000.0, 810_000.0)
SUBSETS = (1_000_000.0, 4_000_000.0)
"""Subsets D that are repeated until the loss turns; all other runs have the largest one."""
BATCHES = (1024.0, 4096.0, 16384.0)
RATES = (1e-3, 2e-3, 4e-3)
SHAPES = tuple(itertools.product((2, 4, 8), (64, 128, 256)))
"""Layers and width of the runs that vary the shape of a model."""
LENGTHS = (8e6, 32e6)
"""Tokens of the runs whose rate decays over different lengths."""
STEPS_LAW = {"alpha_N": 0.1, "alpha_S": 0.7, "N_c": 5e10, "S_c": 300.0}
BATCH_LAW = {"B_star": 4e6, "alpha_B": 0.25}
FEED_FORWARD = (1.0, 2.0, 4.0, 8.0)
CONTEXTS = (32, 128, 512)
TOKENS = 32e6
STAGES = 14
OTHER = "readmes"
SECOND = "news"


def varied_observations(seed: int = 2) -> Observations:
    """Curves from L(N, S_min) and B_crit(L), with small noise; each kind of variation is a group of runs."""
    random = np.random.default_rng(seed)
    runs = [run(f"N{size:g}-B{batch:g}", size, batch) for size in SIZES for batch in BATCHES]
    runs += [run(f"rate{rate:g}", SIZES[1], BATCHES[1], rate=rate, seed=1) for rate in RATES]
    runs += [run(f"length{length:g}", SIZES[2], BATCHES[1], tokens=length, schedule="cosine") for length in LENGTHS]
    runs += [run(f"{layers}L{width}d", SIZES[1], BATCHES[1], layers=layers, width=width) for layers, width in SHAPES]
    runs += [run(f"ff{ratio:g}", SIZES[1], BATCHES[1], feed_forward=ratio) for ratio in FEED_FORWARD]
    runs += [run(f"context{length}", SIZES[1], BATCHES[1], context=length) for length in CONTEXTS]
    runs += [run(f"lstm{size:g}", size, BATCHES[1], family="lstm", worse=1.08) for size in SIZES]
    runs += [run(f"news{size:g}", size, BATCHES[1], corpus=SECOND, worse=0.95) for size in SIZES]
    runs += [run(f"N{size:g}-D{subset:g}", size, BATCHES[1], subset=subset) for size in SIZES for subset in SUBSETS]
    losses = [row for one in runs for row in _losses(one, random)]
    columns = [*LOSS_COLUMNS, "noise_scale"]
    table = pd.DataFrame(
        [{name: one[name] for name in [*RUN_COLUMNS, "feed_forward_ratio", "variant"]} for one in runs]
    )
    return validated(pd.DataFrame(losses, columns=columns), table)


def run(
    name: str,
    size: float,
    batch: float,
    *,
    rate: float = 4e-3,
    tokens: float = TOKENS,
    schedule: str = "constant",
    layers: int = 2,
    width: int = 64,
    family: str = "transformer",
    corpus: str = "documentation",
    worse: float = 1.0,
    feed_forward: float = 4.0,
    context: int = 128,
    subset: float = TOKENS,
    seed: int = 0,
) -> dict:
    """A row of the runs table, and by how much its losses are worse than the law."""
    steps = int(tokens / batch)
    stopped = int(steps * (subset / TOKENS) ** 0.4)
    total = 6 * size * tokens
    return {
        **{"run": name, "family": family, "parameters": size, "embedding_parameters": 5e5, "n_layer": layers},
        **{
            "d_model": width,
            "n_head": max(1, width // 32),
            "context": context,
            "vocabulary": 4096,
            "positions": "learned",
        },
        **{"train_corpus": corpus, "dataset_tokens": subset, "seed": seed, "batch_tokens": batch},
        **{"learning_rate": rate, "schedule": schedule, "warmup_steps": 5, "averaging": 0.1, "dropout": 0.0},
        **{"weight_decay": 0.1, "precision": "bfloat16", "status": "early_stopped" if subset < TOKENS else "finished"},
        **{"steps": steps, "result_step": stopped},
        **{"tokens": tokens, "flops": total, "flops_total": 1.5 * total, "seconds": total / 5e9, "hardware": "cpu"},
        **{"feed_forward_ratio": feed_forward, "variant": ""},
        "worse": worse * (1 + 0.02 * np.log(rate / 4e-3) ** 2) * (1 + 0.01 * np.log(width / layers / 32) ** 2),
    }


def _losses(one: dict, random: np.random.Generator) -> list[dict]:
    steps = np.unique(np.geomspace(max(8, one["steps"] / 60), one["steps"], STAGES).round().astype(int))
    steps = np.unique([*steps, one["result_step"]])
    loss = _loss(one, steps) * one["worse"] * np.exp(0.002 * random.standard_normal())
    rows = []
    for step, value in zip(steps, loss, strict=True):
        tokens = step * one["batch_tokens"]
        point = {"run": one["run"], "step": step, "tokens": tokens, "flops": 6 * one["parameters"] * tokens}
        point |= {"result": step == one["result_step"], "loss_sem": 0.005}
        noise = float(critical_batch(value, **BATCH_LAW)) * np.exp(0.2 * random.standard_normal())
        there = {(one["train_corpus"], "test"): value, (OTHER, "test"): 0.5 + 0.95 * value}
        there[one["train_corpus"], "train"] = (
            value - 0.05 * one["parameters"] ** 0.2 / (one["dataset_tokens"] / 1e6) ** 0.5
        )
        for (corpus, split), seen in there.items():
            measured = {"loss": seen, "bits_per_byte": seen / np.log(2) / 4, "noise_scale": noise}
            rows.append({**point, "corpus": corpus, "split": split, **measured})
    return rows


def _loss(one: dict, steps: np.ndarray) -> np.ndarray:
    """L(N, S_min), where S_min depends on the critical batch at that very loss: found by iteration."""
    p = STEPS_LAW
    floor = (p["N_c"] / one["parameters"]) ** p["alpha_N"]
    loss = np.full(len(steps), floor + 1.0)
    for _ in range(60):
        least = steps / (1 + critical_batch(loss, **BATCH_LAW) / one["batch_tokens"])
        loss = (loss + floor + (p["S_c"] / least) ** p["alpha_S"]) / 2  # halfway, lest it swing to and fro
    overfit = 0.03 * one["parameters"] ** 0.2 / (one["dataset_tokens"] / 1e6) ** 0.6 * steps / one["result_step"]
    return loss + overfit * (one["dataset_tokens"] < TOKENS)
