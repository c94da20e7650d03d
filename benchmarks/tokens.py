"""How many times as much text our encode turns into a token file as `tokenizers` turns into ids in the same time.

Ours reads parquet, encodes, orders and writes; the baseline is Tokenizer.encode_batch alone, on texts in memory. Both
on one thread, by CPU time, and on all cores, by the clock. The ids of every document are compared too.

python benchmarks/tokens.py [folder of documents]
    On the first BYTES of a corpus, such as results/<study>/corpus/<corpus>/documents/train; without one, on the
    documentation of the installed numpy, pandas and scipy.
"""

import importlib.util
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scalelaws.corpus.docstrings import module_entries
from scalelaws.job import Progress
from scalelaws.tokens.bpe import load_tokenizer, save_tokenizer, train_bpe
from scalelaws.tokens.documents import batches
from scalelaws.tokens.encode import encode_documents
from scalelaws.tokens.encoder import Encoder
from tokenizers import Tokenizer

PACKAGES = ("numpy", "pandas", "scipy")
VOCABULARIES = (8192, 50_257)
BYTES = 60e6
REPEATS = 3
CORES = os.cpu_count() or 1


def documentation() -> dict[str, str]:
    """The docstrings of each module, by its path."""
    texts = {}
    for package in PACKAGES:
        (folder,) = importlib.util.find_spec(package).submodule_search_locations
        for path in sorted(Path(folder).rglob("*.py")):
            texts[str(path)] = "\n\n".join(entry.text for entry in module_entries(path.read_bytes(), path.stem))
    return {path: text for path, text in texts.items() if text}


def documents_in(folder: str) -> dict[str, str]:
    """The first BYTES of the documents in a folder, by their ids."""
    texts, size = {}, 0
    for batch in batches(folder):
        for name, text in zip(batch.ids, batch.texts, strict=True):
            if size < BYTES:
                texts[name] = text
                size += len(text)
    return texts


def least_seconds(clock: Callable[[], float], *works: Callable[[], object]) -> list[float]:
    """The least time of a few repeats of each work, in turn, since a machine's speed changes."""
    seconds = []
    for _ in range(REPEATS):
        for work in works:
            started = clock()
            work()
            seconds.append(clock() - started)
    return [min(seconds[place :: len(works)]) for place in range(len(works))]


def documents_alike(texts: list[str], tokenizer: Tokenizer) -> int:
    """How many texts get the same ids from both."""
    ids, counts = Encoder(tokenizer).encode(texts)
    ours = np.split(ids, np.cumsum(counts)[:-1])
    return sum(a.tolist() == b.ids for a, b in zip(ours, tokenizer.encode_batch(texts), strict=True))


def compare(texts: dict[str, str], vocabulary: int) -> None:
    """Print the rates of both, and their ratio."""
    megabytes = sum(len(text.encode()) for text in texts.values()) / 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "documents").mkdir()
        table = pa.table({"id": list(texts), "text": list(texts.values())})
        pq.write_table(table, folder / "documents" / "0.parquet")
        save_tokenizer(train_bpe(texts.values(), vocabulary), folder / "tokenizer")
        tokenizer = load_tokenizer(folder / "tokenizer")
        quiet = Progress("", io.StringIO())
        arguments = (folder / "documents", folder / "tokenizer", folder / "train.json", 1)
        print(f"{megabytes:.1f} MB in {len(texts):,} documents, vocabulary {vocabulary:,}, best of {REPEATS}; MB/s")
        print(f"  {'':<18}{'encode, parquet to file':>24}{'encode_batch, list to ids':>27}{'ratio':>8}")
        # What several threads lose to one another is no matter of encoding: first both run on one.
        for name, threads, clock in (
            ("one thread, CPU", 1, time.process_time),
            ("all cores", CORES, time.perf_counter),
        ):
            os.environ["TOKENIZERS_PARALLELISM"] = "false" if threads == 1 else "true"
            ours, theirs = least_seconds(
                clock,
                lambda n=threads: encode_documents(*arguments, n, "", quiet),
                lambda: tokenizer.encode_batch(list(texts.values())),
            )
            print(f"  {name:<18}{megabytes / ours:24.1f}{megabytes / theirs:27.1f}{theirs / ours:8.1f}", flush=True)
        equal = documents_alike(list(texts.values()), tokenizer)
    print(f"  documents with the same ids: {equal:,} of {len(texts):,}")


if __name__ == "__main__":
    chosen = documents_in(sys.argv[1]) if len(sys.argv) > 1 else documentation()
    for size in VOCABULARIES:
        compare(chosen, size)
