"""Read a table of finished runs as observations."""

from scalelaws.job import logged
from scalelaws.observations.read import read_table
from scalelaws.observations.table import write_observations
from scalelaws.recipe import provenance

with logged(snakemake.log[0], "import_table") as progress:
    output, params = snakemake.output, snakemake.params
    reading = read_table(**params.table)
    made_with = provenance(params.recipe, params.seed, params.table, snakemake.input, ["pandas", "pyarrow"])
    write_observations(reading.observations, output.observations, output.runs, output.csv, made_with)
    for line in (*reading.how, *(f"warning: {doubt}" for doubt in reading.warnings)):
        progress.say(line)
