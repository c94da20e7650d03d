# What every stage needs to know of the study: its checked configuration, its corpora, its runs.

import sys
from functools import partial
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parents[1]
# So that the library is found where it is not installed: a bare clone, a container, the conda environment of a stage.
sys.path.insert(0, str(ROOT / "scripts"))

from scalelaws.cluster import claim_jobs, leave_warnings_to_scripts, shared_gpu
from scalelaws.config import OPERATION, check_files, checked_config
from scalelaws.corpus.needs import check_packages, core_minutes, ordering_mb, texts_of
from scalelaws.corpus.settings import (
    all_from_the_web,
    any_crawled,
    any_from_the_web,
    blocklist_files,
    input_files,
    matches_of,
    trained_on,
)
from scalelaws.corpus.pairs import any_of_pairs
from scalelaws.errors import InputError
from scalelaws.graph import begin_graph, end_graph
from scalelaws.io import file_digest
from scalelaws.job import hush_bookkeeping
from scalelaws.observations.kept import check_kept
from scalelaws.observations.read import local_table
from scalelaws.recipe import contents, recipe
from scalelaws.resources import any_of, for_training_text, growing, parts_of
from scalelaws.training.costs import check_limits, costs_of, costs_table, reruns_of
from scalelaws.training.hardware import hardware_of
from scalelaws.training.needs import gpus_asked, longest_minutes, needs_of, sharing_jobs
from scalelaws.training.plan import (
    check_made_corpus,
    plan_summary,
    priority_of,
    runs_of,
)

begin_graph(workflow)
CONFIG_FILE = str([*workflow.configfiles, "config.yaml"][0])
try:
    config = checked_config(
        config, ROOT / "workflow/schemas/config.schema.yaml", CONFIG_FILE
    )
    check_files(config, CONFIG_FILE)
    CORPORA = config.get("corpora", {})
    FINISHED = config.get("finished")
    RUNS, LISTED_FILES = {}, {}
    HARDWARE = hardware_of(config["hardware"])
    if FINISHED:
        remedy = "Name a folder that `scalelaws keep` made of this study."
        check_kept(FINISHED, CORPORA, f"{CONFIG_FILE}: finished", remedy)
    elif "table" in config:
        LOCAL_TABLE = local_table(config["table"]["path"], f"{CONFIG_FILE}: table.path")
    else:
        check_packages(CORPORA, ROOT / "envs/requirements.txt")
        RUNS = runs_of(config)
        check_made_corpus(RUNS.values(), config)
        LISTED_FILES = {
            name: input_files(corpus["sources"], f"{CONFIG_FILE}: corpora.{name}")
            for name, corpus in CORPORA.items()
        }
except InputError as error:
    sys.exit(f"Error: {error}")
LARGEST_SUBSET = max((run.dataset_tokens for run in RUNS.values()), default=0)
TEXTS = texts_of(CORPORA, LARGEST_SUBSET) if RUNS else {}
# What a study is, without where and how it is made: that may change while it goes on.
CONTENT = {key: value for key, value in config.items() if key not in OPERATION}
PINS = file_digest(ROOT / "envs/requirements.txt")[:16]
STUDY = FINISHED or f"results/{config['study']}"
TRAIN_CORPUS, PAIRS = trained_on(CORPORA), any_of_pairs(CORPORA)
BLOCKLISTS = {
    name: blocklist_files(corpus["clean"]) for name, corpus in CORPORA.items()
}
CRAWLED = [name for name, corpus in CORPORA.items() if any_crawled(corpus["sources"])]
FROM_THE_WEB = [
    name for name, corpus in CORPORA.items() if all_from_the_web(corpus["sources"])
]
IN_PARTS, IN_ONE = (
    any_of(name for name in CORPORA if (CORPORA[name]["parts"] > 1) == several)
    for several in (True, False)
)
OOD_CORPORA = [name for name in CORPORA if name != TRAIN_CORPUS]
EVALUATED = [
    f"{TRAIN_CORPUS}.train",
    *(f"{name}.test" for name in (TRAIN_CORPUS, *OOD_CORPORA)),
]
NEEDS = {
    name: needs_of(run, HARDWARE, config["longest_hours"], len(EVALUATED))
    for name, run in RUNS.items()
}
SHARING_JOBS = sharing_jobs(
    RUNS, NEEDS, HARDWARE, config["small_run_minutes"], len(EVALUATED)
)


pathvars:
    study=STUDY,


wildcard_constraints:
    corpus="[a-z0-9_]+",
    part=r"\d+",
    split="train|test",
    # Not the names themselves: Snakemake carries a constraint in every pattern and matches it for every file.
    run=r"[\w.+-]+",


minutes = partial(
    growing, most=longest_minutes(config["longest_job_hours"], SHARING_JOBS)
)
minutes_of = partial(core_minutes, texts=TEXTS, corpora=CORPORA)
memory_of = partial(ordering_mb, texts=TEXTS, corpora=CORPORA)
expected = partial(costs_of, runs=RUNS, needs=NEEDS, texts=TEXTS, corpora=CORPORA)


def jobs_ahead():
    """The jobs that Snakemake is about to run, in the order in which their rules stand here."""
    order = {rule.name: place for place, rule in enumerate(workflow.rules)}
    return sorted(workflow.dag.needrun_jobs(), key=lambda job: order[job.rule.name])


def show_costs():
    """Say on the terminal what is left to do and what is done again, before any of it is begun."""
    end_graph()
    jobs = jobs_ahead()
    print(
        f"on {config['hardware']}, expected:",
        *costs_table(expected(jobs)),
        *reruns_of(jobs, workflow.dag.reason),
        sep="\n",
        file=sys.stderr,
    )


leave_warnings_to_scripts(workflow)
if workflow.is_main_process:
    hush_bookkeeping(before_jobs=show_costs)
    summary = plan_summary(RUNS.values()) if RUNS else "finished runs, nothing to train"
    print(f"{config['study']}: {summary}", file=sys.stderr)


onstart:
    check_limits(expected(jobs_ahead()).values(), config["limits"])
    # Before the first job is submitted.
    claim_jobs(workflow, config["study"], lambda text: print(text, file=sys.stderr))
