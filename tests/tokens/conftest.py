"""Small documents, tokenizers and token files for the tests of this stage."""

import io
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scalelaws.io import write_json
from scalelaws.job import Progress
from scalelaws.tokens.bpe import load_tokenizer, save_tokenizer, train_bpe
from scalelaws.tokens.store import Checksums, id_dtype, token_paths
from tokenizers import Tokenizer

VOCABULARY = 600


def made_up_text(words: int, seed: int = 0, different: int = 2000) -> str:
    """Made-up words whose frequencies fall as in language, with numbers, accents, line breaks and punctuation."""
    draw = random.Random(seed)
    syllables = [a + b for a in "bdfgklmnprstvzäéñ中и" for b in "aeiouyöü文д"]
    known = ["".join(draw.choices(syllables, k=draw.randint(1, 5))) for _ in range(different)]
    weights = [1 / rank for rank in range(1, different + 1)]
    ends = draw.choices([" ", ", ", ".\n", "'s ", " 42 ", "!  "], [20, 3, 2, 1, 1, 1], k=words)
    return "".join(w + e for w, e in zip(draw.choices(known, weights, k=words), ends, strict=True))


def write_documents(folder: Path, documents: dict[str, str], shards: int = 1) -> Path:
    """Documents (text by id) as that many parquet shards."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"id": name, "url": f"http://127.0.0.1/{name}", "text": text} for name, text in documents.items()]
    for shard in range(shards):
        part = rows[shard::shards]
        schema = pa.schema([("id", pa.string()), ("url", pa.string()), ("text", pa.string())])
        pq.write_table(pa.Table.from_pylist(part, schema), folder / f"{shard:05}.parquet")
    return folder


def write_token_file(stem: Path, documents: list[list[int]], vocabulary: int = 300) -> Path:
    """A token file of these documents, written field by field; gives its sidecar's path."""
    end = vocabulary - 1
    paths = token_paths(stem)
    ids = np.array([i for document in documents for i in [*document, end]], id_dtype(vocabulary))
    ids.tofile(paths["ids"])
    np.save(paths["offsets"], np.cumsum([0] + [len(document) + 1 for document in documents]))
    counts = {"tokens": len(ids), "documents": len(documents), "bytes": 4 * len(ids)}
    rest = {"vocabulary": vocabulary, "end_of_document": end, "tokenizer": "0" * 16}
    checksums = Checksums()
    checksums.update(ids.tobytes())
    rest["checksums"] = checksums.all()
    write_json(paths["sidecar"], {**counts, **rest})
    return paths["sidecar"]


@pytest.fixture
def quiet() -> Progress:
    """Progress that nobody reads."""
    return Progress("test", io.StringIO())


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tokenizer of 600 ids."""
    folder = tmp_path_factory.mktemp("tokens") / "tokenizer"
    save_tokenizer(train_bpe([made_up_text(20_000)], VOCABULARY), folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer(tokenizer_folder: Path) -> Tokenizer:
    """That tokenizer, loaded."""
    return load_tokenizer(tokenizer_folder)
