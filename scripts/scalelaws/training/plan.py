"""Which runs a study makes, and what each will cost: known from the configuration alone, before anything is touched."""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from scalelaws.corpus.pairs import any_of_pairs, of_pairs
from scalelaws.corpus.settings import trained_on
from scalelaws.errors import InputError
from scalelaws.io import read_json
from scalelaws.models.shapes import Shape, shape_of
from scalelaws.sweep import Variant, variants
from scalelaws.training.branches import trunks_and_branches
from scalelaws.training.costs import amount
from scalelaws.training.hardware import DEVICES
from scalelaws.training.needs import Needs, disk_bytes
from scalelaws.training.rates import peak_rate, second_moment_decay, tokens_per_batch, warmup_steps
from scalelaws.training.run import Run
from scalelaws.units import readable

NOMINAL_RATES = {name: DEVICES[name].flops_per_second for name in ("CPU core", "H100")}
"""FLOP/s of training that a plan is priced with before anything is measured."""
PLAN_REMEDY = "Name a plan that was made by: snakemake results/<study>/plan.csv."


def runs_of(config: dict[str, Any]) -> dict[str, Run]:
    """The study's runs by name (2L48d-1.3M-s0, or with a sweep 2L48d-1.3M-s0-batch512), from its checked configuration.

    Raises InputError if two target sizes are built as the same shape, heads are too wide for one, a subset holds no two
    sequences, a run would make no two steps or be given no positive rate by its rule, or an encoder-decoder would be
    given other texts than pairs.
    """
    _check_pairs(config)
    runs: dict[str, Run] = {}
    made: set[Run] = set()
    for variant in variants(config["training"]):
        for run in _grid(config, variant):
            alike = replace(run, run="", variant="")
            if alike not in made:
                _check_name(run, runs)
                runs[run.run] = run
                made.add(alike)
    return runs


def _check_pairs(config: dict[str, Any]) -> None:
    """An encoder-decoder reads pairs alone, and its losses, of targets alone, are compared with no other family's.

    What other families were never shown a separator of says nothing about them.
    """
    families = {variant.settings["family"] for variant in variants(config["training"])}
    learned = config["corpora"].get(trained_on(config["corpora"]) or "", {"sources": []})["sources"]
    if "encoder_decoder" not in families:
        if any_of_pairs(config["corpora"]) and not any(map(of_pairs, learned)):
            name = next(name for name, corpus in config["corpora"].items() if any(map(of_pairs, corpus["sources"])))
            problem = "it has pairs of texts, and what separates them is not learned: the training corpus has none"
            remedy = "Give the training corpus pairs too, or take one field of these as text_field."
            raise InputError(f"config: corpora.{name}.sources", problem, remedy)
        return
    for name, corpus in config["corpora"].items():
        for number, source in enumerate(corpus["sources"]):
            if not of_pairs(source):
                problem = "the family encoder_decoder learns pairs of texts, and this source has none"
                remedy = "Give it source_field and target_field, or choose another training.family."
                raise InputError(f"config: corpora.{name}.sources.{number}", problem, remedy)
    if len(families) > 1:
        others = ", ".join(sorted(families - {"encoder_decoder"}))
        problem = f"losses of encoder_decoder, of targets alone, cannot be compared with those of {others}"
        raise InputError("config: training.sweep", problem, "Make a study of each.")


def _check_name(run: Run, others: Mapping[str, Run]) -> None:
    if run.run in others:
        remedy = "Space the values wider, or name fewer of them in the sweep."
        raise InputError("config: training", f"two different runs would both be called {run.run}", remedy)


def plan_rows(runs: Iterable[Run], needs: Iterable[Needs], flops_per_second: float | None) -> list[dict[str, Any]]:
    """The plan: one row per run, its columns the fields of Run, then what it processes, takes and is given.

    flops_per_second: of all devices of a run, as measured; None for the time that its needs expect.
    """
    return [
        {
            **asdict(run),
            "tokens": run.tokens,
            "epochs": round(run.tokens / run.dataset_tokens, 2),
            "flops": run.flops,
            "flops_total": run.flops_total,
            "seconds": round(run.flops_total / flops_per_second if flops_per_second else need.seconds, 1),
            "devices": need.devices,
            "gpus": need.gpus,
            "memory_mb": need.memory_mb,
            "disk_mb": round(disk_bytes(run) / 1e6, 1),
        }
        for run, need in zip(runs, needs, strict=True)
    ]


