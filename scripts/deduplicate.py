from pathlib import Path

from scalelaws.corpus.dedup import deduplicate
from scalelaws.job import logged

with logged(snakemake.log[0], f"deduplicate {snakemake.wildcards.corpus}") as progress:
    deduplicate(
        documents=Path(snakemake.input.documents),
        folder=Path(snakemake.output.documents),
        report=Path(snakemake.output.report),
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        recipe=snakemake.params.recipe,
        processes=snakemake.threads,
        show=progress.show,
    )
