from scalelaws.job import logged
from scalelaws.laws.study import fit_study

with logged(snakemake.log[0], f"fit {snakemake.params.study}") as progress:
    fit_study(
        losses=snakemake.input.observations,
        runs=snakemake.input.runs,
        laws=snakemake.output.laws,
        draws=snakemake.output.draws,
        study=snakemake.params.study,
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        recipe=snakemake.params.recipe,
        progress=progress,
        processes=snakemake.threads,
    )
