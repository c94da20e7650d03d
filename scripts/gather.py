"""Gather the runs' losses and records into the observations table."""

from scalelaws.job import logged
from scalelaws.observations.gather import gather
from scalelaws.observations.table import write_observations
from scalelaws.recipe import provenance

with logged(snakemake.log[0], "gather") as progress:
    observations = gather(snakemake.input.records, snakemake.input.losses)
    output = snakemake.output
    made_with = provenance(
        snakemake.params.recipe, snakemake.params.seed, {}, snakemake.input.records, ["pandas", "pyarrow"]
    )
    write_observations(observations, output.observations, output.runs, output.csv, made_with)
    progress.say(f"{len(observations.runs)} runs, {len(observations.losses):,} losses")
