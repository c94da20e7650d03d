"""The corpus card: the table that Kaplan et al. 2020 (section 2.3) give for WebText2, and what each step removed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalelaws.io import atomic_path, read_json, write_json
from scalelaws.recipe import provenance

STEPS = {
    "extract": "Main text of pages",
    "clean": "Language and quality rules",
    "deduplicate": "Duplicates",
    "split": "Test documents that training text contains",
}
COLUMNS = ("documents", "bytes", "words", "tokens")


def write_card(
    name: str,
    role: str,
    sources: Sequence[Mapping[str, Any]],
    pages: Path | None,
    steps: Sequence[Path],
    tokens: Mapping[str, Path],
    json: Path,
    markdown: Path,
    recipe: str,
) -> None:
    """Write a corpus's card as JSON and as Markdown.

    `pages` is the folder that `scrape` wrote, `steps` the reports (JSON) of extract, clean, deduplicate and split, and
    `tokens` the sidecar of the token file of each split.
    """
    reports = [read_json(path) for path in steps]
    counts = reports[-1]["splits"]
    splits = {split: _row(counts[split], read_json(path)["tokens"]) for split, path in tokens.items()}
    card = {
        "corpus": name,
        "role": role,
        "sources": [dict(source) for source in sources],
        "splits": splits,
        "crawl": read_json(pages / "pages.json")["outcomes"] if pages else {},
        "steps": [{key: report[key] for key in ("step", "in", "out", "removed")} for report in reports],
        "provenance": provenance(recipe, 0, {"sources": sources}, [*steps, *tokens.values()], ["pyarrow"]),
    }
    write_json(json, card)
    with atomic_path(markdown) as temporary:
        temporary.write_text(card_markdown(card), encoding="utf-8")


def card_markdown(card: Mapping[str, Any]) -> str:
    """A card as a Markdown page."""
    lines = [f"# {card['corpus']} ({card['role']})", ""]
    lines += [f"- {describe(source)}" for source in card["sources"]]
    lines += ["", "| | documents | bytes | words (wc -w) | tokens | bytes per token |", "|---|--:|--:|--:|--:|--:|"]
    for split, row in card["splits"].items():
        cells = [f"{row[column]:,}" for column in COLUMNS]
        lines.append(f"| {split} | {' | '.join(cells)} | {row['bytes_per_token']:.2f} |")
    for number, outcomes in card["crawl"].items():
        happened = ", ".join(f"{outcome.replace('_', ' ')} {count:,}" for outcome, count in outcomes.items())
        lines += ["", f"Crawl of source {int(number) + 1}: {happened}."]
    lines += ["", "## What each step removed", "", "| step | reason | documents | bytes |", "|---|---|--:|--:|"]
    for step in card["steps"]:
        kept = step["out"]
        lines.append(f"| {STEPS[step['step']]} | *kept* | {kept['documents']:,} | {kept['bytes']:,} |")
        for reason, count in step["removed"].items():
            lines.append(f"| | {reason.replace('_', ' ')} | {count['documents']:,} | {count['bytes']:,} |")
    lines += ["", "## Examples of what was removed"]
    for step in card["steps"]:
        for reason, count in step["removed"].items():
            lines += ["", f"**{reason.replace('_', ' ')}** ({STEPS[step['step']].lower()})", ""]
            for example in count["examples"]:
                note = f" ({example['note']})" if "note" in example else ""
                lines.append(f"- <{example['url']}>{note}: {example['excerpt']}")
    return "\n".join(lines) + "\n"


def describe(source: Mapping[str, Any]) -> str:
    """A source in one line for people."""
    if source["kind"] == "installed-docs":
        chosen = ", ".join(source["packages"]) or "all pinned packages"
        without = f" except {', '.join(source['exclude'])}" if source["exclude"] else ""
        return f"{source['content']} of {chosen}{without}, as installed"
    if source["kind"] == "urls":
        floor = f" with a score of at least {source['min_score']:g}" if source["min_score"] is not None else ""
        return f"pages of the URLs in {source['path']}{floor}"
    if source["kind"] == "reddit":
        return f"pages linked from {', '.join(source['paths'])} with a karma of at least {source['min_karma']:g}"
    if source["kind"] == "files":
        return f"files {', '.join(source['paths'])}"
    name = f"/{source['name']}" if source["name"] else ""
    return f"dataset {source['path']}{name}, split {source['split']}, field {source['field']}"


def _row(count: Mapping[str, int], tokens: int) -> dict[str, float]:
    return {**count, "tokens": tokens, "bytes_per_token": round(count["bytes"] / tokens, 4) if tokens else 0.0}
