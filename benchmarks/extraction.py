"""How well and how fast main text is taken out of real pages, scored on gold texts, beside two peers and each setting.

Scores: of texts that must appear and texts that must not, counted as trafilatura's own evaluation counts them (after
white space is made one kind): F1, precision, recall. And token F1 against the whole text that Readability.js keeps.
Gold: ../shared/data/extraction, or the folders given. Peers are no dependency: where one is not installed its row is
left out. `pip install --target peers resiliparse readability-lxml`, then
Run: PYTHONPATH=scripts:peers .venv/bin/python benchmarks/extraction.py [every nth page, 1]
"""

import importlib.util
import json
import logging
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import lxml.html
import trafilatura
import zstandard
from scalelaws.corpus.documents import Document
from scalelaws.corpus.extract import extracted
from scalelaws.corpus.raw import Raw

GOLD = Path(__file__).resolve().parents[2] / "shared" / "data" / "extraction"
Extractor = Callable[[bytes], str]


def ours(html: bytes) -> str:
    """Our extraction, as the workflow runs it."""
    found = extracted(Raw("", "", html=html))
    return found.text if isinstance(found, Document) else ""


def with_settings(**settings: bool) -> Extractor:
    """trafilatura called directly."""
    return lambda html: trafilatura.extract(html, deduplicate=False, **settings) or ""


def peers() -> dict[str, Extractor]:
    """The two peers that are installed."""
    found: dict[str, Extractor] = {}
    if importlib.util.find_spec("resiliparse"):
        from resiliparse.extract.html2text import extract_plain_text
        from resiliparse.parse.encoding import detect_encoding
        from resiliparse.parse.html import HTMLTree

        def resiliparse(html: bytes) -> str:
            tree = HTMLTree.parse_from_bytes(html, detect_encoding(html))
            return str(extract_plain_text(tree, main_content=True, comments=False))

        found["resiliparse"] = resiliparse
    if importlib.util.find_spec("readability"):
        from readability import Document as Page

        def readability(html: bytes) -> str:
            summary = Page(html).summary(html_partial=True)
            return str(lxml.html.fromstring(summary).text_content()) if summary.strip() else ""

        found["readability-lxml"] = readability
    return found


EXTRACTORS: dict[str, Extractor] = {
    "scalelaws extract": ours,
    "trafilatura defaults": with_settings(),
    "trafilatura without comments": with_settings(include_comments=False),
    "  and without tables": with_settings(include_comments=False, include_tables=False),
    "  and fast": with_settings(include_comments=False, fast=True),
    "  and favor_precision": with_settings(include_comments=False, favor_precision=True),
    "  and favor_recall": with_settings(include_comments=False, favor_recall=True),
}


def members(archive: Path, step: int) -> Iterator[tuple[str, bytes]]:
    """The files of a .tar.zst whose place is a multiple of `step` within its folder, in order."""
    with zstandard.open(archive, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for number, member in enumerate(tar):
            if member.isfile() and (number % step == 0 or member.name.endswith("evaldata.json")):
                yield member.name, tar.extractfile(member).read()


def segments(folder: Path, step: int) -> list[tuple[bytes, list[str], list[str]]]:
    """(page, texts that must appear, texts that must not)."""
    found = dict(members(folder / "trafilatura-eval.tar.zst", step))
    gold = json.loads(next(content for name, content in found.items() if name.endswith("evaldata.json")))
    pages = {Path(name).name: content for name, content in found.items()}
    return [(pages[e["file"]], e["with"], e["without"]) for e in gold.values() if e["file"] in pages]


def readable(folder: Path, step: int) -> list[tuple[bytes, Counter[str]]]:
    """(page, words of the text that Readability.js keeps of it)."""
    found = dict(members(folder / "readability-test-pages.tar.zst", 1))
    pages = []
    for name in sorted(name for name in found if name.endswith("source.html"))[::step]:
        kept = lxml.html.fromstring(found[name.replace("source.html", "expected.html")].decode())
        pages.append((found[name], Counter(kept.text_content().split())))
    return pages


def one_space(text: str) -> str:
    return " ".join(text.split())


def main() -> None:
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    logging.disable(logging.CRITICAL)
    gold, whole = segments(GOLD / "trafilatura-eval", step), readable(GOLD / "mozilla-readability", step)
    megabytes = sum(len(page) for page, *_ in gold) / 1e6
    print(
        f"{len(gold)} pages ({megabytes:.0f} MB) with gold segments, {len(whole)} with Readability.js's text; CPU time"
    )
    print(
        f"{'':<30} {'F1':>6} {'prec.':>6} {'recall':>6} {'pages/s':>8} {'MB/s':>6} {'ratio':>6} {'token F1':>9} failed"
    )
    base = None
    for name, extract in (EXTRACTORS | peers()).items():
        counts, failed, seconds = Counter(), 0, 0.0
        for page, wanted, unwanted in gold:
            started = time.process_time()
            try:
                text = extract(page)
            except Exception:  # a crash counts as a page without text, as it would in a corpus
                text, failed = "", failed + 1
            seconds += time.process_time() - started
            text = one_space(text)
            for sort, segment in [*((True, s) for s in wanted), *((False, s) for s in unwanted)]:
                counts[sort, one_space(segment) in text] += 1
        tp, fn, fp = counts[True, True], counts[True, False], counts[False, True]
        overlap = []
        for page, words in whole:
            try:
                own = Counter(extract(page).split())
            except Exception:
                own = Counter()
            overlap.append(2 * (own & words).total() / max(own.total() + words.total(), 1))
        base = base or seconds
        numbers = f"{2 * tp / (2 * tp + fp + fn):6.3f} {tp / (tp + fp):6.3f} {tp / (tp + fn):6.3f}"
        speed = f"{len(gold) / seconds:8.1f} {megabytes / seconds:6.2f} {base / seconds:6.2f}"
        print(f"{name:<30} {numbers} {speed} {sum(overlap) / len(overlap):9.3f} {failed:6}", flush=True)


if __name__ == "__main__":
    main()
