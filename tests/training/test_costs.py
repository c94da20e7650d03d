"""The bill before the meal: every rule's jobs, added up, and refused beyond a limit."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from scalelaws.errors import InputError
from scalelaws.training.costs import Cost, amount, check_limits, costs_of, costs_table, reruns_of, together
from scalelaws.training.hardware import Hardware
from scalelaws.training.needs import needs_of

from .test_needs import run_of

LIMITS = {"core_hours": 1000, "gpu_hours": 100, "disk_gb": 500}
RUNS = {name: replace(run_of(n, 2e9), run=name) for name, n in (("small", 1e5), ("large", 1e9))}
NEEDS = {name: needs_of(run, Hardware("H100", 8), 2, 3) for name, run in RUNS.items()}
CORPORA = {"web": {"role": "train", "parts": 3}, "books": {"role": "ood", "parts": 1}}
TEXTS = {"web": 3000.0, "books": 30.0}


def costs(jobs):
    """What jobs cost in a study of a training corpus and another."""
    return costs_of(jobs, RUNS, NEEDS, TEXTS, CORPORA)


def job(rule, memory_mb, run=None, products=True, corpus=None, **params):
    """What is read of one of Snakemake's jobs."""
    return SimpleNamespace(
        rule=SimpleNamespace(name=rule, has_products=lambda: products),
        wildcards=SimpleNamespace(**({"run": run} if run else {}), **({"corpus": corpus} if corpus else {})),
        resources=SimpleNamespace(mem_mb=memory_mb),
        params=params,
        is_local=not products,
    )


JOBS = [job("clean", 4000), job("train", 5000, "small"), job("train", 90_000, "large"), job("all", 0, products=False)]


def test_costs_are_those_of_the_jobs_that_will_run():
    found = costs(JOBS)
    assert list(found) == ["clean", "train"]
    assert found["train"].jobs == 2
    assert found["train"].gpu_hours == pytest.approx(sum(n.seconds * n.gpus for n in NEEDS.values()) / 3600)
    assert found["train"].core_hours == 0
    assert found["train"].memory_gb == NEEDS["large"].memory_mb / 1e3
    assert found["clean"].memory_gb == 4
    assert found["train"].flops == sum(run.flops_total for run in RUNS.values())
    assert costs(JOBS[:2])["train"].gpu_hours < found["train"].gpu_hours


def test_the_jobs_of_all_parts_of_a_corpus_cost_what_one_job_would_have():
    whole = costs([job("clean", 4000, corpus="web")])["clean"]
    parts = costs([job("clean_part", 4000, corpus="web", parts=3) for _ in range(3)])["clean_part"]
    assert parts.disk_gb == pytest.approx(whole.disk_gb)
    assert parts.core_hours == pytest.approx(whole.core_hours, rel=0.01)


def test_a_small_corpus_beside_a_large_one_costs_little():
    web, books = (costs([job("clean", 4000, corpus=name)])["clean"] for name in ("web", "books"))
    assert books.core_hours < web.core_hours / 50
    assert books.disk_gb < web.disk_gb / 50


def test_the_table_ends_with_the_sum():
    lines = costs_table(costs(JOBS))
    assert lines[0].split() == ["rule", "jobs", "core", "hours", "GPU", "hours", "memory", "disk", "tokens", "FLOPs"]
    assert lines[3].split()[:2] == ["all", "3"]
    assert f"{NEEDS['large'].memory_mb / 1e3:.1f} GB" in lines[3]
    assert "Checkpoints" in lines[4]


def test_what_is_done_again_has_its_reason_and_what_follows_from_it_none():
    words = {"clean": ["params have changed"], "train": ["input files updated by another job"], "all": ["forced"]}
    reason = lambda job: SimpleNamespace(get_names=lambda: words[job.rule.name])  # noqa: E731
    assert reruns_of(JOBS, reason) == ["Again: clean (params have changed)"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0123, "0.012"), (8.34, "8.3"), (99.4, "99"), (99.7, "100"), (138.9, "139"), (2345.6, "2,346")],
)
def test_amounts_are_written_without_powers_of_ten(value, text):
    assert amount(value) == text


def test_nothing_costs_nothing():
    assert together([]) == Cost()
    check_limits([], dict.fromkeys(LIMITS, 0))


@pytest.mark.parametrize(
    ("cost", "line"),
    [
        (Cost(core_hours=2000), r"limits\.core_hours: about 2,000 core hours are expected, and 1,000 allowed.*2200"),
        (Cost(gpu_hours=101), r"limits\.gpu_hours: about 101 GPU hours"),
        (Cost(disk_gb=300, passing_gb=300), r"limits\.disk_gb: about 600 GB of disk"),
    ],
)
def test_more_than_a_limit_is_refused_with_the_line_that_allows_it(cost, line):
    with pytest.raises(InputError, match=line):
        check_limits([cost, Cost(jobs=1)], LIMITS)
    check_limits([cost], dict.fromkeys(LIMITS, 1e9))
