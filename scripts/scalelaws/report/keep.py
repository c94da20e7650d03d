"""A finished study, kept small: what its laws, figures and report are made of, and none of its text."""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from scalelaws.corpus.card import save_card
from scalelaws.io import atomic_path, read_json
from scalelaws.observations.kept import check_kept, kept_files
from scalelaws.report.tables import benchmark_tables

MADE_AGAIN = ("fit", "plot_figures", "write_report")
"""Rules whose jobs are done, and measured, anew in the folder that is kept."""


def keep_study(study: str | Path, config: str | Path, corpora: Collection[str], folder: str | Path) -> None:
    """Copy what the cheap half of a study needs from its results folder `study` to `folder`.

    Left out are documents, tokens, weights, and the excerpts on corpus cards, for they may not be ours to pass on; the
    measurements of a rule's jobs become one file. Raises InputError where the study is not finished.
    """
    study, folder = Path(study), Path(folder)
    check_kept(study, corpora, str(study), "Finish the study first: make run CONFIG=<its configuration>.")
    _copy(Path(config), folder / "config.yaml")
    for name in kept_files(corpora):
        if name.endswith("card.json"):
            save_card(_without_text(read_json(study / name)), folder / name, (folder / name).with_suffix(".md"))
        else:
            _copy(study / name, folder / name)
    costly = {rule: jobs for rule, jobs in benchmark_tables(study / "benchmarks").items() if rule not in MADE_AGAIN}
    for rule, table in costly.items():
        with atomic_path(folder / "benchmarks" / f"{rule}.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False, na_rep="NA")


def _without_text(card: Mapping[str, Any]) -> dict[str, Any]:
    steps = [
        {**step, "removed": {reason: {**count, "examples": []} for reason, count in step["removed"].items()}}
        for step in card["steps"]
    ]
    return {**card, "steps": steps}


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
