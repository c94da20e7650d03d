# Pages: from a corpus's sources to the text of its pages.
#
#   sources ──▶ scrape (those that are web pages) ──▶ extract ──▶ extracted documents


rule scrape:
    """Crawl a corpus's web pages politely into WARC files; a killed crawl resumes from its state folder."""
    input:
        # Told by digests, not by dates: a fresh clone beside existing results is no reason to make them again.
        pins=ancient(ROOT / "envs/requirements.txt"),
        files=ancient(lambda wildcards: LISTED_FILES[wildcards.corpus]),
    output:
        pages=directory("<study>/corpus/{corpus}/pages"),
    log:
        "<study>/logs/scrape/{corpus}.log",
    benchmark:
        "<study>/benchmarks/scrape/{corpus}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=minutes(1440),
        # One at a time, by the profiles: two would ask a host that both have twice as often as is polite.
        web_crawls=lambda wildcards: int(
            any_from_the_web(config["corpora"][wildcards.corpus]["sources"])
        ),
    params:
        # Newer code and newer pins are no reason to ask the web again.
        recipe=lambda wildcards: (
            "any" if wildcards.corpus in FROM_THE_WEB else recipe("corpus.sources")
        ),
        pins=lambda wildcards: "any" if wildcards.corpus in FROM_THE_WEB else PINS,
        files=lambda wildcards: contents(LISTED_FILES[wildcards.corpus]),
        sources=lookup(dpath="corpora/{corpus}/sources", within=config),
        state=f"{STUDY}/corpus/{{corpus}}/.scrape",
    message:
        "Scrape the pages of {wildcards.corpus}"
    script:
        "../../scripts/scrape.py"


rule extract:
    """Take the main text out of pages; a page that breaks or outlasts the extractor is counted and left out."""
    input:
        # Told by digests, not by dates: a fresh clone beside existing results is no reason to make them again.
        pins=ancient(ROOT / "envs/requirements.txt"),
        files=ancient(lambda wildcards: LISTED_FILES[wildcards.corpus]),
        pages=lambda wildcards: (
            f"<study>/corpus/{wildcards.corpus}/pages"
            if wildcards.corpus in CRAWLED
            else []
        ),
    output:
        documents=directory("<study>/corpus/{corpus}/extracted"),
        report="<study>/corpus/{corpus}/extracted.json",
    log:
        "<study>/logs/extract/{corpus}.log",
    benchmark:
        "<study>/benchmarks/extract/{corpus}.tsv"
    wildcard_constraints:
        corpus=IN_ONE,
    conda:
        "../../envs/corpus.yaml"
    threads: for_training_text(16, TRAIN_CORPUS)
    resources:
        mem_mb=growing(1500, per_thread=300),
        runtime=minutes(10, shared=minutes_of("extract")),
    params:
        recipe=recipe("corpus.extract"),
        pins=PINS,
        files=lambda wildcards: contents(LISTED_FILES[wildcards.corpus]),
        sources=lookup(dpath="corpora/{corpus}/sources", within=config),
        seed=config["seed"],
        parts=1,
    message:
        "Extract the text of {wildcards.corpus}"
    script:
        "../../scripts/extract.py"
