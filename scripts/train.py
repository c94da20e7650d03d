"""Train one run, or go on with it from its checkpoint, and write its record, its losses and its weights."""

from pathlib import Path

from scalelaws.job import logged
from scalelaws.tokens.store import open_tokens
from scalelaws.tokens.subset import subset
from scalelaws.training.files import RunFiles, train_to_files
from scalelaws.training.run import Run

params, output = snakemake.params, snakemake.output
run = Run(**params.run)
files = RunFiles(*map(Path, (output.record, output.losses, output.weights, params.checkpoints)))
with logged(snakemake.log[0], f"train {run.run}") as progress:
    sidecars = list(snakemake.input.sidecars)
    subset(open_tokens(sidecars[0]), snakemake.resources.largest_subset)  # none starts if another asks for too much
    train_to_files(run, sidecars, params.train_corpus, files, params.recipe, snakemake.threads, progress)
