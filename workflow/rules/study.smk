# What every stage needs to know of the study: its checked configuration, its corpora, its runs.

import re
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parents[1]
# So that the library is found where it is not installed: a bare clone, a container, the conda environment of a stage.
sys.path.insert(0, str(ROOT / "scripts"))

from scalelaws.config import checked_config
from scalelaws.corpus.settings import any_crawled, blocklist_files, input_files
from scalelaws.errors import InputError
from scalelaws.job import hush_bookkeeping
from scalelaws.observations.read import local_table
from scalelaws.recipe import recipe
from scalelaws.resources import growing
from scalelaws.training.plan import (
    check_made_corpus,
    minutes_of,
    plan_summary,
    priority_of,
    runs_of,
)

CONFIG_FILE = str([*workflow.configfiles, "config.yaml"][0])
try:
    config = checked_config(
        config, ROOT / "workflow/schemas/config.schema.yaml", CONFIG_FILE
    )
    CORPORA = config.get("corpora", {})
    RUNS = {}
    if "table" in config:
        LOCAL_TABLE = local_table(config["table"]["path"], f"{CONFIG_FILE}: table.path")
    else:
        RUNS = runs_of(config)
        check_made_corpus(RUNS.values(), config)
    LISTED_FILES = {
        name: input_files(corpus["sources"], f"{CONFIG_FILE}: corpora.{name}")
        for name, corpus in CORPORA.items()
    }
except InputError as error:
    sys.exit(f"Error: {error}")
STUDY = f"results/{config['study']}"
TRUNKS = [name for name, run in RUNS.items() if run.schedule == "trunk"]
TRAIN_CORPUS = next(
    (name for name, corpus in CORPORA.items() if corpus["role"] == "train"), None
)
CRAWLED = [name for name, corpus in CORPORA.items() if any_crawled(corpus["sources"])]
OOD_CORPORA = [name for name in CORPORA if name != TRAIN_CORPUS]
EVALUATED = [
    f"{TRAIN_CORPUS}.train",
    f"{TRAIN_CORPUS}.test",
    *(f"{name}.test" for name in OOD_CORPORA),
]


pathvars:
    study=STUDY,


wildcard_constraints:
    corpus="[a-z0-9_]+",
    split="train|test",
    run="|".join(map(re.escape, RUNS)),


if workflow.is_main_process:
    hush_bookkeeping()
    summary = plan_summary(RUNS.values()) if RUNS else "finished runs, nothing to train"
    print(f"{config['study']}: {summary}", file=sys.stderr)
