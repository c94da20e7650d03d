from pathlib import Path

from scalelaws.corpus.dedup import deduplicate, rounds_of
from scalelaws.job import logged

files = snakemake.input
with logged(snakemake.log[0], f"deduplicate {snakemake.wildcards.corpus}") as progress:
    deduplicate(
        documents=Path(files.documents),
        training=Path(files.training) if files.training else None,
        folder=Path(snakemake.output.documents),
        signatures=Path(snakemake.output.signatures),
        report=Path(snakemake.output.report),
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        recipe=snakemake.params.recipe,
        processes=snakemake.threads,
        show=progress.show,
        signed=[*map(Path, files.signed)],
        matches=rounds_of(files.matches),
    )
