# From web text to fitted scaling laws.  pages -> documents -> tokens -> runs -> observations -> laws -> figures -> report
# `snakemake corpus`, `tokens`, `runs`, `laws`, `figures` and `report` (the default) bring the study just that far.

from snakemake.utils import min_version

min_version("9.20")


report: "workflow/report/workflow.rst"


# For --sdm apptainer; envs/scalelaws.def says how it is built.
container: "envs/scalelaws.sif"


# A study of its own, with --configfile, replaces the default one; the two are never mixed.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


include: "workflow/rules/study.smk"


if FINISHED:
    pass  # its observations are there
elif "table" in config:

    include: "workflow/rules/table.smk"

else:

    include: "workflow/rules/pages.smk"
    include: "workflow/rules/corpus.smk"
    include: "workflow/rules/parts.smk"
    include: "workflow/rules/duplicates.smk"
    include: "workflow/rules/tokens.smk"
    include: "workflow/rules/training.smk"


include: "workflow/rules/laws.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/cluster.smk"


localrules:
    check_cluster,
    report,
    corpus,
    tokens,
    runs,
    laws,
    figures,


rule report:
    """Everything: the page that shows the laws, the figures, the corpora and what the study cost."""
    default_target: True
    input:
        "<study>/report.html",


rule corpus:
    """The cleaned documents of every corpus."""
    input:
        expand("<study>/corpus/{corpus}/documents", corpus=CORPORA),


rule tokens:
    """The token files, and the corpus cards that count them."""
    input:
        expand(
            "<study>/tokens/{evaluated}.json", evaluated=EVALUATED if CORPORA else []
        ),
        expand("<study>/corpus/{corpus}/card.json", corpus=CORPORA),


rule runs:
    """All runs, trained and evaluated, in one table of observations."""
    input:
        "<study>/observations.parquet",


rule laws:
    """The fitted laws."""
    input:
        "<study>/laws.json",


rule figures:
    """The figures."""
    input:
        "<study>/figures",
