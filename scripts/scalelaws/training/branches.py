"""Trunks and branches: one run at a constant rate serves every horizon of its size.

A branch is a run with a warm-up, a held rate and a decay (wsd) whose held part its trunk has made already, so a column
of the N × D grid costs 0.8 of its longest run and a fifth of each (Hu et al. 2024; Hägele et al. 2024). Trunk and
branches go once through one stream of batches, drawn from the largest subset; a branch to D tokens has seen D of them,
of more documents than the subset of D tokens holds: that is worth 0.03 nats at a million of 8 million tokens.
"""

from collections.abc import Iterable
from dataclasses import replace

from scalelaws.errors import InputError
from scalelaws.training.run import Run
from scalelaws.training.schedule import fork_steps, last_held_step
from scalelaws.units import readable


def trunks_and_branches(runs: Iterable[Run], place: str) -> list[Run]:
    """The runs as branches, the trunk of each size and seed before them.

    Raises InputError, naming `place`, where runs of one size differ in more than their tokens, or are too short.
    """
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.shape.name, run.seed), []).append(run)
    return [made for group in groups.values() for made in _tree(group, place)]


def _tree(runs: list[Run], place: str) -> list[Run]:
    longest = max(runs, key=lambda run: (run.steps, run.dataset_tokens))
    stream = longest.dataset_tokens
    trunk = replace(
        longest,
        run=longest.run.replace(f"-{readable(stream)}-", "-trunk-", 1),
        schedule="trunk",
        steps=last_held_step(longest.steps),
        patience=0,
        variant="-".join(filter(None, (longest.variant, "trunk"))),
        stream_tokens=stream,
    )
    saved = fork_steps(trunk.steps)
    made = [trunk]
    for run in runs:
        if replace(run, run="", dataset_tokens=0, steps=0) != replace(longest, run="", dataset_tokens=0, steps=0):
            raise InputError(
                place,
                f"{run.run} and {longest.run} cannot branch from one trunk, for a rule gives them different settings",
                "Give learning_rate, batch_tokens and beta2 by rules that do not depend on tokens.",
            )
        if run.warmup_steps > run.steps // 2:
            raise InputError(
                place,
                f"the warm-up of {run.warmup_steps:,} steps is more than half of {run.run}'s {run.steps:,}",
                "Shorten warmup_steps, or choose larger dataset_tokens.",
            )
        first = max((step for step in saved if step <= last_held_step(run.steps)), default=0)
        made.append(
            replace(run, schedule="branch", patience=0, trunk=trunk.run, stream_tokens=stream, first_step=first)
        )
    return made
