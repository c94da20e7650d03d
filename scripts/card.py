from pathlib import Path

from scalelaws.corpus.card import write_card
from scalelaws.job import logged

with logged(snakemake.log[0], f"card {snakemake.wildcards.corpus}"):
    write_card(
        name=snakemake.wildcards.corpus,
        role=snakemake.params.corpus["role"],
        sources=snakemake.params.corpus["sources"],
        pages=Path(snakemake.input.pages) if snakemake.input.pages else None,
        steps=[Path(path) for path in snakemake.input.steps],
        tokens={Path(path).name.split(".")[-2]: Path(path) for path in snakemake.input.tokens},
        json=Path(snakemake.output.json),
        markdown=Path(snakemake.output.markdown),
        recipe=snakemake.params.recipe,
    )
