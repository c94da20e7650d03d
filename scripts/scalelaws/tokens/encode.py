"""From documents to a token file: each document's ids in seeded order, whatever the shards, in bounded memory."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tokenizers import Tokenizer

from scalelaws.io import atomic_path, file_digest, write_json
from scalelaws.job import Progress
from scalelaws.recipe import provenance
from scalelaws.tokens.bpe import END_OF_DOCUMENT, SEPARATOR, load_tokenizer
from scalelaws.tokens.documents import batches, order_of, text_bytes
from scalelaws.tokens.encoder import Encoder, groups
from scalelaws.tokens.mixture import mixed_order, shares, source_numbers
from scalelaws.tokens.store import Checksums, id_dtype, token_paths
from scalelaws.workers import spread

BYTES_PER_PROCESS = 20_000_000
"""Text for which a process of its own pays: it takes two seconds."""


def encode_documents(
    documents: str | Path,
    tokenizer_folder: str | Path,
    output: str | Path,
    seed: int,
    threads: int,
    recipe: str,
    progress: Progress,
    mixture: Sequence[float] | None = None,
) -> None:
    """Write the token file `output` (the path of its sidecar) of the documents in a folder of parquet shards.

    The ids are first written in the order of the shards to a scratch file beside the output that has no name, so that a
    killed process leaves nothing, and then gathered in seeded order: the disk has to hold them twice. With `mixture`, a
    weight for each source of the corpus, the sources are mixed so. Raises InputError for documents or a tokenizer that
    cannot be read.
    """
    tokenizer = load_tokenizer(tokenizer_folder)
    tokenizer_file = Path(tokenizer_folder) / "tokenizer.json"
    dtype = id_dtype(tokenizer.get_vocab_size())
    separator = {} if (found := tokenizer.token_to_id(SEPARATOR)) is None else {"separator": found}
    paths = token_paths(output)
    order = order_of(documents, seed)
    paths["sidecar"].parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryFile(dir=paths["sidecar"].parent) as scratch,
        atomic_path(paths["sidecar"]) as sidecar,
        atomic_path(paths["offsets"]) as offsets_file,
        atomic_path(paths["ids"]) as ids_file,
    ):
        lengths, sizes = _write_in_shard_order(documents, len(order), tokenizer, scratch, threads, progress)
        anew = Progress(progress.title, *progress.streams)  # its estimate counts from here
        mixed = {}
        if mixture is not None:
            sources = source_numbers(documents)
            order = mixed_order(order, lengths, sources, mixture)
            mixed = {"mixture": shares(order, lengths, sources, mixture)}
        digest, checksums = _gather(scratch, dtype, lengths, order, ids_file, anew)
        with offsets_file.open("wb") as file:
            np.save(file, _starts(lengths[order]))
        content = {
            "tokens": int(lengths[order].sum()),
            "documents": len(order),
            "bytes": int(sizes[order].sum()),
            "vocabulary": tokenizer.get_vocab_size(),
            "dtype": dtype.name,
            "end_of_document": tokenizer.token_to_id(END_OF_DOCUMENT),
            **separator,
            "tokenizer": file_digest(tokenizer_file),
            "offsets": paths["offsets"].name,
            "digest": digest,
            "checksums": checksums,
            **mixed,
            "provenance": provenance(
                recipe, seed, {"mixture": mixture}, [documents, tokenizer_file], ["tokenizers", "pyarrow"]
            ),
        }
        write_json(sidecar, content)


def _write_in_shard_order(
    documents: str | Path,
    total: int,
    tokenizer: Tokenizer,
    scratch: BinaryIO,
    threads: int,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """Write every document's ids and its end id; give the number of these, and the UTF-8 bytes of its text.

    Both are (documents,) int64 in the order of the shards.
    """
    encoder = Encoder(tokenizer)
    lengths, sizes = list[np.ndarray](), list[np.ndarray]()
    processes = min(threads, 1 + text_bytes(documents) // BYTES_PER_PROCESS)
    encoder.check(tokenizer, next(batches(documents)).texts[0])

    def read() -> Iterator[Sequence[str]]:
        for batch in batches(documents):
            sizes.append(batch.sizes)
            yield from groups(batch.texts)

    done = 0
    for texts, (ids, counts) in spread(encoder.encode, read(), processes):
        scratch.write(np.insert(ids, np.cumsum(counts), encoder.end_of_document).tobytes())
        lengths.append(counts + 1)
        done += len(texts)
        progress.show(done, total, "encoding")
    scratch.flush()
    return np.concatenate(lengths), np.concatenate(sizes)


def _gather(
    scratch: BinaryIO, dtype: np.dtype, lengths: np.ndarray, order: np.ndarray, output: Path, progress: Progress
) -> tuple[str, list[int]]:
    """Copy documents from the scratch file to `output` in the given order; give SHA-256 and checksums of what it wrote.

    Reads with pread: mapped pages would count as this job's memory where a cluster measures it.
    """
    sizes = lengths * dtype.itemsize
    starts = _starts(sizes)
    digest, checksums = hashlib.sha256(), Checksums()
    with output.open("wb") as file:
        for document in progress.over(order, len(order), "putting documents in order"):
            content = os.pread(scratch.fileno(), sizes[document], starts[document])
            file.write(content)
            digest.update(content)
            checksums.update(content)
    return digest.hexdigest(), checksums.all()


def _starts(lengths: np.ndarray) -> np.ndarray:
    """Where each of a row of documents starts, and where the last one ends: (documents + 1,) int64."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
