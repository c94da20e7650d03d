# From the observations to the laws.
#   in    <study>/observations.parquet, <study>/runs.parquet
#   out   <study>/laws.json, <study>/laws_draws.npz


rule fit:
    """Every law is fitted anew at once, with intervals from resampled runs: it takes seconds, so nothing is kept halfway."""
    input:
        observations="<study>/observations.parquet",
        runs="<study>/runs.parquet",
    output:
        laws="<study>/laws.json",
        draws="<study>/laws_draws.npz",
    log:
        "<study>/logs/fit/laws.log",
    benchmark:
        "<study>/benchmarks/fit/laws.tsv"
    conda:
        "../../envs/laws.yaml"
    threads: 8
    resources:
        mem_mb=growing(1500 + len(RUNS) / 10, per_thread=300),
        runtime=minutes(15 + len(RUNS) / 100),
    params:
        recipe=recipe("laws.study"),
        study=config["study"],
        seed=config["seed"],
        settings=config["laws"],
    message:
        "Fitting the laws"
    script:
        "../../scripts/fit.py"
