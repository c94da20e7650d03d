"""Train one run, or go on with it from its checkpoint, and write its record, its losses and its weights."""

import shutil
from pathlib import Path

import pandas as pd
from safetensors.torch import save_file
from scalelaws.io import atomic_path, file_digest, write_json
from scalelaws.job import logged
from scalelaws.recipe import provenance
from scalelaws.tokens.store import open_tokens
from scalelaws.training.loop import run_record, train
from scalelaws.training.run import Run
from scalelaws.training.state import owner_of, views

params, output = snakemake.params, snakemake.output
run = Run(**params.run)
with logged(snakemake.log[0], f"train {run.run}") as progress:
    tokens = {tuple(Path(path).stem.rsplit(".", 1)): open_tokens(path) for path in snakemake.input.sidecars}
    owner = owner_of(run, params.recipe, {path: file_digest(path) for path in snakemake.input.sidecars})
    checkpoints = Path(params.checkpoints)
    state = train(run, tokens, params.train_corpus, checkpoints, owner, snakemake.threads, progress)
    made_with = provenance(params.recipe, run.seed, params.run, snakemake.input.sidecars, ["torch", "numpy"])
    with atomic_path(output.losses) as temporary:
        pd.DataFrame(state.losses).to_parquet(temporary, index=False)
    with atomic_path(output.weights) as temporary:
        save_file({name: view.contiguous() for name, view in views(state.best, run.shape).items()}, temporary)
    record = run_record(run, state, params.train_corpus, snakemake.threads)
    write_json(output.record, {"run": record, "provenance": made_with})
    shutil.rmtree(checkpoints, ignore_errors=True)
    progress.say(
        f"{state.status} at step {state.step:,}; held-out loss {state.best_loss:.3f} at step {state.best_step:,}"
    )
