"""A study's folder as the workflow leaves it, for the tests of the report."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from scalelaws.figures.draw import kinds
from scalelaws.io import write_json
from scalelaws.observations.table import Observations

CONFIG = {
    "study": "synthetic",
    "seed": 1,
    "corpora": {"documentation": {"role": "train"}, "readmes": {"role": "ood"}},
    "training": {"parameters": [10_000, 25_000], "learning_rate": 0.004},
}
MISSING = "seed_noise"


def write_study(folder: Path) -> None:
    """Stand-ins for the figures (one is missing), two corpus cards, benchmark files and an artifact of many files."""
    index = []
    for kind in kinds():
        entry = {"name": kind.name, "title": kind.title, "caption": kind.caption, "family": kind.module.split(".")[-1]}
        if kind.name == MISSING:
            index.append({**entry, "reason": "no size N was trained on the same subset D with two seeds"})
            continue
        index.append({**entry, "width": 20, "height": 10, "formats": ["png", "pdf"]})
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        Figure(figsize=(0.2, 0.1), dpi=100).savefig(folder / "figures" / f"{kind.name}.png")
    write_json(folder / "figures" / "index.json", {"figures": index, "provenance": {"recipe": "0123456789abcdef"}})
    for name, role in (("documentation", "train"), ("readmes", "ood")):
        write_json(folder / "corpus" / name / "card.json", card(name, role))
        documents = folder / "corpus" / name / "documents" / "test"
        documents.mkdir(parents=True)
        texts = pd.DataFrame({"url": ["http://127.0.0.1/kept.html"], "text": ["A page\n that <i>was</i> kept."]})
        texts.to_parquet(documents / "test-00000.parquet")
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"
    for run, memory in (("a", "812.5"), ("b", "-")):
        file = folder / "benchmarks" / "train" / f"{run}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{header}\n30.5\t0:00:30\t{memory}\t900\t800\t800\t1\t1\t98\t29.0\n")
    (folder / "benchmarks" / "gather.tsv").write_text(f"{header}\n2.5\t0:00:02\t90\t90\t80\t80\t1\t1\t98\t2.0\n")
    (folder / "runs").mkdir()
    for number in range(20):
        (folder / "runs" / f"{number}.json").write_text("{}")
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
        "submissions": {},
        "steps": [
            {"step": "clean", "in": {"documents": 4, "bytes": 1220}, "out": {"documents": 3, "bytes": 1200}}
            | {"removed": removed}
        ],
        "provenance": {},
    }
