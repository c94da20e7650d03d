import pandas as pd
from scalelaws.job import logged
from scalelaws.laws.files import read_laws
from scalelaws.observations.table import read_observations
from scalelaws.recipe import provenance
from scalelaws.report.page import write_report

files, params = snakemake.input, snakemake.params
with logged(snakemake.log[0], "write_report"):
    write_report(
        snakemake.output.report,
        read_observations(files.observations, files.runs),
        read_laws(files.laws, files.draws),
        pd.read_csv(files.plan) if files.plan else None,
        files.cards,
        params.config,
        provenance(
            params.recipe, params.config["seed"], params.config, files, ["bokeh", "jinja2", "matplotlib", "pandas"]
        ),
    )
