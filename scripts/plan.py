"""Write the plan: every run with its size, data, steps and FLOPs, and what it is given and expected to take."""

import pandas as pd
from scalelaws.io import atomic_path
from scalelaws.job import logged
from scalelaws.tokens.store import open_tokens
from scalelaws.training.hardware import hardware_of
from scalelaws.training.needs import needs_of
from scalelaws.training.plan import check_corpus, plan_rows, plan_summary
from scalelaws.training.run import Run
from scalelaws.training.speed import training_rate

params, resources = snakemake.params, snakemake.resources
with logged(snakemake.log[0], "plan") as progress:
    runs = [Run(**fields) for fields in params.runs]
    check_corpus(runs, open_tokens(snakemake.input.sidecar).tokens, snakemake.input.sidecar)
    hardware = hardware_of(resources.hardware)
    needs = [needs_of(run, hardware, float(resources.longest_hours), params.evaluated_sets) for run in runs]
    rate = None if hardware.has_gpus else training_rate(runs[0].precision, threads=1)
    with atomic_path(snakemake.output.plan) as temporary:
        pd.DataFrame(plan_rows(runs, needs, rate)).to_csv(temporary, index=False)
    progress.say(plan_summary(runs))
