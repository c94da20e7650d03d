"""Does one rate serve every width? The best rate by width, standard against the maximal update parametrization.

python benchmarks/transfer.py TOKENS.json
    Trains two layers of widths 32 to 256 for a moment at rates a factor 2 apart, on a study's training tokens, with the
    library's engine, and prints the last losses: with mup their lowest stands in one column.
"""

import argparse

import numpy as np
import torch
from scalelaws.models.shapes import Shape
from scalelaws.tokens.store import open_tokens
from scalelaws.training.batches import batch
from scalelaws.training.engine import Engine
from scalelaws.training.run import Run
from scalelaws.training.speed import native_precision
from scalelaws.training.state import initial_state

WIDTHS = (32, 64, 128, 256)
RATES = 0.00025 * 2.0 ** np.arange(7)
CONTEXT, BATCH, LAST = 64, 1024, 20
PRECISION = native_precision("auto", torch.device("cpu"))


def run_of(width, vocabulary, parametrization, rate, steps):
    """A run of two layers with heads of 16."""
    shape = Shape(2, width, width // 16, CONTEXT, vocabulary)
    return Run(
        run="transfer", family="transformer", parameters=shape.parameters, n_layer=2, d_model=width, n_head=width // 16,
        embedding_parameters=shape.embedding_parameters, context=CONTEXT, vocabulary=vocabulary, positions="learned",
        dataset_tokens=steps * BATCH, seed=0, batch_tokens=BATCH, steps=steps, learning_rate=float(rate),
        schedule="constant", warmup_steps=steps // 10, averaging=0.0, dropout=0.0, weight_decay=0.0, patience=0,
        evaluations=2, evaluation_tokens=CONTEXT, precision=PRECISION, parametrization=parametrization,
    )  # fmt: skip


def last_loss(run, ids):
    """Mean training loss of the last steps of one epoch."""
    engine = Engine(run, initial_state(run.shape, run.seed))
    losses = [engine.update(*batch(ids, step, BATCH, CONTEXT, run.seed)) for step in range(1, run.steps + 1)]
    return float(np.mean(losses[-LAST:]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokens")
    parser.add_argument("--steps", type=int, default=240)
    options = parser.parse_args()
    file = open_tokens(options.tokens)
    ids = file.ids[: options.steps * BATCH + 1]
    for parametrization in ("standard", "mup"):
        print(f"{parametrization:12}" + "".join(f"{rate:9.4f}" for rate in RATES) + "     best")
        for width in WIDTHS:
            runs = [run_of(width, file.vocabulary, parametrization, rate, options.steps) for rate in RATES]
            losses = [last_loss(run, ids) for run in runs]
            best = RATES[int(np.nanargmin(losses))]
            print(f"  width {width:4}" + "".join(f"{loss:9.3f}" for loss in losses) + f"{best:9.4f}", flush=True)
