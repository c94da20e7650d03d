from pathlib import Path

from scalelaws.corpus.survey import survey, write_survey
from scalelaws.job import logged

params, output = snakemake.params, Path(snakemake.output.survey)
with logged(snakemake.log[0], f"survey {snakemake.wildcards.corpus}") as progress:
    found = survey(
        Path(snakemake.input.documents), params.settings, params.seed, output.parent, snakemake.threads, progress.show
    )
    write_survey(found, output)
