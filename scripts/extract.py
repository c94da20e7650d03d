from pathlib import Path

from scalelaws.corpus.extract import extract
from scalelaws.job import logged

with logged(snakemake.log[0], f"extract {snakemake.wildcards.corpus}") as progress:
    extract(
        snakemake.params.sources,
        pages=Path(snakemake.input.pages) if snakemake.input.pages else None,
        pins=Path(snakemake.input.pins),
        folder=Path(snakemake.output.documents),
        report=Path(snakemake.output.report),
        seed=snakemake.params.seed,
        recipe=snakemake.params.recipe,
        processes=snakemake.threads,
        show=progress.show,
    )
