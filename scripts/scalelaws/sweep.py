"""What a study's `training.sweep` means: the settings of each variant, and what to call it."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

GRID = ("parameters", "dataset_tokens")
"""Settings that are lists themselves: a sweep's entry replaces them as they are."""

SHORT = {
    "feed_forward_ratio": "ff",
    "aspect_ratio": "aspect",
    "head_size": "head",
    "recurrence": "times",
    "encoder_share": "share",
    "context": "context",
    "batch_tokens": "batch",
    "learning_rate": "rate",
    "warmup_steps": "warmup",
    "weight_decay": "decay",
    "max_tokens": "max",
    "max_epochs": "epochs",
}
"""How the name of a variant begins that changes this setting; a setting that is not here goes by its own name."""
RULES = {"times_width": "ratewidth", "at_batch_tokens": "at", "half_life_tokens": "halflife", "tokens": "warmuptokens"}
"""The same for settings that are given by a rule and its numbers."""
WORDS = ("family", "positions", "parametrization", "optimizer", "schedule", "precision")
"""Settings whose values say by themselves what they are of."""
BATCHES = ("batch_tokens", "max_tokens")
"""What runs differ in that tell what a batch is worth."""
HELD = ("constant", "trunk", "max_epochs")
"""What they may differ in beside that where the grid is made of branches."""
REPEATED = ("constant", "averaging", "max_tokens", "max_epochs")
"""What runs over repeated subsets may differ in from a grid that sees each token once."""
IN_SHAPE = ("family", "aspect_ratio", "recurrence", "encoder_share")
"""Settings that the name of a model's shape tells already."""


@dataclass(frozen=True)
class Variant:
    """One way to train the study's grid: its complete settings, and what of them differs from the study's own."""

    settings: dict[str, Any]
    differs: dict[str, Any]
    place: str
    """Where the configuration asks for it, below `training`."""

    @property
    def name(self) -> str:
        """All differences, such as lstm-batch512; empty for the study's own settings."""
        return "-".join(_label(key, value) for key, value in self.differs.items())

    @property
    def suffix(self) -> str:
        """What a run's name needs beside the name of its shape."""
        return "".join(f"-{_label(key, value)}" for key, value in self.differs.items() if key not in IN_SHAPE)


def variants(training: dict[str, Any]) -> list[Variant]:
    """The study's own settings, then those that each entry of its sweep asks for, in order."""
    own = {**training, "sweep": []}
    found = [Variant(own, {}, "")]
    for index, entry in enumerate(training["sweep"]):
        axes = {key: value if isinstance(value, list) else [value] for key, value in entry.items() if key not in GRID}
        grid = {key: entry[key] for key in GRID if key in entry}
        for values in product(*axes.values()):
            chosen = dict(zip(axes, values, strict=True))
            differs = {key: value for key, value in chosen.items() if own.get(key) != value}
            found.append(Variant({**own, **grid, **chosen}, differs, f"sweep.{index}"))
    return found


def most_runs(training: dict[str, Any]) -> int:
    """How many runs the study's grid and its sweep ask for, counted without making them; some may come out alike."""
    repeats = training["repeats"]
    found = 0
    for entry in ({}, *training["sweep"]):
        axes = {key: value if isinstance(value, list) else [value] for key, value in entry.items()}
        axes = {key: training[key] for key in GRID} | axes
        subsets = axes.pop("dataset_tokens")
        seeds = sum(repeats["seeds"] if D in repeats["dataset_tokens"] else 1 for D in subsets)
        found += seeds * math.prod(len(values) for values in axes.values())
    return found


def changes_only(variant: str, settings: Collection[str]) -> bool:
    """Whether the variant of this name differs from the study's own settings in nothing but the settings named."""
    starts = tuple(SHORT.get(setting, setting) for setting in settings)
    return all(label.startswith(starts) for label in variant.split("-") if label)


def _label(key: str, value: Any) -> str:
    if key == "tied":
        return "tied" if value else "untied"
    if key in WORDS:
        return str(value)
    if isinstance(value, dict):
        return "".join(f"{RULES[rule]}{_decimals(f'{number:g}', number)}" for rule, number in value.items())
    return f"{SHORT.get(key, key)}{_decimals(str(value), value) if isinstance(value, float) else value}"


def _decimals(text: str, number: float) -> str:
    """The text of a number, without an exponent: its hyphen would part a name in two, its digits may be too few."""
    return f"{Decimal(f'{number:.15g}'):f}" if "e" in text else text
