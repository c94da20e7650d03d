"""Pages and texts in files: text, HTML, JSON lines, parquet, WARC; plain or compressed; one record in memory."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scalelaws.corpus.raw import Raw, Seen, format_of, reading, unreadable, unseen
from scalelaws.corpus.warc import Archived, read_warc
from scalelaws.errors import InputError

MAX_FILE_BYTES = 1 << 30
"""The most that one text or HTML file may hold, since it becomes one document."""


def read_files(paths: Sequence[Path], fields: Mapping[str, str], seen: Seen = unseen) -> Iterator[Raw]:
    """What the files hold, in order. `fields` names the `text`, `html` and `url` fields of JSON lines and parquet; with
    a `target`, `text` is the source of a pair.
    """
    for path in paths:
        reader = READERS.get(format_of(path))
        if reader is None:
            known = ", ".join(READERS)
            raise InputError(
                str(path), f"its format '{format_of(path)}' is not known", f"Known are {known}, .gz and .zst."
            )
        if "target" in fields and reader not in (_json_lines, _parquet):
            problem = "has no fields, of which a pair is made by source_field and target_field"
            raise InputError(str(path), problem, "Give pairs as JSON lines or parquet.")
        try:
            yield from reader(path, fields, seen)
        except (OSError, pa.ArrowInvalid) as error:
            raise unreadable(path, error) from error


def fields_of(source: Mapping[str, Any]) -> dict[str, str]:
    """The names of fields, as `read_files` takes them, that a source of files or a dataset is declared with."""
    if "target_field" in source:
        return {"text": source["source_field"], "target": source["target_field"], "url": source.get("url_field", "url")}
    if source["kind"] == "dataset":
        return {"text": source["field"], "html": "html", "url": "url"}
    return {name: source[f"{name}_field"] for name in ("text", "html", "url")}


def record(row: Mapping[str, Any], fields: Mapping[str, str], place: str, source: str = "files") -> Raw:
    """The page, text or pair in a row of named fields; a field that is null is an empty text.

    Raises InputError if it has neither a text nor an HTML field, or lacks a field of a pair.
    """
    url = row.get(fields["url"])
    if "target" in fields:
        return _pair(row, fields, place, source)
    text, html = row.get(fields["text"]), row.get(fields["html"])
    if text is None and html is None and (fields["text"] in row or fields["html"] in row):
        text = ""
    if not isinstance(text, str) and not isinstance(html, (str, bytes)):
        problem = f"has no text in '{fields['text']}' and no HTML in '{fields['html']}' (it has {', '.join(row)})"
        raise InputError(place, problem, "Name the fields with text_field and html_field.")
    given = isinstance(url, str) and bool(url)
    return Raw(
        url=str(url) if given else place,
        source=source,
        text=text if isinstance(text, str) else None,
        html=html if not isinstance(text, str) else None,
        title=str(row.get("title") or ""),
        url_is_identity=given,
    )


def _pair(row: Mapping[str, Any], fields: Mapping[str, str], place: str, source: str) -> Raw:
    text, target = (
        "" if name in row and row[name] is None else row.get(name) for name in (fields["text"], fields["target"])
    )
    if not isinstance(text, str) or not isinstance(target, str):
        problem = f"has no pair of texts in '{fields['text']}' and '{fields['target']}' (it has {', '.join(row)})"
        raise InputError(place, problem, "Name the fields with source_field and target_field.")
    url, title = row.get(fields["url"]), str(row.get("title") or "")
    shown = url if isinstance(url, str) and url else place  # a page may have many pairs
    return Raw(shown, source, text=text, target=target, title=title, url_is_identity=False)


def raw_page(page: Archived, source: str) -> Raw:
    """A page or a text of a WARC file, as what a source yields."""
    if page.too_large:
        return Raw(page.url, source, refused="too_large")
    if page.is_text:
        return Raw(page.url, source, text=page.body.decode("utf-8", "replace"))
    return Raw(page.url, source, html=page.body, content_type=page.content_type)


def _text(path: Path, fields: Mapping[str, str], seen: Seen) -> Iterator[Raw]:
    yield Raw(path.name, "files", text=_whole(path, seen).decode("utf-8", "replace"), url_is_identity=False)


def _html(path: Path, fields: Mapping[str, str], seen: Seen) -> Iterator[Raw]:
    yield Raw(path.name, "files", html=_whole(path, seen), url_is_identity=False)


def _whole(path: Path, seen: Seen) -> bytes:
    with reading(path, seen) as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        problem = f"is one document of more than {MAX_FILE_BYTES >> 20} MiB"
        raise InputError(str(path), problem, "Split it into documents, for example as JSON lines.")
    return content


def _json_lines(path: Path, fields: Mapping[str, str], seen: Seen) -> Iterator[Raw]:
    with reading(path, seen) as stream:
        for number in count(1):
            line = stream.readline(MAX_FILE_BYTES + 1)
            if not line:
                return
            if len(line) > MAX_FILE_BYTES:
                problem = f"is longer than {MAX_FILE_BYTES >> 20} MiB"
                raise InputError(f"{path}: line {number}", problem, "Give one JSON object a line.")
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{path}: line {number}", f"not JSON ({error})", "Give one JSON object a line."
                ) from None
            if not isinstance(row, dict):
                raise InputError(f"{path}: line {number}", "not a JSON object", "Give one JSON object a line.")
            yield record(row, fields, f"{path.name}#{number}")


def _parquet(path: Path, fields: Mapping[str, str], seen: Seen) -> Iterator[Raw]:
    if path.suffix != ".parquet":
        raise InputError(str(path), "parquet inside another compression", "Unpack it: parquet is compressed inside.")
    file = pq.ParquetFile(path)
    columns = [name for name in (*fields.values(), "title") if name in file.schema_arrow.names]
    number, told, size = 0, 0, path.stat().st_size
    for batch in file.iter_batches(batch_size=64, columns=columns):
        for row in batch.to_pylist():
            number += 1
            yield record(row, fields, f"{path.name}#{number}")
        read = size * number // file.metadata.num_rows
        seen(read - told)
        told = read


def _warc(path: Path, fields: Mapping[str, str], seen: Seen) -> Iterator[Raw]:
    with reading(path, seen) as stream:
        for page in read_warc(stream, str(path)):
            yield raw_page(page, "files")


READERS: dict[str, Callable[[Path, Mapping[str, str], Seen], Iterator[Raw]]] = {
    ".txt": _text,
    ".text": _text,
    ".md": _text,
    ".rst": _text,
    ".html": _html,
    ".htm": _html,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_lines,
    ".parquet": _parquet,
    ".warc": _warc,
    ".wet": _warc,
}
