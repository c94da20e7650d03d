"""The rows of a dataset, on the hub or on this machine, as the `datasets` library opens it."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import xxhash

from scalelaws.corpus.files import fields_of, record
from scalelaws.corpus.pairs import BOUND
from scalelaws.corpus.parts import Part
from scalelaws.corpus.raw import Raw
from scalelaws.corpus.settings import Source
from scalelaws.errors import InputError

Row = Mapping[str, Any]


def dataset_rows(source: Source, number: int, seed: int, part: Part) -> Iterator[Raw]:
    """The rows of a dataset that are in a part of its corpus; of one with `max_bytes` all are in one part.

    `number` is the source's place in its corpus. A row without a URL goes by a hash of its text, which is the same in
    any part. Raises InputError for a dataset that cannot be opened, or read to its end.
    """
    most = source["max_bytes"]
    if most is not None and not part.has(number):
        return
    name = source["path"] if source["name"] is None else f"{source['path']}/{source['name']}"
    rows = _opened(source, name)
    if most is not None:
        rows = rows.shuffle(seed=seed)  # shards, and rows within a buffer: the first bytes are not a sample otherwise
    fields, read = fields_of(source), 0
    for row in _read(rows if most is not None else _in_part(rows, part), name):
        content = _pair_in(row, fields) if "target" in fields else row.get(fields["text"]) or row.get("html")
        whole = content.encode("utf-8", "replace") if isinstance(content, str) else content
        place = xxhash.xxh3_64_hexdigest(whole if isinstance(whole, bytes) else b"")
        raw = record(row, fields, f"{name}#{place}", "dataset")
        read += sum(len((text or "").encode("utf-8", "replace")) for text in (raw.text, raw.target))
        if most is not None and read > most:
            return
        yield raw


def _pair_in(row: Row, fields: Mapping[str, str]) -> str:
    return BOUND.join(str(row.get(fields[half])) for half in ("text", "target"))


def _opened(source: Source, name: str) -> Any:
    import datasets  # seconds to import, and few corpora come from here

    local = Path(source["path"])
    try:
        if (local / "dataset_info.json").exists() or (local / "dataset_dict.json").exists():
            loaded = datasets.load_from_disk(source["path"])
            return loaded[source["split"]] if isinstance(loaded, datasets.DatasetDict) else loaded
        return datasets.load_dataset(source["path"], source["name"], split=source["split"], streaming=True)
    except Exception as error:
        problem = f"datasets cannot open it ({' '.join(str(error).split())[:300]})"
        remedy = "Check path, name, split and, for a hub name, the network."
        raise InputError(f"dataset {name}", problem, remedy) from error


def _in_part(rows: Any, part: Part) -> Iterable[Row]:
    """Whole files of a dataset that is streamed from as many or more, and else every so-manyth row."""
    if getattr(rows, "num_shards", 1) >= part.of > 1:
        return iter(rows.shard(num_shards=part.of, index=part.number))
    return islice(rows, part.number, None, part.of)


def _read(rows: Iterable[Row], name: str) -> Iterator[Row]:
    try:
        yield from rows
    except Exception as error:  # of whatever library reads its files, or of the network
        problem = f"not readable to its end ({' '.join(str(error).split())[:300]})"
        raise InputError(f"dataset {name}", problem, "Give the same command again, or look at its files.") from error
