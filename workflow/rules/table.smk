# From a table of finished runs to observations.
#   in    the table that the configuration names
#   out   <study>/observations.parquet, <study>/runs.parquet, <study>/observations.csv


rule import_table:
    """Read the table as observations, say how each column was read, and refuse what cannot be right."""
    input:
        # Told by its digest, not by its date, which a fresh clone makes anew.
        ancient(LOCAL_TABLE),
    output:
        observations="<study>/observations.parquet",
        runs="<study>/runs.parquet",
        csv="<study>/observations.csv",
    log:
        "<study>/logs/import_table.log",
    benchmark:
        "<study>/benchmarks/import_table.tsv"
    conda:
        "../../envs/laws.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=minutes(10),
    params:
        recipe=recipe("observations.read", "observations.table"),
        table=config["table"],
        files=contents(LOCAL_TABLE),
        seed=config["seed"],
    message:
        "Reading the table"
    script:
        "../../scripts/import_table.py"
