"""Small token files and corpora for the tests of this stage."""

from pathlib import Path

import numpy as np
from scalelaws.io import write_json
from scalelaws.tokens.store import id_dtype, token_paths


def write_token_file(stem: Path, documents: list[list[int]], vocabulary: int = 300) -> Path:
    """A token file of these documents, written field by field; gives its sidecar's path."""
    end = vocabulary - 1
    paths = token_paths(stem)
    ids = np.array([i for document in documents for i in [*document, end]], id_dtype(vocabulary))
    ids.tofile(paths["ids"])
    np.save(paths["offsets"], np.cumsum([0] + [len(document) + 1 for document in documents]))
    counts = {"tokens": len(ids), "documents": len(documents), "bytes": 4 * len(ids)}
    rest = {"vocabulary": vocabulary, "end_of_document": end, "tokenizer": "0" * 16}
    write_json(paths["sidecar"], {**counts, **rest})
    return paths["sidecar"]
