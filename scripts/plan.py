"""Write the plan: every run with its size, data, steps, FLOPs and an estimate of its time."""

import pandas as pd
from scalelaws.io import atomic_path
from scalelaws.job import logged
from scalelaws.tokens.store import open_tokens
from scalelaws.training.plan import check_corpus, plan_rows, plan_summary
from scalelaws.training.run import Run
from scalelaws.training.speed import training_rate

with logged(snakemake.log[0], "plan") as progress:
    runs = [Run(**fields) for fields in snakemake.params.runs]
    check_corpus(runs, open_tokens(snakemake.input.sidecar).tokens, snakemake.input.sidecar)
    rate = training_rate(runs[0].precision, snakemake.params.run_threads)
    with atomic_path(snakemake.output.plan) as temporary:
        pd.DataFrame(plan_rows(runs, rate)).to_csv(temporary, index=False)
    progress.say(plan_summary(runs))
