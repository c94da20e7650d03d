from pathlib import Path

from scalelaws.corpus.clean import clean
from scalelaws.corpus.parts import Part
from scalelaws.job import logged

files, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
with logged(snakemake.log[0], " ".join(["clean", *wildcards])) as progress:
    clean(
        documents=Path(files.documents),
        folder=Path(snakemake.output.documents),
        report=Path(snakemake.output.report),
        settings=params.settings,
        seed=params.seed,
        recipe=params.recipe,
        processes=snakemake.threads,
        show=progress.show,
        part=Part(int(wildcards.get("part", 0)), params.parts),
        surveyed=Path(files.survey) if files.survey else None,
    )
