"""Gather the runs' losses and records into the observations table."""

from pathlib import Path

from scalelaws.finished import forget_finished
from scalelaws.io import forget_temporaries
from scalelaws.job import logged
from scalelaws.observations.gather import gather
from scalelaws.observations.table import write_observations
from scalelaws.recipe import provenance

with logged(snakemake.log[0], "gather") as progress:
    output, runs = snakemake.output, [Path(run) for run in snakemake.input.runs]
    observations = gather(runs)
    records = [run / "run.json" for run in runs]
    made_with = provenance(snakemake.params.recipe, snakemake.params.seed, {}, records, ["pandas", "pyarrow"])
    write_observations(observations, output.observations, output.runs, output.csv, made_with, output.positions)
    study = Path(output.observations).parent
    forget_finished(study / "checkpoints")
    forget_temporaries(study / "runs")
    progress.say(f"{len(observations.runs)} runs, {len(observations.losses):,} losses")
