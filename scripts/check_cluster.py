"""Say what the site's lines of the SLURM profile name and this cluster lacks."""

from scalelaws.cluster import site_of, site_problems
from scalelaws.errors import InputError
from scalelaws.job import logged

with logged(snakemake.log[0], "check_cluster") as progress:
    problems = site_problems(site_of(snakemake.input.profile))
    for problem in problems:
        progress.say(problem)
    if problems:
        raise InputError(
            str(snakemake.input.profile),
            f"asks for what the cluster lacks ({len(problems)})",
            "Fill in the lines at its top.",
        )
    progress.say("the cluster has everything that the profile asks for")
