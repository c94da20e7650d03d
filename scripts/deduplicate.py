from pathlib import Path

from scalelaws.corpus.dedup import deduplicate
from scalelaws.job import logged

with logged(snakemake.log[0], f"deduplicate {snakemake.wildcards.corpus}") as progress:
    deduplicate(
        documents=Path(snakemake.input.documents),
        training=Path(snakemake.input.training) if snakemake.input.training else None,
        folder=Path(snakemake.output.documents),
        signatures=Path(snakemake.output.signatures),
        report=Path(snakemake.output.report),
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        recipe=snakemake.params.recipe,
        processes=snakemake.threads,
        show=progress.show,
    )
