# Corpora in several parts: as many jobs, on as many machines, extract and clean them.
#
#   sources ──▶ extract_part ──▶ join ──▶ extracted ──▶ survey ──▶ clean_part ──▶ join ──▶ cleaned


use rule extract as extract_part with:
    output:
        documents=temp(directory("<study>/corpus/{corpus}/extracted.parts/{part}")),
        report=temp("<study>/corpus/{corpus}/extracted.parts/{part}.json"),
    log:
        "<study>/logs/extract/{corpus}.{part}.log",
    benchmark:
        "<study>/benchmarks/extract/{corpus}.{part}.tsv"
    wildcard_constraints:
        corpus=IN_PARTS,
    params:
        recipe=recipe("corpus.extract"),
        pins=PINS,
        files=lambda wildcards: contents(LISTED_FILES[wildcards.corpus]),
        sources=lookup(dpath="corpora/{corpus}/sources", within=config),
        seed=config["seed"],
        parts=lookup(dpath="corpora/{corpus}/parts", within=config),
    message:
        "Extract the text of {wildcards.corpus}, part {wildcards.part}"


rule survey:
    """Find out what must be known of all documents before any part of them is cleaned: boilerplate, and what is sampled."""
    input:
        documents="<study>/corpus/{corpus}/extracted",
    output:
        survey=temp("<study>/corpus/{corpus}/survey.npz"),
    log:
        "<study>/logs/survey/{corpus}.log",
    benchmark:
        "<study>/benchmarks/survey/{corpus}.tsv"
    wildcard_constraints:
        corpus=IN_PARTS,
    conda:
        "../../envs/corpus.yaml"
    threads: for_training_text(16, TRAIN_CORPUS)
    resources:
        mem_mb=growing(700, per_thread=200),
        runtime=minutes(10, shared=minutes_of("survey")),
    params:
        recipe=recipe("corpus.survey"),
        settings=lookup(dpath="corpora/{corpus}/clean", within=config),
        seed=config["seed"],
    message:
        "Survey {wildcards.corpus}"
    script:
        "../../scripts/survey.py"


use rule clean as clean_part with:
    input:
        documents="<study>/corpus/{corpus}/extracted",
        # As the files that sources name.
        lists=ancient(lambda wildcards: BLOCKLISTS[wildcards.corpus]),
        survey="<study>/corpus/{corpus}/survey.npz",
    output:
        documents=temp(directory("<study>/corpus/{corpus}/cleaned.parts/{part}")),
        report=temp("<study>/corpus/{corpus}/cleaned.parts/{part}.json"),
    log:
        "<study>/logs/clean/{corpus}.{part}.log",
    benchmark:
        "<study>/benchmarks/clean/{corpus}.{part}.tsv"
    wildcard_constraints:
        corpus=IN_PARTS,
    params:
        recipe=recipe("corpus.clean"),
        lists=lambda wildcards: contents(BLOCKLISTS[wildcards.corpus]),
        settings=lookup(dpath="corpora/{corpus}/clean", within=config),
        seed=config["seed"],
        parts=lookup(dpath="corpora/{corpus}/parts", within=config),
    message:
        "Clean {wildcards.corpus}, part {wildcards.part}"


rule join:
    """Put together what the jobs of all parts of a corpus made, as second names of the same files."""
    input:
        parts=lambda wildcards: parts_of(
            f"{STUDY}/corpus/{wildcards.corpus}/{wildcards.step}.parts",
            config["corpora"][wildcards.corpus]["parts"],
        ),
        reports=lambda wildcards: parts_of(
            f"{STUDY}/corpus/{wildcards.corpus}/{wildcards.step}.parts",
            config["corpora"][wildcards.corpus]["parts"],
            ".json",
        ),
    output:
        documents=directory("<study>/corpus/{corpus}/{step}"),
        report="<study>/corpus/{corpus}/{step}.json",
    log:
        "<study>/logs/join/{corpus}.{step}.log",
    benchmark:
        "<study>/benchmarks/join/{corpus}.{step}.tsv"
    wildcard_constraints:
        corpus=IN_PARTS,
        step="extracted|cleaned",
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=minutes(30),
    params:
        recipe=recipe("corpus.parts"),
    message:
        "Join the parts of {wildcards.corpus}, {wildcards.step}"
    script:
        "../../scripts/join.py"
