from pathlib import Path

from scalelaws.corpus.dedup import sign
from scalelaws.corpus.parts import Part
from scalelaws.job import logged

params, wildcards = snakemake.params, snakemake.wildcards
with logged(snakemake.log[0], f"sign {wildcards.corpus} {wildcards.part}") as progress:
    sign(
        documents=Path(snakemake.input.documents),
        folder=Path(snakemake.output.signed),
        settings=params.settings,
        seed=params.seed,
        processes=snakemake.threads,
        show=progress.show,
        part=Part(int(wildcards.part), params.parts),
    )
