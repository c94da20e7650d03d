from scalelaws.figures.draw import draw_figures
from scalelaws.job import logged
from scalelaws.laws.files import read_laws
from scalelaws.observations.table import read_observations
from scalelaws.recipe import provenance

files, params = snakemake.input, snakemake.params
with logged(snakemake.log[0], "plot_figures") as progress:
    draw_figures(
        read_observations(files.observations, files.runs),
        read_laws(files.laws, files.draws),
        snakemake.output.figures,
        style=params.style,
        provenance=provenance(
            params.recipe, params.seed, {"style": params.style}, files, ["matplotlib", "numpy", "pandas"]
        ),
        progress=progress.show,
    )
