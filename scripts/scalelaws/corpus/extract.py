"""From pages to documents: the main text of HTML by trafilatura, in worker processes that a bad page cannot hold up."""

import codecs
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import trafilatura
from trafilatura.utils import load_html

from scalelaws.corpus.documents import Document, DocumentWriter, document, normalized
from scalelaws.corpus.funnel import Funnel, require_documents
from scalelaws.corpus.parts import WHOLE, Part
from scalelaws.corpus.raw import Raw
from scalelaws.corpus.settings import Source, is_crawled
from scalelaws.corpus.sources import bytes_to_read, read_source, source_files
from scalelaws.io import atomic_path, file_digest, write_json
from scalelaws.recipe import provenance
from scalelaws.workers import Failure, Show, ordered_map

SECONDS_PER_PAGE = 30.0
"""A page that takes longer is given up; the median page takes ten milliseconds."""
MEMORY_PER_PAGE = 1 << 30
"""A page that asks for more bytes is given up; a page of 5 MB asks for 300 MB."""
LATIN = ("utf-8", "cp1252", "latin-1")
ENCODINGS = dict.fromkeys(("iso8859-1", "ascii", "cp1252"), LATIN) | {
    "gb2312": ("gb18030",),
    "gbk": ("gb18030",),
    "shift_jis": ("cp932",),
    "euc_kr": ("cp949",),
    "iso8859-9": ("utf-8", "cp1254"),
}
"""What is tried for a charset that pages are said to have and mean more by (see WHATWG, Encoding)."""
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""How text begins that says itself how it is written, whatever else is said of it."""
PAGES_PER_PROCESS = 5000
"""Then a fresh process takes over, since the extractor and its parsers keep some memory of every page."""


def extract(
    sources: Sequence[Source],
    pages: Path | None,
    pins: Path,
    folder: Path,
    report: Path,
    seed: int,
    recipe: str,
    processes: int,
    show: Show,
    part: Part = WHOLE,
) -> None:
    """Write the documents of a part of a corpus's sources to `folder`, and what was dropped to `report` (JSON).

    Raises InputError if the whole corpus, or one of its sources, has no document.
    """
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # its warnings are counted here as reasons
    funnel = Funnel("extract")
    counts = {str(n + 1): {"pages": 0, "documents": 0} for n in range(len(sources))}
    seen, total = 0, bytes_to_read(sources, pages, part)

    def more(size: int) -> None:
        nonlocal seen
        seen += size

    raws = (
        replace(raw, source=f"{raw.source} {n + 1}")
        for n, source in enumerate(sources)
        for raw in read_source(source, n, pages, pins, seed, more, part)
    )
    results = ordered_map(extracted, raws, processes, SECONDS_PER_PAGE, MEMORY_PER_PAGE, PAGES_PER_PROCESS)
    with atomic_path(folder) as temporary, DocumentWriter(temporary, "documents") as writer:
        for raw, result in results:
            funnel.entered.add(raw.url, raw.text if raw.html is None else raw.html, *filter(None, [raw.target]))
            count = counts[raw.source.rpartition(" ")[2]]
            count["pages"] += 1
            if isinstance(result, Document):
                count["documents"] += 1
                writer.write(result)
                funnel.keep(result)
            else:
                reason = result.reason if isinstance(result, Failure) else result
                funnel.drop_text(raw.url, raw.text or "", reason)
            show(seen, total, f"{funnel.kept['bytes'] / 1e6:.1f} MB of text")
        found = funnel.as_dict(writer.digest) | {"sources": counts}
        if part == WHOLE:
            require_documents(found, f"{folder.parent.name}: extract")
        inputs = [pins, *(file for n, source in enumerate(sources) for file in source_files(source, n, pages, part))]
        made_with = provenance(recipe, seed, {"sources": sources}, inputs, ["trafilatura", "lxml", "pyarrow"])
        crawled = {
            file.name: file_digest(file)[:16]
            for n, source in enumerate(sources)
            if is_crawled(source)
            for file in source_files(source, n, pages, part)
        }
        write_json(report, found | {"pages": crawled, "provenance": made_with})


def extracted(raw: Raw) -> Document | str:
    """The document in a page or text, or the reason why there is none: no_text, no_target, broken_html, or its own."""
    if raw.refused:
        return raw.refused
    text, title = raw.text, raw.title
    if text is None and raw.content_type.partition(";")[0].strip().lower() == "text/plain":
        text = _plain(_decoded(raw))
    if text is None:
        try:
            tree = load_html(_whole(_decoded(raw)))
            if tree is None:
                return "broken_html"
            title = title or tree.findtext(".//title") or ""
            # deduplicate=True would keep a cache over pages: a page's text would depend on those before it
            text = trafilatura.extract(tree, include_comments=False, deduplicate=False)
        except MemoryError:
            raise
        except Exception:
            return "broken_html"
    if not text or not text.strip():
        return "no_text"
    if raw.target is not None and not all(map(normalized, (text, raw.target))):
        return "no_target"
    return document(text, raw.source, raw.url, title, url_is_identity=raw.url_is_identity, target=raw.target)


def _decoded(raw: Raw) -> bytes | str:
    """A body as text where the server's charset is right; otherwise bytes, whose charset is then guessed.

    Servers have a charset that they say by default: what is said to have a byte a letter is UTF-8 where it can be.
    """
    assert raw.html is not None
    if isinstance(raw.html, str):
        return raw.html
    charset = raw.content_type.lower().partition("charset=")[2].split(";")[0].strip(" \"'")
    try:
        name = codecs.lookup(charset).name if charset else ""
    except (LookupError, ValueError):
        name = ""
    by_byte = name.startswith(("iso8859", "cp125", "koi8", "mac", "cp866"))
    tried = ENCODINGS.get(name, ("utf-8", name) if by_byte else (name,) if name else ())
    decoded = _first_decoded(raw.html, (*_marked(raw.html), *tried))
    return raw.html if decoded is None else decoded


def _marked(body: bytes) -> list[str]:
    """The encoding that a body's first bytes say it has."""
    return [encoding for mark, encoding in MARKS.items() if body.startswith(mark)]


def _first_decoded(body: bytes, encodings: Sequence[str]) -> str | None:
    for encoding in encodings:
        try:
            return body.decode(encoding)
        except (LookupError, UnicodeError):  # of codecs that make no text of bytes, too
            continue
    return None


def _plain(body: bytes | str) -> str:
    """Plain text, whose bytes are UTF-16 if they begin so, UTF-8 if they can be, and else Windows-1252."""
    if isinstance(body, bytes):
        body = _first_decoded(body, _marked(body) or LATIN) or body.decode("latin-1")
    return body.removeprefix("\ufeff")


def _whole(html: bytes | str) -> bytes | str:
    """A page; a fragment, as datasets hold them, is made one, since trafilatura takes nothing else for HTML."""
    if isinstance(html, str):
        return html if "<html" in html[:5000].lower() else f"<html><body>{html}</body></html>"
    return html if b"<html" in html[:5000].lower() else b"<html><body>" + html + b"</body></html>"
