# From tokens to observations: plan -> train (one job per run) -> gather


rule plan:
    """Write down every run with its cost, and refuse a study that its corpus cannot feed, before the first run starts."""
    input:
        sidecar=f"<study>/tokens/{TRAIN_CORPUS}.train.json",
    output:
        plan="<study>/plan.csv",
    log:
        "<study>/logs/plan.log",
    benchmark:
        "<study>/benchmarks/plan.tsv"
    # Not an input of the runs, which a plan made anew would train again: it goes first by its priority.
    priority: 100_000
    conda:
        "../../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=minutes(5),
        # Not parameters: a study that goes on upon other machines is the same study.
        hardware=config["hardware"],
        longest_hours=str(config["longest_hours"]),
    params:
        runs=[dict(vars(run)) for run in RUNS.values()],
        evaluated_sets=len(EVALUATED),
        recipe=recipe(
            "training.plan",
            "training.hardware",
            "training.needs",
            "training.run",
            "training.speed",
            "tokens.store",
        ),
    message:
        "Plan the runs"
    script:
        "../../scripts/plan.py"


ruleorder: train_on_nodes > train


rule train:
    """Train one run, on as many cores or GPUs of a node as its plan says, a process of one thread for each."""
    input:
        # A sidecar tells the digest of the ids beside it; each further input costs the graph of 10,000 runs a second.
        sidecars=[f"<study>/tokens/{name}.json" for name in EVALUATED],
        # A branch begins from a state of its trunk.
        trunk=lambda wildcards: [
            f"{STUDY}/runs/{trunk}"
            for trunk in filter(None, [RUNS[wildcards.run].trunk])
        ],
    output:
        # Record, losses, losses by position, weights; of a trunk, the states that its branches begin from.
        run=directory("<study>/runs/{run}"),
    log:
        "<study>/logs/train/{run}.log",
    benchmark:
        "<study>/benchmarks/train/{run}.tsv"
    # The costliest runs start first, so that none is left running alone at the end.
    priority: lambda wildcards: priority_of(RUNS[wildcards.run])
    group:
        lambda wildcards: "small_runs" if wildcards.run in SHARING_JOBS else None
    conda:
        "../../envs/training.yaml"
    threads: lambda wildcards: NEEDS[wildcards.run].devices_per_node
    resources:
        **shared_gpu(SHARING_JOBS if HARDWARE.has_gpus else ()),
        mem_mb=growing(lambda wildcards: NEEDS[wildcards.run].memory_mb),
        runtime=minutes(lambda wildcards: NEEDS[wildcards.run].minutes),
        gpu=lambda wildcards: gpus_asked(wildcards.run, NEEDS, SHARING_JOBS),
        nodes=lambda wildcards: None if wildcards.run in SHARING_JOBS else 1,
        sharded=lambda wildcards: int(NEEDS[wildcards.run].sharded),
        # Not a parameter: that another run wants more tokens is no reason to train this one again.
        largest_subset=LARGEST_SUBSET,
        hardware=config["hardware"],
    params:
        run=lambda wildcards: dict(vars(RUNS[wildcards.run])),
        train_corpus=TRAIN_CORPUS,
        # Not an output: Snakemake deletes the outputs of a job that failed, and a checkpoint must survive that.
        checkpoints=f"{STUDY}/checkpoints/{{run}}",
        recipe=recipe("training.files", "training.run", "training.together"),
    message:
        "Train {wildcards.run}"
    script:
        "../../scripts/train.py"


# A run that takes several nodes: a launcher starts it on all of them (the resource mpi, from the cluster's profile).
use rule train as train_on_nodes with:
    wildcard_constraints:
        run=any_of(name for name, needs in NEEDS.items() if needs.nodes > 1),
    resources:
        mem_mb=growing(lambda wildcards: NEEDS[wildcards.run].memory_mb),
        runtime=minutes(lambda wildcards: NEEDS[wildcards.run].minutes),
        gpu=lambda wildcards: NEEDS[wildcards.run].gpus,
        nodes=lambda wildcards: NEEDS[wildcards.run].nodes,
        tasks=lambda wildcards: NEEDS[wildcards.run].nodes,
        sharded=lambda wildcards: int(NEEDS[wildcards.run].sharded),
        largest_subset=LARGEST_SUBSET,
        hardware=config["hardware"],


rule gather:
    """Gather all runs into the one table that everything downstream reads."""
    input:
        plan="<study>/plan.csv",
        runs=expand("<study>/runs/{run}", run=RUNS),
    output:
        observations="<study>/observations.parquet",
        runs="<study>/runs.parquet",
        positions="<study>/positions.parquet",
        csv="<study>/observations.csv",
    log:
        "<study>/logs/gather.log",
    benchmark:
        "<study>/benchmarks/gather.tsv"
    conda:
        "../../envs/laws.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000 + len(RUNS) / 10),
        runtime=minutes(10 + len(RUNS) / 100),
    params:
        recipe=recipe("observations.gather", "observations.table"),
        seed=config["seed"],
    message:
        "Gather the observations"
    script:
        "../../scripts/gather.py"
