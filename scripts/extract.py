from pathlib import Path

from scalelaws.corpus.extract import extract
from scalelaws.corpus.parts import Part
from scalelaws.job import logged

files, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
with logged(snakemake.log[0], " ".join(["extract", *wildcards])) as progress:
    extract(
        params.sources,
        pages=Path(files.pages) if files.pages else None,
        pins=Path(files.pins),
        folder=Path(snakemake.output.documents),
        report=Path(snakemake.output.report),
        seed=params.seed,
        recipe=params.recipe,
        processes=snakemake.threads,
        show=progress.show,
        part=Part(int(wildcards.get("part", 0)), params.parts),
    )