def check_plan(plan: Path) -> None:
    """Raise InputError for a file that is no plan.csv, made of `plan_rows`; one that is not there is told later."""
    if not plan.is_file():
        return
    try:
        with plan.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            missing = [field.name for field in fields(Run) if field.name not in (rows.fieldnames or ())]
            empty = next(rows, None) is None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(str(plan), "not readable as CSV", PLAN_REMEDY) from None
    if missing:
        raise InputError(str(plan), f"the column '{missing[0]}' is missing", PLAN_REMEDY)
    if empty:
        raise InputError(str(plan), "it has no runs", PLAN_REMEDY)


def priority_of(run: Run) -> int:
    """Which run a scheduler should start first: ten times the decades of what it costs at most."""
    return round(10 * math.log10(run.flops_total))


def plan_summary(runs: Iterable[Run]) -> str:
    """What the runs cost in all, in one paragraph: shown before anything is trained."""
    runs = list(runs)
    sizes = sorted({run.parameters for run in runs})
    subsets = sorted({run.dataset_tokens for run in runs})
    total = sum(run.flops_total for run in runs)
    tokens = sum((run.steps - run.first_step) * run.batch_tokens for run in runs)
    prices = " or ".join(f"{amount(total / rate / 3600)} {name} hours" for name, rate in NOMINAL_RATES.items())
    return (
        f"{len(runs)} runs: {len(sizes)} sizes N {readable(sizes[0])} to {readable(sizes[-1])}, "
        f"{len(subsets)} subsets D {readable(subsets[0])} to {readable(subsets[-1])}; at most "
        f"{tokens:.3g} tokens and {total:.3g} FLOPs in all, about {prices}."
    )


def check_corpus(runs: Iterable[Run], corpus_tokens: int, where: str) -> None:
    """Raise InputError if a run needs more unique tokens than the training corpus has."""
    largest = max(run.dataset_tokens for run in runs)
    if largest > corpus_tokens:
        raise InputError(
            "config: training.dataset_tokens",
            f"{largest:,} tokens are asked for, but the training corpus ({where}) has {corpus_tokens:,}",
            f"Choose subsets of at most {corpus_tokens:,} tokens, or add sources to the training corpus.",
        )


def check_made_corpus(runs: Iterable[Run], config: dict[str, Any]) -> None:
    """As `check_corpus`, where the study's training tokens have been made already; so that no job is even started."""
    sidecar = Path("results", config["study"], "tokens", f"{trained_on(config['corpora'])}.train.json")
    if sidecar.is_file():
        check_corpus(runs, read_json(sidecar)["tokens"], str(sidecar))


def _grid(config: dict[str, Any], variant: Variant) -> Iterator[Run]:
    """The runs of one variant, every size with every subset."""
    training, seed = variant.settings, config["seed"]
    place = f"config: training.{variant.place}".rstrip(".")
    runs = (
        _run(variant, shape, dataset_tokens, seed + repeat, place)
        for shape in _shapes(training, config["tokenizer"]["vocabulary"], place)
        for dataset_tokens in sorted(int(D) for D in training["dataset_tokens"])
        for repeat in range(_repeats(training, dataset_tokens))
    )
    yield from trunks_and_branches(runs, place) if training["schedule"] == "branched" else runs


