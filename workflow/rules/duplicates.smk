# Duplicates: one document of each group stays. Corpora in several parts sign and match theirs in as many jobs.
#
#   cleaned ──▶ sign ──▶ match text ──▶ match id ──▶ match near ──▶ deduplicate_parts ──▶ unique


rule deduplicate:
    """Keep one document of each group of equal, re-fetched or near-duplicate ones, and none that training text has."""
    input:
        documents="<study>/corpus/{corpus}/cleaned",
        training=lambda wildcards: (
            []
            if wildcards.corpus == TRAIN_CORPUS
            else f"<study>/corpus/{TRAIN_CORPUS}/signatures"
        ),
        signed=[],
        matches=[],
    output:
        documents=directory("<study>/corpus/{corpus}/unique"),
        signatures=directory("<study>/corpus/{corpus}/signatures"),
        report="<study>/corpus/{corpus}/unique.json",
    log:
        "<study>/logs/deduplicate/{corpus}.log",
    benchmark:
        "<study>/benchmarks/deduplicate/{corpus}.tsv"
    wildcard_constraints:
        corpus=IN_ONE,
    conda:
        "../../envs/corpus.yaml"
    threads: for_training_text(16, TRAIN_CORPUS)
    resources:
        mem_mb=growing(1000, per_thread=200),
        runtime=minutes(10, shared=minutes_of("deduplicate")),
    params:
        recipe=recipe("corpus.dedup"),
        settings=lookup(dpath="corpora/{corpus}/duplicates", within=config),
        seed=config["seed"],
    message:
        "Remove duplicates from {wildcards.corpus}"
    script:
        "../../scripts/deduplicate.py"


rule sign:
    """Write keys and signatures of the documents of one part: all that duplicates are told from."""
    input:
        documents="<study>/corpus/{corpus}/cleaned",
    output:
        signed=temp(directory("<study>/corpus/{corpus}/signed/{part}")),
    log:
        "<study>/logs/sign/{corpus}.{part}.log",
    benchmark:
        "<study>/benchmarks/sign/{corpus}.{part}.tsv"
    wildcard_constraints:
        corpus=IN_PARTS,
    conda:
        "../../envs/corpus.yaml"
    threads: for_training_text(16, TRAIN_CORPUS)
    resources:
        mem_mb=growing(700, per_thread=200),
        runtime=minutes(10, shared=minutes_of("sign")),
    params:
        recipe=recipe("corpus.dedup"),
        settings=lookup(dpath="corpora/{corpus}/duplicates", within=config),
        seed=config["seed"],
        parts=lookup(dpath="corpora/{corpus}/parts", within=config),
    message:
        "Sign {wildcards.corpus}, part {wildcards.part}"
    script:
        "../../scripts/sign.py"


rule match:
    """Find the duplicates of one round whose hashes lie in one part, among those that the rounds before have left."""
    input:
        signed=lambda wildcards: parts_of(
            f"{STUDY}/corpus/{wildcards.corpus}/signed",
            config["corpora"][wildcards.corpus]["parts"],
        ),
        training=lambda wildcards: (
            []
            if wildcards.corpus == TRAIN_CORPUS
            else f"<study>/corpus/{TRAIN_CORPUS}/signatures"
        ),
        former=lambda wildcards: matches_of(
            f"{STUDY}/corpus/{wildcards.corpus}/matches",
            config["corpora"][wildcards.corpus]["parts"],
            wildcards.round,
        ),
    output:
        pairs=temp("<study>/corpus/{corpus}/matches/{round}/{part}.npy"),
    log:
        "<study>/logs/match/{corpus}.{round}.{part}.log",
    benchmark:
        "<study>/benchmarks/match/{corpus}.{round}.{part}.tsv"
    wildcard_constraints:
        corpus=IN_PARTS,
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=minutes(10, shared=minutes_of("match")),
    params:
        recipe=recipe("corpus.dedup"),
        settings=lookup(dpath="corpora/{corpus}/duplicates", within=config),
        seed=config["seed"],
        parts=lookup(dpath="corpora/{corpus}/parts", within=config),
    message:
        "Match {wildcards.corpus} by {wildcards.round}, part {wildcards.part}"
    script:
        "../../scripts/match.py"


use rule deduplicate as deduplicate_parts with:
    input:
        documents="<study>/corpus/{corpus}/cleaned",
        training=lambda wildcards: (
            []
            if wildcards.corpus == TRAIN_CORPUS
            else f"<study>/corpus/{TRAIN_CORPUS}/signatures"
        ),
        signed=lambda wildcards: parts_of(
            f"{STUDY}/corpus/{wildcards.corpus}/signed",
            config["corpora"][wildcards.corpus]["parts"],
        ),
        matches=lambda wildcards: matches_of(
            f"{STUDY}/corpus/{wildcards.corpus}/matches",
            config["corpora"][wildcards.corpus]["parts"],
        ),
    wildcard_constraints:
        corpus=IN_PARTS,
