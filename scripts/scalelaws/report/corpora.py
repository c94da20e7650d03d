"""The corpus cards as the report shows them: sizes as Kaplan et al. give for WebText2, and what each step removed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from scalelaws.corpus.card import STEPS, describe
from scalelaws.figures.select import readable_name
from scalelaws.io import read_json

ROLES = {"train": "trained on", "ood": "out of distribution"}
MOST_EXAMPLES = 8
SAMPLES, EXCERPT = 4, 320
"""How many kept documents of a corpus are shown, and how many characters of each."""


def corpus_sections(cards: Sequence[str | Path]) -> list[dict[str, Any]]:
    """One entry per card.json: name, title, role, counts as text, sources, crawl, steps, samples of text."""
    return [{**_section(read_json(card)), "samples": _samples(Path(card).parent / "documents")} for card in cards]


def _section(card: Mapping[str, Any]) -> dict[str, Any]:
    splits = card["splits"].values()
    total = {column: sum(split[column] for split in splits) for column in ("documents", "bytes", "words", "tokens")}
    test = card["splits"].get("test", {"documents": 0, "tokens": 0})
    return {
        "name": card["corpus"],
        "title": readable_name(card["corpus"]),
        "role": ROLES[card["role"]],
        **{column: f"{count:,}" for column, count in total.items()},
        "test_documents": f"{test['documents']:,}",
        "test_tokens": f"{test['tokens']:,}",
        "bytes_per_token": f"{total['bytes'] / total['tokens']:.2f}" if total["tokens"] else "",
        "sources": [describe(source) for source in card["sources"]],
        "crawl": [_counted(counts) for what in ("submissions", "crawl") for counts in card[what].values()],
        "steps": [_step(step) for step in card["steps"]],
        "examples": _examples(card["steps"]),
    }


def _samples(documents: Path) -> list[dict[str, str]]:
    """The beginnings of a few kept documents, evenly spaced in the corpus; none where its documents are not here."""
    shards = sorted(documents.rglob("*.parquet"))
    if not shards:
        return []
    table = pq.read_table(shards[0], columns=["url", "text"])
    places = sorted({i * table.num_rows // SAMPLES for i in range(SAMPLES)}) if table.num_rows else []
    rows = table.take(places).to_pylist()
    return [{"url": row["url"], "excerpt": " ".join(row["text"].split())[:EXCERPT]} for row in rows]


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    entered, left = step["in"]["documents"], step["out"]["documents"]
    share = left / entered if entered else 0.0
    return {
        "title": STEPS[step["step"]],
        "documents_in": f"{entered:,}",
        "documents_out": f"{left:,}",
        "share": f"{100 * share:.1f}",
        "kept": f"{100 * share:.1f}%",
        "reasons": [
            {"title": readable_name(reason), "documents": f"{count['documents']:,}"}
            for reason, count in step["removed"].items()
        ],
    }


def _examples(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The first example of each reason, the most frequent reasons of each step first."""
    found = [
        {
            "step": STEPS[step["step"]].lower(),
            "reason": readable_name(reason),
            "excerpt": count["examples"][0]["excerpt"],
            "url": count["examples"][0]["url"],
            "note": count["examples"][0].get("note", ""),
        }
        for step in steps
        for reason, count in step["removed"].items()
        if count["examples"]
    ]
    return found[:MOST_EXAMPLES]


def _counted(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{readable_name(outcome)} {count:,}" for outcome, count in outcomes.items())
