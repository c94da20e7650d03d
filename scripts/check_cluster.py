"""Say what the site's lines of the cluster's profile name and this cluster lacks."""

from scalelaws.cluster import Room, site_of, site_problems, site_warnings
from scalelaws.errors import InputError
from scalelaws.job import logged
from scalelaws.training.hardware import hardware_of

with logged(snakemake.log[0], "check_cluster") as progress:
    site = site_of(snakemake.input.profile)
    hardware = hardware_of(site["hardware"])
    gpus = hardware.devices_per_node if hardware.has_gpus else 0
    asked = Room(0, gpus, snakemake.params.memory_mb, hardware.nodes, snakemake.params.hours)
    problems = site_problems(site, asked)
    for problem in problems:
        progress.say(problem)
    if problems:
        raise InputError(
            str(snakemake.input.profile),
            f"asks for what the cluster lacks ({len(problems)})",
            "Fill in the lines at its top.",
        )
    progress.say("the cluster has everything that the profile asks for")
    for warning in site_warnings():
        progress.say(f"a warning: {warning}")
