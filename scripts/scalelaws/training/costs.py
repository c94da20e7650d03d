"""What the jobs that are about to start will cost, rule by rule, and whether that is more than the study allows."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scalelaws.corpus.needs import JOB_SECONDS, Corpora, core_seconds, corpus_of
from scalelaws.errors import InputError
from scalelaws.training.needs import Needs, checkpoint_bytes, disk_bytes
from scalelaws.training.run import Run

DISK_SHARE = {"scrape": 2.0, "extract": 0.7, "clean": 0.35, "deduplicate": 0.33, "split": 0.33, "encode": 0.5}
"""Bytes that a job leaves for a byte of text."""
LIMITED = {"core_hours": "core hours", "gpu_hours": "GPU hours", "disk_gb": "GB of disk"}
"""What a study's `limits` may name, in words."""

FOLLOWS = {"output files have to be generated", "input files updated by another job"}
"""Snakemake's words for a job that was never done, or that only follows from another."""


@dataclass(frozen=True)
class Cost:
    """What one job is expected to cost, or several together."""

    jobs: int = 0
    core_hours: float = 0.0
    gpu_hours: float = 0.0
    memory_gb: float = 0.0
    """That the largest job asks for, of each of its nodes."""
    disk_gb: float = 0.0
    """That stays when all is done."""
    passing_gb: float = 0.0
    """That checkpoints take meanwhile, should all runs train at once."""
    tokens: float = 0.0
    flops: float = 0.0


def costs_of(
    jobs: Iterable[Any],
    runs: Mapping[str, Run],
    needs: Mapping[str, Needs],
    texts: Mapping[str, float],
    corpora: Corpora,
) -> dict[str, Cost]:
    """What the jobs (Snakemake's) of each rule cost, by its name in the order of first jobs.

    `texts`: megabytes of text of each corpus (corpus.needs.texts_of).
    """
    found: dict[str, list[Cost]] = {}
    for job in jobs:
        if not job.is_local or job.rule.has_products():
            name = getattr(job.wildcards, "run", "")
            cost = _training(runs[name], needs[name]) if name in runs else _other(job, texts, corpora)
            found.setdefault(job.rule.name, []).append(cost)
    return {rule: together(costs) for rule, costs in found.items()}


def reruns_of(jobs: Iterable[Any], reason: Callable[[Any], Any]) -> list[str]:
    """Lines for a terminal: which rules Snakemake runs although their results are there, and why.

    `reason` gives Snakemake's own for a job. What merely follows from another rule, or was never made, needs no line.
    """
    found: dict[str, dict[str, None]] = {}
    for job in jobs:
        if job.rule.has_products():
            for words in (words for words in reason(job).get_names() if words not in FOLLOWS):
                found.setdefault(words, {})[job.rule.name] = None
    return [f"Again: {', '.join(rules)} ({words})" for words, rules in found.items()]


def together(costs: Iterable[Cost]) -> Cost:
    """Sums, and the largest memory."""
    whole = Cost()
    for cost in costs:
        sums = Cost(*map(sum, zip(vars(whole).values(), vars(cost).values(), strict=True)))
        whole = replace(sums, memory_gb=max(whole.memory_gb, cost.memory_gb))
    return whole


def costs_table(costs: Mapping[str, Cost]) -> list[str]:
    """Lines for a terminal: a heading, one for each rule, and the sum."""
    whole = together(costs.values())
    headings = ("rule", "jobs", "core hours", "GPU hours", "memory", "disk", "tokens", "FLOPs")
    rows = [headings, *(_row(rule, cost) for rule, cost in costs.items()), _row("all", whole)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return [*lines, f"Checkpoints take up to {amount(whole.passing_gb)} GB meanwhile."] if whole.passing_gb else lines


def amount(value: float) -> str:
    """A number in two digits, or whole from 100 on."""
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.2g}" if value else "0"


def check_limits(costs: Iterable[Cost], limits: Mapping[str, float]) -> None:
    """Raise InputError if all that is about to start costs more than a limit."""
    whole = together(costs)
    for key, words in LIMITED.items():
        expected = getattr(whole, key) + (whole.passing_gb if key == "disk_gb" else 0.0)
        if expected > limits[key]:
            raise InputError(
                f"config: limits.{key}",
                f"about {amount(expected)} {words} are expected, and {limits[key]:,g} allowed",
                f"Nothing was started. If you mean it, set limits: {{{key}: {float(f'{expected * 1.1:.1e}'):g}}}.",
            )


def _training(run: Run, needs: Needs) -> Cost:
    hours = needs.seconds / 3600
    return Cost(
        jobs=1,
        core_hours=0.0 if needs.gpus else hours * needs.devices,
        gpu_hours=hours * needs.gpus,
        memory_gb=needs.memory_mb / 1e3,
        disk_gb=disk_bytes(run) / 1e9,
        passing_gb=checkpoint_bytes(run) / 1e9,
        tokens=(run.steps - run.first_step) * run.batch_tokens,
        flops=run.flops_total,
    )


def _other(job: Any, texts: Mapping[str, float], corpora: Corpora) -> Cost:
    stage, corpus = re.sub("_parts?$", "", job.rule.name), corpus_of(job.wildcards, corpora)
    seconds, disk_gb, parts = JOB_SECONDS, 0.0, job.params.get("parts", 1)
    if corpus in texts:
        seconds += core_seconds(stage, corpus, parts, texts, corpora)
        disk_gb = DISK_SHARE.get(stage, 0.0) * texts[corpus] / parts / 1e3
    return Cost(1, seconds / 3600, memory_gb=job.resources.mem_mb / 1e3, disk_gb=disk_gb)


def _row(rule: str, cost: Cost) -> tuple[str, ...]:
    hours = (amount(cost.core_hours), amount(cost.gpu_hours))
    sizes = (f"{cost.memory_gb:.1f} GB", f"{amount(cost.disk_gb)} GB")
    trained = (f"{cost.tokens:.3g}", f"{cost.flops:.3g}") if cost.tokens else ("", "")
    return (rule, f"{cost.jobs:,}", *hours, *sizes, *trained)
