"""Observations that are made from known laws: five sizes by five subsets, one corpus to train on and five others."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from scalelaws.io import write_json
from scalelaws.laws.files import read_laws, write_laws
from scalelaws.laws.fitted import Laws
from scalelaws.laws.study import fit_laws
from scalelaws.observations.table import LOSS_COLUMNS, RUN_COLUMNS, Observations, validated

SIZES = (10_000.0, 25_000.0, 65_000.0, 160_000.0, 400_000.0)
SUBSETS = (40_000.0, 130_000.0, 400_000.0, 1_300_000.0, 4_000_000.0)
REPEATED_UP_TO = 130_000.0
BATCH = 4096.0
STEPS = 16
OOD = {
    "mathematics": (0.35, 1.0),
    "readmes": (0.6, 0.9),
    "python_code": (0.9, 0.8),
    "licences": (1.1, 0.7),
    "other_languages": (2.4, 0.6),
}
"""Offset and slope of each OOD corpus's loss against the held-out loss."""
CHINCHILLA = {"E": 1.5, "A": 100.0, "B": 800.0, "alpha": 0.35, "beta": 0.45}
CONTEXT = 128
POSITION = {"E": 2.0, "T_0": 6.0, "alpha": 0.6, "alpha_N": 0.08}
GAP = {"G": 0.75, "p": 0.35, "q": 0.45}


def synthetic_observations(
    sizes: tuple[float, ...] = SIZES, subsets: tuple[float, ...] = SUBSETS, seed: int = 1, noise: float = 0.01
) -> Observations:
    """Sizes by subsets (small ones with two seeds), 16 steps each, train and test of one corpus, test of five more."""
    random = np.random.default_rng(seed)
    losses, runs = [], []
    for size in sizes:
        for subset in subsets:
            for number in range(2 if subset <= REPEATED_UP_TO else 1):
                run, rows = _run(size, subset, number, noise, random)
                runs.append(run)
                losses += rows
    table = pd.DataFrame(runs, columns=list(RUN_COLUMNS))
    return validated(pd.DataFrame(losses, columns=list(LOSS_COLUMNS)), table, positions=losses_by_position(table))


def laws_of(observations: Observations, name: str, folders: pytest.TempPathFactory) -> Laws:
    """The laws of a study of this name, fitted once for all workers of the tests."""
    folder = folders.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    files = folder / f"{name}.laws.json", folder / f"{name}.draws.npz"
    with FileLock(folder / f"{name}.lock"):
        if not files[0].exists():
            write_laws(fit_laws(observations, {"resamples": 200}, seed=1, study=name), *files)
    return read_laws(*files)


def position_law(size: float, position: np.ndarray) -> np.ndarray:
    """The loss of a size at positions in the context."""
    p = POSITION
    return (size / 1e5) ** -p["alpha_N"] * (p["E"] + (p["T_0"] / position) ** p["alpha"])


def losses_by_position(runs: pd.DataFrame) -> pd.DataFrame:
    """What `position_law` says of every run, a little more for less data: only the most data have the law itself."""
    position = np.arange(1, CONTEXT + 1)
    own = {"corpus": "documentation", "split": "test", "position": position, "loss_sem": 0.1}
    worse = (4e6 / runs["dataset_tokens"]) ** 0.05
    parts = [
        pd.DataFrame({"run": run, **own, "loss": factor * position_law(size, position)})
        for run, size, factor in zip(runs["run"], runs["parameters"], worse, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _run(size: float, subset: float, seed: int, noise: float, random: np.random.Generator) -> tuple[dict, list[dict]]:
    name = f"{size / 1e3:g}k-{subset / 1e3:g}k-s{seed}"
    processed = min(4e6, subset * 30)
    steps = np.unique(np.geomspace(4, processed / BATCH, STEPS).round().astype(int))
    tokens = steps * BATCH
    p = CHINCHILLA
    wiggle = noise * random.standard_normal() * (4e6 / subset) ** 0.3
    epochs = tokens / subset
    # text that is repeated teaches less each time, as in Muennighoff et al. 2023
    worth = np.where(epochs > 1, subset * (1 + 2 * (1 - np.exp(-(epochs - 1) / 2))), tokens)
    gap = GAP["G"] * size ** GAP["p"] / subset ** GAP["q"] * np.log1p(epochs)
    overfit = 0.5 * gap * epochs / (3 + epochs)
    test = p["E"] + p["A"] * size ** -p["alpha"] + p["B"] * worth ** -p["beta"] + overfit + wiggle
    best = int(np.argmin(test))
    last = min(best + 4, len(steps))
    rows = []
    for i in range(last):
        point = {"run": name, "step": steps[i], "tokens": tokens[i], "flops": 6 * size * tokens[i], "result": i == best}
        values = {("documentation", "test"): test[i], ("documentation", "train"): test[i] - gap[i]}
        for corpus, (offset, slope) in OOD.items():
            values[corpus, "test"] = offset + slope * test[i] + 0.01 * random.standard_normal()
        if i == best:
            values["documentation", "unseen"] = test[i] - 0.3 * gap[i]
        for (corpus, split), loss in values.items():
            measured = {"loss": loss, "loss_sem": 0.012, "bits_per_byte": loss / np.log(2) / 4}
            rows.append({**point, "corpus": corpus, "split": split, **measured})
    total = tokens[last - 1]
    run = {
        **{"run": name, "family": "transformer", "parameters": size, "embedding_parameters": 5e5},
        **{"n_layer": 2, "d_model": 64, "n_head": 4, "context": CONTEXT, "vocabulary": 4096, "positions": "learned"},
        **{"train_corpus": "documentation", "dataset_tokens": subset, "seed": seed, "batch_tokens": BATCH},
        **{"learning_rate": 4e-3, "schedule": "constant", "warmup_steps": 50, "averaging": 0.1, "dropout": 0.0},
        **{"weight_decay": 0.1, "precision": "bfloat16", "status": "early_stopped", "steps": steps[last - 1]},
        **{"result_step": steps[best], "tokens": total, "flops": 6 * size * total, "flops_total": 9 * size * total},
        **{"seconds": size * total / 5e9, "hardware": "cpu"},
    }
    return run, rows


def cards_of(folder: Path) -> list[Path]:
    """A corpus card in a file: 100 pages, of which 60 are left after two steps."""
    step = {"removed": {}}
    steps = [
        {"step": "extract", "in": {"documents": 100}, "out": {"documents": 80}, **step},
        {"step": "clean", "in": {"documents": 80}, "out": {"documents": 60}, **step},
    ]
    write_json(folder / "card.json", {"corpus": "documentation", "steps": steps})
    return [folder / "card.json"]
