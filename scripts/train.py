"""Train one run, or go on with it from its checkpoint, and write its record, its losses and its weights."""

from pathlib import Path

from scalelaws.job import logged
from scalelaws.resources import devices_given
from scalelaws.tokens.store import open_tokens
from scalelaws.tokens.subset import subset
from scalelaws.training import processes
from scalelaws.training.files import RunFiles, check_forks, train_to_files
from scalelaws.training.hardware import hardware_of
from scalelaws.training.run import Run
from scalelaws.training.together import train_together

params, output, resources = snakemake.params, snakemake.output, snakemake.resources
run = Run(**params.run)
files = RunFiles(Path(output.run), Path(params.checkpoints))
nodes, launcher = resources.get("nodes", 1), resources.get("mpi", "")
devices = devices_given(resources.gpu, nodes, snakemake.threads)
with logged(snakemake.log[0], f"train {run.run}") as progress:
    sidecars = list(snakemake.input.sidecars)
    for trunk in snakemake.input.trunk:
        check_forks(Path(trunk))
    if hardware_of(resources.hardware).has_gpus:
        processes.check_gpu()
    subset(open_tokens(sidecars[0]), resources.largest_subset)  # none starts if another asks for too much
    job = run, sidecars, params.train_corpus, files, params.recipe
    if nodes * devices > 1:
        train_together(*job, devices, nodes, launcher, sharded=bool(resources.sharded))
    else:
        train_to_files(*job, devices, progress, kept=True)