def _shapes(training: dict[str, Any], vocabulary: int, place: str) -> list[Shape]:
    shapes: dict[str, Shape] = {}
    for parameters in sorted(training["parameters"]):
        shape = shape_of(
            parameters,
            training["context"],
            vocabulary,
            training["positions"],
            training["aspect_ratio"],
            training["head_size"],
            training["encoder_share"],
            family=training["family"],
            feed_forward_ratio=float(training["feed_forward_ratio"]),
            recurrence=training["recurrence"] if training["family"] == "universal" else 1,
            tied=training["tied"],
            parametrization=training["parametrization"],
        )
        if training["head_size"] and abs(math.log2(shape.parameters / parameters)) > 1:
            nearest = f"{shape.name}, of {readable(shape.parameters)}"
            problem = f"heads of {training['head_size']} come nearest to N = {readable(parameters)} with {nearest}"
            raise InputError(f"{place}.head_size", problem, "Take narrower heads, or larger sizes.")
        if shape.name in shapes:
            raise InputError(
                f"{place}.parameters",
                f"{readable(parameters)} and another size are both built as {shape.name}",
                "Space the sizes wider.",
            )
        shapes[shape.name] = shape
    return list(shapes.values())


def _repeats(training: dict[str, Any], dataset_tokens: int) -> int:
    repeats = training["repeats"]
    return int(repeats["seeds"]) if dataset_tokens in repeats["dataset_tokens"] else 1


def _run(variant: Variant, shape: Shape, dataset_tokens: int, seed: int, place: str) -> Run:
    training = variant.settings
    _check_subset(dataset_tokens, training["context"], place)
    epochs = 1 if training["schedule"] == "branched" else training["max_epochs"]
    limit = min(training["max_tokens"], epochs * dataset_tokens)
    batch_tokens = tokens_per_batch(training["batch_tokens"], shape, limit)
    steps = int(limit // batch_tokens)
    if steps < 2:
        raise InputError(
            f"{place}.dataset_tokens",
            f"{dataset_tokens:,} tokens give a run of {steps} steps of {batch_tokens:,} tokens",
            "Take larger subsets, smaller batches, or allow more epochs.",
        )
    warmup = warmup_steps(training["warmup_steps"], batch_tokens)
    return Run(
        run=f"{shape.name}-{readable(dataset_tokens)}-s{seed}{variant.suffix}",
        family=shape.family,
        parameters=shape.parameters,
        embedding_parameters=shape.embedding_parameters,
        n_layer=shape.n_layer,
        d_model=shape.d_model,
        n_head=shape.n_head,
        context=shape.context,
        vocabulary=shape.vocabulary,
        positions=shape.positions,
        dataset_tokens=dataset_tokens,
        seed=seed,
        batch_tokens=batch_tokens,
        steps=steps,
        learning_rate=_peak_rate(training["learning_rate"], shape, steps * batch_tokens, batch_tokens, place),
        schedule=training["schedule"],
        warmup_steps=warmup if training["schedule"] == "branched" else min(warmup, steps // 2),
        averaging=float(training["averaging"]),
        dropout=float(training["dropout"]),
        weight_decay=float(training["weight_decay"]),
        patience=training["patience"],
        evaluations=training["evaluations"],
        evaluation_tokens=training["evaluation_tokens"],
        precision=training["precision"],
        feed_forward_ratio=shape.feed_forward_ratio,
        recurrence=shape.recurrence,
        tied=shape.tied,
        parametrization=shape.parametrization,
        optimizer=training["optimizer"],
        beta2=second_moment_decay(training["beta2"], batch_tokens),
        variant=variant.name,
        encoder_layers=shape.encoder_layers,
    )


def _check_subset(dataset_tokens: int, context: int, place: str) -> None:
    if dataset_tokens <= 2 * context:  # the last prediction needs one token more
        problem = f"{dataset_tokens:,} tokens hold fewer than two sequences of {context:,} and the token after them"
        raise InputError(f"{place}.dataset_tokens", problem, "Take larger subsets, or a smaller training.context.")


def _peak_rate(rule: Any, shape: Shape, tokens: int, batch_tokens: int, place: str) -> float:
    rate = peak_rate(rule, shape, tokens, batch_tokens)
    if rate <= 0:
        problem = f"the rule {rule} gives {shape.name}, of N = {readable(shape.parameters)}, a rate of {rate:.2g}"
        raise InputError(f"{place}.learning_rate", problem, "Give a number, or one of the rules porian and step_law.")
    return rate
