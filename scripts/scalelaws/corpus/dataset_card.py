"""The README.md of a folder of documents: what `datasets` loads it by, and what the hub reads and shows."""

from collections.abc import Mapping
from typing import Any

import yaml

from scalelaws.corpus.documents import SCHEMA

SIZES = (
    (1e3, "n<1K"),
    (1e4, "1K<n<10K"),
    (1e5, "10K<n<100K"),
    (1e6, "100K<n<1M"),
    (1e7, "1M<n<10M"),
    (1e8, "10M<n<100M"),
)
"""The hub's categories of size, by the number of documents below which they end."""


def dataset_readme(name: str, splits: Mapping[str, Mapping[str, Any]], body: str | None = None) -> str:
    """A README.md with the YAML that the hub reads: where the splits' files are, their columns and counts.

    `splits` has documents, bytes and words of each split; `body` replaces the table of these.
    """
    documents = sum(split["documents"] for split in splits.values())
    head = {
        "pretty_name": name,
        "task_categories": ["text-generation"],
        "tags": ["scalelaws"],
        "size_categories": [next((size for limit, size in SIZES if documents < limit), "n>100M")],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"{split}/*.parquet"} for split in splits],
            }
        ],
        "dataset_info": {
            "features": [{"name": column, "dtype": "string"} for column in SCHEMA.names],
            "splits": [
                {"name": split, "num_bytes": count["bytes"], "num_examples": count["documents"]}
                for split, count in splits.items()
            ],
        },
    }
    if body is None:
        rows = (f"| {split} | {c['documents']:,} | {c['bytes']:,} | {c['words']:,} |" for split, c in splits.items())
        table = "\n".join(["| | documents | bytes | words (wc -w) |", "|---|--:|--:|--:|", *rows])
        body = (
            f"# {name}\n\nDocuments made by scalelaws: extracted, cleaned, deduplicated, decontaminated.\n\n{table}\n"
        )
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n{body}"
