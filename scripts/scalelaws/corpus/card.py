"""The corpus card: the table that Kaplan et al. 2020 (section 2.3) give for WebText2, and what each step removed."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from scalelaws.errors import InputError
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
    scraped = read_json(pages / "pages.json") if pages else {"outcomes": {}, "submissions": {}, "files": {}}
    _require_chain(name, scraped["files"], reports)
    counts = reports[-1]["splits"]
    splits = {split: _row(counts[split], read_json(path)["tokens"]) for split, path in tokens.items()}
    card = {
        "corpus": name,
        "role": role,
        "sources": [dict(source) for source in sources],
        "splits": splits,
        "crawl": scraped["outcomes"],
        "submissions": scraped["submissions"],
        "steps": [{key: report[key] for key in ("step", "in", "out", "removed", "changed")} for report in reports],
        "overlap": reports[-1]["overlap"],
        "provenance": provenance(recipe, 0, {"sources": sources}, [*steps, *tokens.values()], ["pyarrow"]),
    }
    save_card(card, json, markdown)


def save_card(card: Mapping[str, Any], json: Path, markdown: Path) -> None:
    """Write a card as JSON and as a Markdown page."""
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
    for what, counts in (("Submissions", card["submissions"]), ("Crawl", card["crawl"])):
        for number, outcomes in counts.items():
            happened = ", ".join(f"{outcome.replace('_', ' ')} {count:,}" for outcome, count in outcomes.items())
            lines += ["", f"{what} of source {int(number) + 1}: {happened}."]
    lines += ["", "## What each step removed", "", "| step | reason | documents | bytes |", "|---|---|--:|--:|"]
    for step in card["steps"]:
        kept = step["out"]
        lines.append(f"| {STEPS[step['step']]} | *kept* | {kept['documents']:,} | {kept['bytes']:,} |")
        for reason, count in step["removed"].items():
            lines.append(f"| | {reason.replace('_', ' ')} | {count['documents']:,} | {count['bytes']:,} |")
    lines += _changes(card["steps"]) + _overlap(card["overlap"], card["role"])
    return "\n".join(lines + _removed_examples(card["steps"])) + "\n"


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
    if source["kind"] == "sitemap":
        return f"at most {source['max_pages']:,} pages that the sitemaps of {', '.join(source['sites'])} list"
    if source["kind"] == "common-crawl":
        languages = f" in {', '.join(source['languages'])}" if source["languages"] else ""
        return f"pages{languages} of the archives that {', '.join(source['lists'])} name"
    pairs = "target_field" in source
    fields = f"pairs of {source['source_field']} and {source['target_field']}" if pairs else ""
    if source["kind"] == "files":
        return f"{fields}{' in ' if pairs else ''}files {', '.join(source['paths'])}"
    name = f"/{source['name']}" if source["name"] else ""
    return f"dataset {source['path']}{name}, split {source['split']}, {fields or 'field ' + source['field']}"


def _require_chain(name: str, scraped: Mapping[str, str], reports: Sequence[Mapping[str, Any]]) -> None:
    """Raise InputError unless each step read the very files or documents that the one before it wrote."""
    written = {file: digest for file, digest in scraped.items() if file.endswith(".warc.gz")}
    if reports[0]["pages"] != written:
        problem = "extract did not read the pages that scrape wrote"
        raise InputError(f"corpus {name}", problem, "Make it again: snakemake corpus --forcerun extract.")
    for before, after in pairwise(reports):
        if before["out"]["digest"] != after["in"]["digest"]:
            problem = f"{after['step']} did not read the documents that {before['step']} wrote"
            raise InputError(
                f"corpus {name}", problem, f"Make them again: snakemake corpus --forcerun {after['step']}."
            )


def _changes(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        f"| {STEPS[step['step']]} | {reason.replace('_', ' ')} | {count['documents']:,} | {count['times']:,} |"
        for step in steps
        for reason, count in step["changed"].items()
    ]
    heading = ["", "## What was changed in documents that stayed", ""]
    return [*heading, "| step | what | documents | times |", "|---|---|--:|--:|", *rows] if rows else []


def _removed_examples(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for step in steps:
        for reason, count in step["removed"].items():
            if count["examples"]:
                lines += ["", f"**{reason.replace('_', ' ')}** ({STEPS[step['step']].lower()})", ""]
            for example in count["examples"]:
                note = f" ({example['note']})" if "note" in example else ""
                lines.append(f"- <{example['url']}>{note}: {example['excerpt']}")
    return ["", "## Examples of what was removed", *lines] if lines else []


def _overlap(overlap: Mapping[str, Any], role: str) -> list[str]:
    """The reverse report of decontamination: how much of what was tested on was in training.

    It is measured of what is left when duplicates are gone, before documents are dropped for it.
    """
    tested = "the held-out documents" if role == "train" else "this corpus"
    total, n = sum(overlap["documents_up_to"].values()), overlap["ngram"]
    some = total - overlap["documents_up_to"]["0"]
    lines = ["", "## How much of it was in training text", ""]
    lines.append(f"{overlap['share']:.2%} of the {overlap['ngrams']:,} {n}-grams of {tested}; {some:,} of {total:,}")
    lines[-1] += f" documents share one or more, {overlap['too_short_to_tell']:,} are too short to have any."
    bounds = [f"up to {float(step):.0%}" if step != "0" else "none" for step in overlap["documents_up_to"]]
    cells = [f"{count:,}" for count in overlap["documents_up_to"].values()]
    lines += ["", f"| share of a document | {' | '.join(bounds)} |", f"|---|{'--:|' * len(bounds)}"]
    return [*lines, f"| documents | {' | '.join(cells)} |"]


def _row(count: Mapping[str, int], tokens: int) -> dict[str, float]:
    return {
        **{k: count[k] for k in ("documents", "bytes", "words")},
        "tokens": tokens,
        "bytes_per_token": round(count["bytes"] / tokens, 4) if tokens else 0.0,
    }
