from pathlib import Path

from scalelaws.corpus.dedup import match, rounds_of
from scalelaws.corpus.parts import Part
from scalelaws.job import logged

files, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
with logged(snakemake.log[0], f"match {wildcards.corpus} {wildcards.round} {wildcards.part}"):
    match(
        signed=[*map(Path, files.signed)],
        training=Path(files.training) if files.training else None,
        former=rounds_of(files.former),
        file=Path(snakemake.output.pairs),
        settings=params.settings,
        seed=params.seed,
        name=wildcards.round,
        part=Part(int(wildcards.part), params.parts),
    )
