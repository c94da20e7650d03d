"""Snakemake's graph of a study of ten thousand runs, built in half the time."""

import gc
from functools import cache
from typing import Any


def begin_graph(workflow: Any) -> None:
    """Before the rules: spare the graph what costs as much again as building it.

    Of the millions of objects that it is made of none is garbage, and the collector looks through them again and again.
    And for each job Snakemake asks anew where its rule's script is.
    """
    gc.disable()
    workflow.sourcecache._cache = cache(workflow.sourcecache._cache)


def end_graph() -> None:
    """Let garbage be collected again, for days if need be; what there is by now stays to the end."""
    gc.freeze()
    gc.enable()
