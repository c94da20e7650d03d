"""WARC files: the pages that were fetched, in the format that web archives share (ISO 28500)."""

import io
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from fastwarc.stream_io import GzipWriter
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from scalelaws.errors import InputError

DROPPED_HEADERS = {"content-encoding", "transfer-encoding", "content-length"}
"""The body is stored as it was decoded, so these would no longer be true; they are kept under an X-Crawl- prefix."""

ENCODINGS = ("Content-Encoding", "Transfer-Encoding")

MOST_BYTES = 64 << 20
"""The most that a page or text holds, unpacked; of a larger one no more is read."""


@dataclass(frozen=True)
class Response:
    """One fetched page: its URL after redirects, status, headers, decoded body, and date as WARC writes it."""

    url: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    date: str


@dataclass(frozen=True)
class Archived:
    """One page read from a WARC file; without its body where that is `too_large`."""

    url: str
    content_type: str
    body: bytes
    is_text: bool = False
    too_large: bool = False


@dataclass(frozen=True)
class Stored:
    """What the headers of a page in an archive say of it. `length` is that of the record, in bytes.

    `languages` are ISO 639-3 codes, the commonest first, separated by commas; None where the archive does not say.
    """

    url: str
    status: str
    content_type: str
    languages: str | None
    truncated: bool
    length: int = 0
    record: WarcRecord | None = None

    def packed(self) -> bytes:
        """The record as one gzip member, as it was but for its compression."""
        assert self.record
        out = io.BytesIO()
        with GzipWriter(out, compression_level=6) as writer:
            self.record.write(writer)
        return out.getvalue()


def stored_records(stream: BinaryIO, name: str, most: int) -> Iterator[Stored]:
    """The HTTP responses and the texts of a WARC or WET file as they are, one in memory; `name` is for messages.

    Each is valid until the next one is asked for. Of one longer than `most` bytes nothing is read but its own headers.
    Raises InputError where the file ends inside a record.
    """
    try:
        kinds = WarcRecordType.response | WarcRecordType.conversion
        for record in ArchiveIterator(stream, record_types=kinds, parse_http=False):
            url, length = (record.headers.get("WARC-Target-URI") or "").strip("<>"), record.content_length
            if length > most:
                yield Stored(url, "", "", None, truncated=False, length=length)
                continue
            block = record.reader.read()
            if len(block) < length:
                raise OSError("it ends inside a record")
            record.set_bytes_content(block)
            is_text = record.record_type == WarcRecordType.conversion
            if not is_text:
                record.parse_http()
            headers = record.http_headers
            yield Stored(
                url=url,
                status="200" if is_text else str(headers.status_code) if headers is not None else "",
                content_type="text/plain" if is_text or headers is None else headers.get("Content-Type") or "",
                languages=record.headers.get("WARC-Identified-Content-Language"),
                truncated="WARC-Truncated" in record.headers,
                length=length,
                record=record,
            )
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(name, f"not readable as WARC ({error})", "Fetch the file again, or leave it out.") from None


def response_record(response: Response) -> bytes:
    """A response as one gzip member of a WARC file. Equal responses give equal bytes: the id is a hash."""
    headers = [(f"X-Crawl-{k}" if k.lower() in DROPPED_HEADERS else k, v) for k, v in response.headers]
    headers.append(("Content-Length", str(len(response.body))))
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=True)
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{response.date} {response.url}")
    record = writer.create_warc_record(
        response.url,
        "response",
        payload=io.BytesIO(response.body),
        http_headers=StatusAndHeaders(f"{response.status} OK", headers, protocol="HTTP/1.1"),
        warc_headers_dict={"WARC-Date": response.date, "WARC-Record-ID": f"<urn:uuid:{identity}>"},
    )
    writer.write_record(record)
    return stream.getvalue()


def info_record(facts: Mapping[str, str], date: str) -> bytes:
    """The `warcinfo` record that opens a WARC file: who fetched, with what limits."""
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=True)
    record = writer.create_warcinfo_record("", dict(facts))
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{date} {sorted(facts.items())}")
    record.rec_headers.replace_header("WARC-Date", date)
    record.rec_headers.replace_header("WARC-Record-ID", f"<urn:uuid:{identity}>")
    record.rec_headers.remove_header("WARC-Filename")
    writer.write_record(record)
    return stream.getvalue()


def read_warc(stream: BinaryIO, name: str) -> Iterator[Archived]:
    """The successful HTTP responses and the texts (`conversion`, as in WET) of a WARC file; `name` is for messages."""
    try:
        kinds = WarcRecordType.response | WarcRecordType.conversion
        for record in ArchiveIterator(stream, record_types=kinds, parse_http=True, auto_decode="all"):
            url = (record.headers.get("WARC-Target-URI") or "").strip("<>")
            is_text = record.record_type == WarcRecordType.conversion
            headers = record.http_headers
            if not is_text and (headers is None or headers.status_code != 200):
                continue
            packed = not is_text and any(key in headers for key in ENCODINGS)
            promised, body = record.content_length, record.reader.read(MOST_BYTES + 1)
            if len(body) > MOST_BYTES:
                yield Archived(url, "", b"", too_large=True)
                continue
            if len(body) < promised and not packed:
                raise OSError("it ends inside a record")
            kind = "text/plain; charset=utf-8" if is_text else headers.get("Content-Type") or ""
            yield Archived(url, kind, body, is_text)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(name, f"not readable as WARC ({error})", "Fetch the file again, or leave it out.") from None
