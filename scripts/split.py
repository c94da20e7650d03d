from pathlib import Path

from scalelaws.corpus.split import split
from scalelaws.job import logged

with logged(snakemake.log[0], f"split {snakemake.wildcards.corpus}") as progress:
    split(
        documents=Path(snakemake.input.documents),
        training=Path(snakemake.input.training) / "train" if snakemake.input.training else None,
        folder=Path(snakemake.output.documents),
        report=Path(snakemake.output.report),
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        recipe=snakemake.params.recipe,
        processes=snakemake.threads,
        show=progress.show,
    )
