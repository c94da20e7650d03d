from pathlib import Path

from scalelaws.corpus.parts import join_parts
from scalelaws.job import logged

files, output = snakemake.input, snakemake.output
with logged(snakemake.log[0], f"join {snakemake.wildcards.corpus} {snakemake.wildcards.step}"):
    join_parts([*map(Path, files.parts)], [*map(Path, files.reports)], Path(output.documents), Path(output.report))
