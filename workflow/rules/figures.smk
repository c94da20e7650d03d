# A style of the user's own, told by its digest, not by its date, which a fresh clone makes anew.
STYLE_FILES = [
    style for style in [config["figures"]["style"]] if style.endswith(".mplstyle")
]
# Matplotlib takes a while to load: only where there is something of the user's to check, and not in every job.
if workflow.is_main_process and (STYLE_FILES or config["figures"]["settings"]):
    from scalelaws.figures.draw import Look, check_drawing

    try:
        check_drawing(Look(config["figures"]["style"], config["figures"]["settings"]))
    except InputError as error:
        sys.exit(f"Error: {error}")


rule plot_figures:
    """Draw every figure that the table holds the data for, and write down why the others are missing."""
    input:
        observations="<study>/observations.parquet",
        runs="<study>/runs.parquet",
        laws="<study>/laws.json",
        draws="<study>/laws_draws.npz",
        positions="<study>/positions.parquet" if CORPORA else [],
        cards=expand("<study>/corpus/{corpus}/card.json", corpus=CORPORA),
        style=ancient(STYLE_FILES),
    output:
        figures=report(
            directory("<study>/figures"),
            patterns=["{figure}.png"],
            caption="../report/figure.rst",
            category="Figures",
            labels={"shows": "{figure}"},
        ),
    log:
        "<study>/logs/plot_figures/figures.log",
    benchmark:
        "<study>/benchmarks/plot_figures/figures.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 8
    resources:
        mem_mb=growing(1000 + len(RUNS) / 10, per_thread=500),
        runtime=minutes(10 + len(RUNS) / 100),
    params:
        recipe=recipe("figures.draw", "laws.files"),
        seed=config["seed"],
        style=contents(STYLE_FILES),
        look=lookup(dpath="figures", within=config),
    message:
        "Drawing the figures"
    script:
        "../../scripts/plot_figures.py"


rule write_report:
    """Put the answer, its figures, and everything that led to it on one page that works offline."""
    input:
        observations="<study>/observations.parquet",
        runs="<study>/runs.parquet",
        laws="<study>/laws.json",
        draws="<study>/laws_draws.npz",
        figures="<study>/figures",
        plan="<study>/plan.csv" if CORPORA else [],
        cards=expand("<study>/corpus/{corpus}/card.json", corpus=CORPORA),
        documents=(
            []
            if FINISHED
            else expand("<study>/corpus/{corpus}/documents", corpus=CORPORA)
        ),
    output:
        report=report(
            "<study>/report.html",
            caption="../report/page.rst",
            category="The answer",
            labels={"shows": "laws, calculator, figures, corpora, cost"},
        ),
    log:
        "<study>/logs/write_report/report.log",
    benchmark:
        "<study>/benchmarks/write_report/report.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=minutes(10),
    params:
        recipe=recipe("report.page", "laws.files"),
        config=CONTENT,
    message:
        "Writing the report"
    script:
        "../../scripts/write_report.py"
