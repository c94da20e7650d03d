# Corpus: extracted documents become clean ones, split into training and test.
#
#   extracted ──▶ clean ──▶ deduplicate ──▶ split ──▶ documents
#   reports of all steps, token counts ──▶ card
#
# Every step writes its documents (a folder of parquet shards) and a report of what it kept and removed.


rule clean:
    """Keep documents in the corpus's language that break no quality rule; each one dropped is counted under its rule."""
    input:
        documents="<study>/corpus/{corpus}/extracted",
        # As the files that sources name.
        lists=ancient(lambda wildcards: BLOCKLISTS[wildcards.corpus]),
        survey=[],
    output:
        documents=directory("<study>/corpus/{corpus}/cleaned"),
        report="<study>/corpus/{corpus}/cleaned.json",
    log:
        "<study>/logs/clean/{corpus}.log",
    benchmark:
        "<study>/benchmarks/clean/{corpus}.tsv"
    wildcard_constraints:
        corpus=IN_ONE,
    conda:
        "../../envs/corpus.yaml"
    threads: for_training_text(16, TRAIN_CORPUS)
    resources:
        mem_mb=growing(700, per_thread=200),
        runtime=minutes(10, shared=minutes_of("clean")),
    params:
        recipe=recipe("corpus.clean"),
        lists=lambda wildcards: contents(BLOCKLISTS[wildcards.corpus]),
        settings=lookup(dpath="corpora/{corpus}/clean", within=config),
        seed=config["seed"],
        parts=1,
    message:
        "Clean {wildcards.corpus}"
    script:
        "../../scripts/clean.py"


rule split:
    """Hold out test documents by a hash of their ids, and drop those that training text contains by long n-grams."""
    input:
        documents="<study>/corpus/{corpus}/unique",
        training=lambda wildcards: (
            []
            if wildcards.corpus == TRAIN_CORPUS
            else f"<study>/corpus/{TRAIN_CORPUS}/documents"
        ),
    output:
        documents=directory("<study>/corpus/{corpus}/documents"),
        report="<study>/corpus/{corpus}/documents.json",
    log:
        "<study>/logs/split/{corpus}.log",
    benchmark:
        "<study>/benchmarks/split/{corpus}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: for_training_text(16, TRAIN_CORPUS)
    resources:
        mem_mb=growing(1000, per_thread=200),
        runtime=minutes(10, shared=minutes_of("split")),
    params:
        recipe=recipe("corpus.split"),
        settings=lookup(dpath="corpora/{corpus}/split", within=config),
        seed=config["seed"],
    message:
        "Split {wildcards.corpus} and take out what training text contains"
    script:
        "../../scripts/split.py"


rule card:
    """Say what a corpus is: documents, bytes, words and tokens of each split, and what each step removed and why."""
    input:
        pages=lambda wildcards: (
            f"<study>/corpus/{wildcards.corpus}/pages"
            if wildcards.corpus in CRAWLED
            else []
        ),
        steps=expand(
            "<study>/corpus/{{corpus}}/{step}.json",
            step=["extracted", "cleaned", "unique", "documents"],
        ),
        tokens=lambda wildcards: [
            f"<study>/tokens/{name}.json"
            for name in EVALUATED
            if name.split(".")[0] == wildcards.corpus
        ],
    output:
        json="<study>/corpus/{corpus}/card.json",
        markdown="<study>/corpus/{corpus}/card.md",
    log:
        "<study>/logs/card/{corpus}.log",
    benchmark:
        "<study>/benchmarks/card/{corpus}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=growing(300),
        runtime=minutes(5),
    params:
        recipe=recipe("corpus.card"),
        corpus=lookup(dpath="corpora/{corpus}", within=config),
    message:
        "Write the corpus card of {wildcards.corpus}"
    script:
        "../../scripts/card.py"
