"""What a corpus's jobs take, as far as its sources tell before any of them is read. Imports nothing heavy."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scalelaws.corpus.pairs import of_pairs
from scalelaws.corpus.pinned import pinned_packages
from scalelaws.corpus.settings import Source, input_files, trained_on

Corpora = Mapping[str, Mapping[str, Any]]
"""What a study says about each of its corpora, by name."""

BYTES_PER_TOKEN = 4.2
"""Of English text, under the byte pairs of WebText (Kaplan et al. 2020, section 2.3)."""
TEXT_PER_BYTE = {"files": 1.0, "urls": 70.0, "reddit": 2.5}
"""Bytes of text behind a byte of a listed file: a page has about 5,000 of them, its URL 70, a submission 2,000."""
UNPACKED = 2.5
"""Bytes of text in a byte of a compressed file; pages of HTML have fewer."""
PACKED = {".gz", ".bz2", ".xz", ".zst", ".parquet"}
INSTALLED_MB = 30.0
"""Megabytes of text in the documentation of the packages that the environment installs."""
UNKNOWN_MB = 20_000.0
"""The same of a source whose size only its reading tells: half of WebText."""
CORE_SECONDS_PER_MB = {
    **{"scrape": 0.3, "extract": 3.0, "clean": 1.5, "sign": 0.15, "match": 0.05, "deduplicate": 0.2, "split": 0.3},
    **{"survey": 0.05, "tokenizer": 0.25, "encode": 0.12},
}
"""For a megabyte of text. They tell orders of magnitude: pages differ more than that."""
ORDER_MB_PER_MB, PAIRS_MB_PER_MB = 0.05, 4.0
"""Memory for the ids of a megabyte's documents, of which WebText has 200, and of pairs, of which it may have 16,000."""
WORDS_MB_PER_MB = 3.0
"""The same for its different words; 1.5 measured at 120 MB, and less for more."""
AGAINST_TRAINING = {"match", "deduplicate", "split"}
"""Stages that compare a corpus with the training text, all of which they read."""
JOB_SECONDS = 10.0
"""Core seconds that any job takes to start, to check its inputs and to end."""
MARGIN = 4.0
"""Time is asked for as if everything took so many times what is expected."""


def texts_of(corpora: Corpora, tokens: float) -> dict[str, float]:
    """About how many megabytes of text each corpus has, rather too many than too few; `tokens`: what training asks for.

    Raises InputError where a source lists files that are not there.
    """
    found = {name: sum(map(_source_mb, corpus["sources"])) for name, corpus in corpora.items()}
    asked = tokens * BYTES_PER_TOKEN / 1e6
    return {name: max(mb, asked) if name == trained_on(corpora) else mb for name, mb in found.items()}


def check_packages(corpora: Corpora, pins: Path) -> None:
    """Raise InputError for a package that a source names and the requirements file `pins` does not."""
    for corpus in corpora.values():
        for source in corpus["sources"]:
            if named := {*source.get("packages", ()), *source.get("exclude", ())}:
                pinned_packages(pins, named, named)  # all of them left out: only their names are looked up


def core_seconds(stage: str, corpus: str, parts: int, texts: Mapping[str, float], corpora: Corpora) -> float:
    """What one of a stage's jobs for a corpus in so many parts is expected to take; `texts`: texts_of all corpora."""
    read = {corpus, trained_on(corpora)} if stage in AGAINST_TRAINING else {corpus}
    return CORE_SECONDS_PER_MB.get(stage, 0.0) * sum(texts[name] for name in read if name) / parts


def corpus_of(wildcards: Any, corpora: Corpora) -> str:
    """The corpus that a job's wildcards name; else, as for the tokenizer, the one that is trained on."""
    return getattr(wildcards, "corpus", None) or trained_on(corpora) or ""


def core_minutes(stage: str, texts: Mapping[str, float], corpora: Corpora) -> Callable[[Any], float]:
    """As a function of a job's wildcards: minutes to ask for, were a single core to do all of the job's work."""

    def asked(wildcards: Any) -> float:
        corpus = corpus_of(wildcards, corpora)
        parts = corpora[corpus]["parts"] if wildcards.get("part") else 1
        return MARGIN * core_seconds(stage, corpus, parts, texts, corpora) / 60

    return asked


def ordering_mb(
    least: float, texts: Mapping[str, float], corpora: Corpora, sample_bytes: float = 0.0
) -> Callable[[Any], float]:
    """As a function of a job's wildcards: memory to ask for where documents are put in order and their words counted.

    least: what the job takes besides. sample_bytes: the most text whose words are counted.
    """

    def asked(wildcards: Any) -> float:
        name = corpus_of(wildcards, corpora)
        text, pairs = texts[name], any(map(of_pairs, corpora[name]["sources"]))
        ordering = (PAIRS_MB_PER_MB if pairs else ORDER_MB_PER_MB) * text
        return least + ordering + WORDS_MB_PER_MB * min(text, sample_bytes / 1e6)

    return asked


def _source_mb(source: Source) -> float:
    kind = source["kind"]
    if kind in TEXT_PER_BYTE:
        return TEXT_PER_BYTE[kind] * sum(_unpacked_bytes(Path(file)) for file in input_files([source], kind)) / 1e6
    if kind == "installed-docs":
        return INSTALLED_MB
    most = source["max_bytes"] if kind == "dataset" else None
    return most / 1e6 if most else UNKNOWN_MB


def _unpacked_bytes(file: Path) -> float:
    return file.stat().st_size * (UNPACKED if file.suffix in PACKED else 1.0)
