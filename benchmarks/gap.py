"""How much of the gap between training and held-out loss is memory, and how much is that held-out text is other text?

python benchmarks/gap.py results/<study> [run ...]
    Prints, for each finished Transformer (or those named), its loss on windows of the text that it was trained on, of
    training text that it has not seen, and of held-out text. Held-out documents that share much with training text were
    dropped; documents of the training text were not, so that the two differ even where nothing is remembered. Sets of a
    hundred windows, as a run evaluates, differ by 0.1 nats by chance in how hard they are: here they are many.
"""

import argparse
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from scalelaws.io import read_json
from scalelaws.models.families import hidden_states, output_weight
from scalelaws.models.loss import token_losses
from scalelaws.models.shapes import Shape
from scalelaws.tokens.store import open_tokens
from scalelaws.tokens.subset import windows
from scalelaws.training.batches import sequences

TOKENS, AT_ONCE = 196_608, 16


def loss(weights: dict[str, torch.Tensor], shape: Shape, ids: np.ndarray) -> tuple[float, float]:
    """Mean loss in nats on windows spread over the ids, and its standard error."""
    inputs, targets = sequences(ids, windows(ids, TOKENS, shape.context, 0), shape.context)
    means = []
    with torch.no_grad():
        for x, y in zip(*(torch.from_numpy(part).split(AT_ONCE) for part in (inputs, targets)), strict=True):
            states = hidden_states(weights, shape, x, torch.float32)
            losses = token_losses(states, output_weight(weights, shape), y.flatten())
            means.append(losses.view(-1, shape.context).mean(1))
    every = torch.cat(means).numpy().astype(np.float64)
    return float(every.mean()), float(every.std(ddof=1) / np.sqrt(len(every)))


def rows(study: Path, names: list[str]) -> Iterator[tuple[dict, list[tuple[float, float]]]]:
    """Each run's record, and its three losses."""
    for record in sorted(study.glob("runs/[!.]*/run.json")):
        run = read_json(record)["run"]
        partly_seen = run["stream_tokens"] > run["dataset_tokens"]  # a branch that left its trunk early
        if partly_seen or run["status"] == "diverged" or run["family"] != "transformer":
            continue
        if names and run["run"] not in names:
            continue
        train, test = (open_tokens(study / f"tokens/{run['train_corpus']}.{split}.json") for split in ("train", "test"))
        shape = Shape(**{field.name: run[field.name] for field in fields(Shape) if field.name in run})
        weights, D = load_file(record.with_name("model.safetensors")), int(run["dataset_tokens"])
        texts = (train.ids[:D], train.ids[D:] if train.tokens - D > TOKENS else None, test.ids)
        yield run, [(np.nan, np.nan) if ids is None else loss(weights, shape, ids) for ids in texts]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("runs", nargs="*")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("run,parameters,dataset_tokens,epochs,seen,seen_sem,unseen,unseen_sem,held_out,held_out_sem")
    for run, losses in rows(options.study, options.runs):
        numbers = ",".join(f"{value:.4f}" for pair in losses for value in pair)
        epochs = run["result_step"] * run["batch_tokens"] / run["dataset_tokens"]
        print(f"{run['run']},{run['parameters']},{run['dataset_tokens']},{epochs:.2f},{numbers}", flush=True)
