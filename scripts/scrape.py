from pathlib import Path

from scalelaws.corpus.sources import scrape
from scalelaws.job import logged
from scalelaws.recipe import recipe

with logged(snakemake.log[0], f"scrape {snakemake.wildcards.corpus}") as progress:
    scrape(
        snakemake.params.sources,
        pins=Path(snakemake.input.pins),
        folder=Path(snakemake.output.pages),
        state=Path(snakemake.params.state),
        recipe=recipe("corpus.sources"),  # what made the pages; the parameter says when to make them again
        processes=snakemake.threads,
        show=progress.show,
    )
