"""Observations of a study whose laws are known: the truth that fits are checked against."""

import numpy as np
import pandas as pd
from scalelaws.laws.forms import FORMS
from scalelaws.observations.table import Observations, validated

SIZES = (1e4, 2.5e4, 6.5e4, 1.6e5, 4e5)
SUBSETS = (4e4, 1.3e5, 4e5, 1.3e6, 4e6)
CHINCHILLA = {"E": 2.0, "A": 60.0, "B": 80.0, "alpha": 0.4, "beta": 0.32}
GAP = {"G": 60.0, "p": 0.25, "q": 0.75}
MEMORY = {"G": 30.0, "p": 0.2, "q": 0.7}
TRANSFER = {"same_offset": (1.0, 0.5), "growing": (1.25, -0.2)}
"""Per OOD corpus: slope and offset of its loss against the held-out loss."""
BATCH = 512


def study(
    sizes=SIZES, subsets=SUBSETS, law="chinchilla", truth=CHINCHILLA, noise=0.003, seed=0, seeds=2, max_tokens=4e6
) -> Observations:
    """Runs of a known law of N and D, each with one run-to-run error, trained past D until the loss no longer falls."""
    rng = np.random.default_rng(seed)
    losses, runs = [], []
    for n in sizes:
        for d in subsets:
            for s in range(seeds if d in subsets[:2] else 1):
                name = f"{n:.0f}-{d:.0f}-s{s}"
                run_losses, steps = _curve(name, n, d, law, truth, max_tokens, noise * rng.standard_normal())
                losses += run_losses
                runs.append(_run(name, n, d, s, steps))
    return validated(pd.DataFrame(losses), pd.DataFrame(runs))


def _curve(name, n, d, law, truth, max_tokens, error):
    last = int(min(max_tokens, 8 * d) // BATCH)
    steps = np.unique(np.geomspace(4, last, 16).astype(int))
    rows = []
    for step in steps:
        tokens = float(step * BATCH)
        x = {"parameters": np.array(n), "dataset_tokens": np.array(min(tokens, d))}
        held_out = float(FORMS[law].predict(truth, x)) * np.exp(error)
        gap, memory = (law["G"] * n ** law["p"] * d ** -law["q"] * (step / last) for law in (GAP, MEMORY))
        seen = max(held_out - gap, 0.1)
        values = {("train", "test"): held_out, ("train", "train"): seen, ("train", "unseen"): seen + memory}
        values |= {(corpus, "test"): slope * held_out + offset for corpus, (slope, offset) in TRANSFER.items()}
        rows += [
            {
                "run": name,
                "step": step,
                "tokens": tokens,
                "flops": 6 * n * tokens,
                "corpus": corpus,
                "split": split,
                "loss": loss,
                "loss_sem": 0.002,
                "bits_per_byte": loss / np.log(2) / 4,
                "result": step == steps[-1],
            }
            for (corpus, split), loss in values.items()
        ]
    return rows, last


def _run(name, n, d, seed, steps):
    return {
        "run": name,
        "family": "transformer",
        "parameters": n,
        "embedding_parameters": 4096 * 64.0,
        "n_layer": 2,
        "d_model": 64,
        "n_head": 2,
        "context": 128,
        "vocabulary": 4096,
        "positions": "learned",
        "train_corpus": "train",
        "dataset_tokens": d,
        "seed": seed,
        "batch_tokens": float(BATCH),
        "learning_rate": 0.004,
        "schedule": "constant",
        "warmup_steps": 2,
        "averaging": 0.1,
        "dropout": 0.0,
        "weight_decay": 0.1,
        "precision": "bfloat16",
        "status": "finished",
        "steps": steps,
        "result_step": steps,
        "tokens": steps * float(BATCH),
        "flops": 6 * n * steps * BATCH,
        "flops_total": 8 * n * steps * BATCH,
        "seconds": 1.0,
        "hardware": "none",
    }
