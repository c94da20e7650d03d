# Tokens: documents become ids.
#
#   documents of the training corpus ──▶ tokenizer
#   documents of any corpus, tokenizer ──▶ encode ──▶ ids, document offsets, sidecar
#
# Subsets are no files: a run with D tokens reads the first D ids of its corpus (scalelaws.tokens.subset).


rule tokenizer:
    """Learn the byte-level BPE on a bounded, seeded sample of training documents alone, or take over the one given."""
    input:
        documents=(
            []
            if config["tokenizer"]["file"]
            else f"<study>/corpus/{TRAIN_CORPUS}/documents"
        ),
        # Told by its digest, not by its date, which a fresh clone makes anew.
        given=ancient(config["tokenizer"]["file"] or []),
    output:
        folder=directory("<study>/tokens/tokenizer"),
    log:
        "<study>/logs/tokenizer.log",
    benchmark:
        "<study>/benchmarks/tokenizer.tsv"
    conda:
        "../../envs/tokens.yaml"
    threads: 8
    resources:
        mem_mb=growing(
            memory_of(1000, sample_bytes=config["tokenizer"]["sample_bytes"])
        ),
        runtime=minutes(10, shared=minutes_of("tokenizer")),
    params:
        recipe=recipe("tokens.bpe", "tokens.given"),
        given=contents(filter(None, [config["tokenizer"]["file"]])),
        vocabulary=config["tokenizer"]["vocabulary"],
        digits=config["tokenizer"]["digits"],
        white_space=config["tokenizer"]["white_space"],
        sample_bytes=config["tokenizer"]["sample_bytes"],
        pairs=PAIRS,
        seed=config["seed"],
    message:
        "Learn the tokenizer's vocabulary"
    script:
        "../../scripts/tokenizer.py"


rule encode:
    """Encode a corpus's documents in one seeded order that no sharding changes, so that subsets of it are prefixes."""
    input:
        documents="<study>/corpus/{corpus}/documents",
        tokenizer="<study>/tokens/tokenizer",
    output:
        ids="<study>/tokens/{corpus}.{split}.bin",
        offsets="<study>/tokens/{corpus}.{split}.offsets.npy",
        sidecar="<study>/tokens/{corpus}.{split}.json",
    log:
        "<study>/logs/encode/{corpus}.{split}.log",
    benchmark:
        "<study>/benchmarks/encode/{corpus}.{split}.tsv"
    conda:
        "../../envs/tokens.yaml"
    threads: for_training_text(16, TRAIN_CORPUS)
    resources:
        mem_mb=growing(memory_of(800), per_thread=200),
        runtime=minutes(10, shared=minutes_of("encode")),
    params:
        recipe=recipe("tokens.encode"),
        mixture=lookup(dpath="corpora/{corpus}/mixture", within=config),
        seed=config["seed"],
    message:
        "Encode {wildcards.corpus}, {wildcards.split} split"
    script:
        "../../scripts/encode.py"
