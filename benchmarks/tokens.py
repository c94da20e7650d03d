"""How many times as much text our encode turns into a token file per CPU second as `tokenizers` turns into ids.

Ours reads parquet, encodes, orders and writes; the baseline is Tokenizer.encode_batch alone, on texts in memory. The
ids of every document are compared too.

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
BYTES = 20e6
REPEATS = 3


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


def cpu_seconds(work: Callable[[], object]) -> float:
    """The least CPU time of a few repeats."""
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


def documents_alike(texts: list[str], tokenizer: Tokenizer) -> int:
    """How many texts get the same ids from both."""
    ids, counts = Encoder(tokenizer).encode(texts)
    ours = np.split(ids, np.cumsum(counts)[:-1])
    return sum(a.tolist() == b.ids for a, b in zip(ours, tokenizer.encode_batch(texts), strict=True))


def compare(texts: dict[str, str], vocabulary: int) -> None:
    """Print both rates, and their ratio."""
    megabytes = sum(len(text.encode()) for text in texts.values()) / 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "documents").mkdir()
        table = pa.table({"id": list(texts), "text": list(texts.values())})
        pq.write_table(table, folder / "documents" / "0.parquet")
        save_tokenizer(train_bpe(texts.values(), vocabulary), folder / "tokenizer")
        tokenizer = load_tokenizer(folder / "tokenizer")
        quiet = Progress("", io.StringIO())
        arguments = (folder / "documents", folder / "tokenizer", folder / "train.json")
        ours = cpu_seconds(lambda: encode_documents(*arguments, seed=1, threads=1, recipe="", progress=quiet))
        theirs = cpu_seconds(lambda: tokenizer.encode_batch(list(texts.values())))
        equal = documents_alike(list(texts.values()), tokenizer)
    print(f"{megabytes:.1f} MB in {len(texts):,} documents, vocabulary {vocabulary:,}, CPU time, best of {REPEATS}")
    print(f"  scalelaws encode, parquet to token file   {megabytes / ours:6.1f} MB/CPU-s")
    print(f"  tokenizers encode_batch, list to ids      {megabytes / theirs:6.1f} MB/CPU-s")
    print(f"  ratio                                     {theirs / ours:6.1f}")
    print(f"  documents with the same ids               {equal:,} of {len(texts):,}")


if __name__ == "__main__":
    # Both sides run on one thread: what several lose to one another is no matter of encoding.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    chosen = documents_in(sys.argv[1]) if len(sys.argv) > 1 else documentation()
    for size in VOCABULARIES:
        compare(chosen, size)
