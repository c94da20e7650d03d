"""The long descriptions of installed packages as HTML: Markdown by markdown-it, reStructuredText by docutils."""

import importlib.metadata
from html import escape
from typing import Any

from docutils.core import publish_parts
from markdown_it import MarkdownIt

from scalelaws.corpus.pinned import STANDARD_LIBRARY, Package

DOCUTILS = {
    "report_level": 5,
    "halt_level": 5,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "syntax_highlight": "none",
    "initial_header_level": 2,
}


def readme_page(package: Package) -> str | None:
    """The article of a package's description page, or None where it has no description."""
    if package.name == STANDARD_LIBRARY:
        return None
    metadata: Any = importlib.metadata.metadata(package.name)  # an email.message.Message, which its type does not say
    text = (metadata.get_payload() or metadata.get("Description") or "").strip()
    if not text or text == "UNKNOWN":
        return None
    article = _html(text, metadata.get("Description-Content-Type") or "text/x-rst")
    return article if "<h1" in article[:1000] else f"<h1>{escape(package.name)}</h1>\n{article}"


def _html(text: str, content_type: str) -> str:
    if content_type.startswith("text/markdown"):
        return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    if content_type.startswith("text/plain"):
        return f"<pre>{escape(text)}</pre>"
    return str(publish_parts(text, writer="html5", settings_overrides=DOCUTILS)["html_body"])
