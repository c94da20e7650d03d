"""Snakemake's graph of a study of ten thousand runs, built in half of the time that it takes by itself."""

import gc
from functools import cache
from typing import Any


def begin_graph(workflow: Any) -> None:
    """To be called before the rules: leave out what takes half of the time.

    None of the millions of objects of a graph is garbage, but the collector looks through them again and again. And
    Snakemake looks up the script of a rule anew for each of its jobs.
    """
    gc.disable()
    workflow.sourcecache._cache = cache(workflow.sourcecache._cache)


def end_graph() -> None:
    """Let garbage be collected again, for days if need be; what there is by now stays to the end."""
    gc.freeze()
    gc.enable()
