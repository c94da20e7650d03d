"""A study's folder as the workflow leaves it, for the tests of the report."""

from pathlib import Path

import pandas as pd
from scalelaws.figures.draw import draw_figures
from scalelaws.io import write_json
from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations

CONFIG = {
    "study": "synthetic",
    "seed": 1,
    "corpora": {"documentation": {"role": "train"}, "readmes": {"role": "ood"}},
    "training": {"parameters": [10_000, 25_000], "learning_rate": 0.004},
}


def write_study(folder: Path, observations: Observations, laws: Laws) -> None:
    """Figures, two corpus cards and benchmark files below `folder`."""
    draw_figures(observations, laws, folder / "figures", {"savefig.dpi": 60}, {"recipe": "0123456789abcdef"})
    for name, role in (("documentation", "train"), ("readmes", "ood")):
        write_json(folder / "corpus" / name / "card.json", card(name, role))
    for run in ("a", "b"):
        file = folder / "benchmarks" / "train" / f"{run}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"
        file.write_text(f"{header}\n30.5\t0:00:30\t812.5\t900\t800\t800\t1\t1\t98\t29.0\n")
    (folder / "observations.csv").write_text("run,loss\n")


def plan_of(observations: Observations) -> pd.DataFrame:
    """The runs as they were planned, and one that was never run."""
    planned = observations.runs.assign(seconds=observations.runs["seconds"] * 1.1, epochs=1.0)
    extra = planned.tail(1).assign(run="never-run")
    return pd.concat([planned, extra], ignore_index=True)


def card(name: str, role: str) -> dict:
    """A corpus card of four documents, one of which was removed."""
    example = {"url": "http://127.0.0.1/a.html", "excerpt": "<b>Buy</b> now & save", "note": "0.91 of the lines repeat"}
    removed = {"too_short": {"documents": 1, "bytes": 20, "examples": [example]}}
    row = {"documents": 3, "bytes": 1200, "words": 200, "tokens": 300, "bytes_per_token": 4.0}
    return {
        "corpus": name,
        "role": role,
        "sources": [{"kind": "files", "paths": ["pages.jsonl"]}],
        "splits": {"train": row, "test": row} if role == "train" else {"test": row},
        "crawl": {"0": {"ok": 4, "not_found": 1}},
        "steps": [
            {"step": "clean", "in": {"documents": 4, "bytes": 1220}, "out": {"documents": 3, "bytes": 1200}}
            | {"removed": removed}
        ],
        "provenance": {},
    }
