from scalelaws.figures.draw import Look, draw_figures
from scalelaws.job import logged
from scalelaws.laws.files import read_laws
from scalelaws.observations.table import read_observations
from scalelaws.recipe import provenance

files, params = snakemake.input, snakemake.params
with logged(snakemake.log[0], "plot_figures") as progress:
    draw_figures(
        read_observations(files.observations, files.runs, files.positions or None),
        read_laws(files.laws, files.draws),
        snakemake.output.figures,
        Look(**params.look),
        provenance(params.recipe, params.seed, params.look, files, ["matplotlib", "numpy", "pandas"]),
        files.cards,
        processes=snakemake.threads,
        progress=progress.show,
    )
