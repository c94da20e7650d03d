"""Documents: one row each of parquet shards that every step of the corpus stage reads and writes."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from scalelaws.corpus.pairs import BOUND
from scalelaws.corpus.urls import canonical_url
from scalelaws.errors import InputError

SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "url", "source", "title", "text")])
GROUP_BYTES = 8 << 20
SHARD_BYTES = 256 << 20
"""Text per row group, which bounds what a reader holds in memory, and text per file."""

CONTROL = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127])


Shards = str | Path | Sequence[Path]
"""Where documents are read: a folder of parquet shards, or some of its shards."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document. `id` is the same wherever and whenever its page is met; `source` is the kind and number of the
    source it came from."""

    id: str
    url: str
    source: str
    title: str
    text: str

    @property
    def bytes(self) -> int:
        """Length of the text in UTF-8."""
        return len(self.text.encode())


def document(
    text: str, source: str, url: str, title: str = "", *, url_is_identity: bool = True, target: str | None = None
) -> Document:
    """A document with its id: a 128-bit hash of its canonical URL, and of the fragment that may name a part of the
    page; or, where its URL only says where a record stood, of its text. A pair's `target` follows its text.
    """
    text, url = normalized(text), url.encode("utf-8", "replace").decode()
    if target is not None:
        text += BOUND + normalized(target)
    page, mark, fragment = url.partition("#")
    place = (canonical_url(page) or page) + (mark + fragment if fragment else "")
    identity = xxhash.xxh3_128_hexdigest((place if url_is_identity else text).encode())
    return Document(identity, url, source, " ".join(normalized(title).split()), text)


def normalized(text: str) -> str:
    """Text in Unicode's form NFC with Unix line ends; no control characters, lone surrogates or outer blank lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(CONTROL)
    text = text.encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFC", text).strip("\n ")


class Digest:
    """A running digest of documents, whatever their order and the shards that they stand in."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, *fields: str | bytes | None) -> None:
        """Take in the fields of one document, or of one page before it is one."""
        state = xxhash.xxh3_128()
        for field in fields:
            content = field.encode("utf-8", "surrogatepass") if isinstance(field, str) else field or b""
            state.update(len(content).to_bytes(8, "little") + content)
        self._add(state.intdigest())

    def join(self, other: str) -> None:
        """Take in all documents of another digest, given as text."""
        self._add(int(other, 16))

    def _add(self, number: int) -> None:
        self._sum = (self._sum + number) % 2**128

    def __str__(self) -> str:
        return f"{self._sum:032x}"


class DocumentWriter:
    """Writes documents to parquet shards <prefix>-00000.parquet, … in a folder, holding one row group in memory.

    A folder without documents still gets one empty shard, so that it loads.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.prefix = prefix
        self.documents = 0
        self.digest = Digest()
        self._rows: list[Document] = []
        self._group_bytes = 0
        self._shard_bytes = 0
        self._shards = 0
        self._file: pq.ParquetWriter | None = None

    def __enter__(self) -> "DocumentWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and (self._rows or not self._shards):
            self._write_group()
        if self._file:
            self._file.close()

    def write(self, row: Document) -> None:
        """Add one document."""
        self._rows.append(row)
        self.digest.add(row.id, row.url, row.source, row.title, row.text)
        self._group_bytes += len(row.text)
        self.documents += 1
        if self._group_bytes >= GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        if self._file is None:
            path = self.folder / f"{self.prefix}-{self._shards:05}.parquet"
            self._file = pq.ParquetWriter(
                path, SCHEMA, compression="zstd", compression_level=3, write_page_checksum=True
            )
            self._shards += 1
        self._file.write_table(pa.Table.from_pylist([asdict(row) for row in self._rows], SCHEMA))
        self._shard_bytes += self._group_bytes
        self._rows, self._group_bytes = [], 0
        if self._shard_bytes >= SHARD_BYTES:
            self._file.close()
            self._file, self._shard_bytes = None, 0


def read_documents(folder: Shards) -> Iterator[Document]:
    """The documents of a folder's shards, or of some shards, in order, a few at a time in memory.

    Raises InputError for a shard that is cut short or whose pages are not what was written.
    """
    for shard in shards_of(folder):
        for row in _rows(shard):
            yield Document(**row)


def shards_of(documents: Shards) -> Sequence[Path]:
    """The shards of a folder in order, or those that are given."""
    return sorted(Path(documents).glob("*.parquet")) if isinstance(documents, str | Path) else documents


def digested(documents: Iterable[Document], digest: Digest) -> Iterator[Document]:
    """The documents, each taken into `digest` as it passes."""
    for row in documents:
        digest.add(row.id, row.url, row.source, row.title, row.text)
        yield row


def batches(folder: Shards, size: int = 64, digest: Digest | None = None) -> Iterator[list[Document]]:
    """The documents of a folder in lists of `size`, taken into `digest` where there is one."""
    batch: list[Document] = []
    rows = read_documents(folder)
    for row in digested(rows, digest) if digest else rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def count_documents(folder: Shards) -> int:
    """How many documents a folder's shards hold, read from their footers."""
    return sum(pq.ParquetFile(shard).metadata.num_rows for shard in shards_of(folder))


def text_bytes(folder: Shards) -> int:
    """How much text a folder's shards hold, uncompressed, read from their footers."""
    total = 0
    for shard in shards_of(folder):
        metadata = pq.ParquetFile(shard).metadata
        total += sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    return total


def _rows(shard: Path) -> Iterator[dict[str, str]]:
    try:
        with pq.ParquetFile(shard, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=256, columns=SCHEMA.names):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        remedy = f"Delete {shard.parent} and give the same command again."
        raise InputError(str(shard), f"this shard is damaged ({' '.join(str(error).split())})", remedy) from None
