"""Docstrings as HTML: the reStructuredText, numpydoc and Google conventions that Python's documentation is written in.

Lenient and fast (megabytes a second) where docutils is strict and slow: what no convention explains is a paragraph.
"""

import re
from html import escape
from inspect import cleandoc

UNDERLINE = re.compile(r"([=\-~^\"'*#+])\1{2,}\s*$")
TABLE = re.compile(r"(?=.*[=+-]{3})[=+|\- ]+$")
BULLET = re.compile(r"(?:[-*+•]|\(?(?:\d{1,2}|[a-z])[.)])\s+(?=\S)")
FIELD = re.compile(r":([a-z]+)(?: ([^:]+))?:(?:\s+|$)")
ITEM = re.compile(r"\*{0,2}[\w.`\[\]]+(?:, [\w.*`]+)* : (?=\S)")
ARGUMENT = re.compile(r"\*{0,2}[\w.`]+(?: \([^)]*\))?: (?=\S)")
FENCE = re.compile(r"(```|~~~)")
CODE = re.compile(
    r"(?:(?:with|for|if|elif|else|while|def|class|try|except|finally|async) ?.*:$"
    r"|import \w|from \S+ import |@\w|[\w.\[\]]+ = \S|(?:self|return)\b.*[\w)\]]$)"
)
DIRECTIVE = re.compile(r"\.\. +([\w:+-]+):: ?(.*)$")
FOOTNOTE = re.compile(r"\.\. +(\[[^\]]+\])\s*(.*)$")
SECTION = re.compile(
    r"(Args|Arguments|Attributes|Caution|Examples?|Inputs?|Keyword Arguments|Keyword Args|Notes?|Outputs?|Parameters|"
    r"Params|Raises|References?|Returns?|See Also|Shape|Todo|Usage|Warnings?|Yields?)::?$",
    re.IGNORECASE,
)
LONGEST_TERM = 60
"""A longer line over an indented one is the start of a sentence, not a term."""
LITERAL_DIRECTIVES = {
    "code",
    "code-block",
    "sourcecode",
    "math",
    "parsed-literal",
    "productionlist",
    "testcode",
    "plot",
}
SILENT_DIRECTIVES = {
    "autofunction",
    "autoclass",
    "autosummary",
    "automodule",
    "index",
    "module",
    "currentmodule",
    "toctree",
}
VERSION_DIRECTIVES = {
    "versionadded": "New in version",
    "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version",
}

INLINE = (
    (re.compile(r"``(.+?)``", re.DOTALL), r"<code>\1</code>"),
    (re.compile(r"`([^`&]+?)\s*&lt;(https?://[^&]+)&gt;`__?"), r'<a href="\2">\1</a>'),
    (re.compile(r":[a-zA-Z:+-]+:`~?([^`]+?)(?:\s*&lt;[^`]*&gt;)?`"), r"<code>\1</code>"),
    (re.compile(r"`([^`\n]+)`__?"), r"\1"),
    (re.compile(r"`([^`\n]+)`"), r"<code>\1</code>"),
    (re.compile(r"(?<![\w*])\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*(?![\w*])"), r"<strong>\1</strong>"),
    (re.compile(r"(?<![\w*])\*(?=[\w])([^*\n]+?)(?<=\w)\*(?![\w*])"), r"<em>\1</em>"),
)


def html_of(docstring: str) -> str:
    """A docstring as HTML blocks: paragraphs, headings, lists, definitions and preformatted code."""
    return "\n".join(_blocks(cleandoc(docstring).splitlines(), 0))


def inline(text: str) -> str:
    """A line or paragraph of reStructuredText as HTML: code, emphasis, links and roles."""
    html = escape(text, quote=False)
    if "`" in html or "*" in html:
        for pattern, replacement in INLINE:
            html = pattern.sub(replacement, html)
    return html


def _blocks(lines: list[str], depth: int) -> list[str]:
    out: list[str] = []
    start = 0
    after_colon = False
    while start < len(lines):
        line = lines[start]
        if not line.strip():
            start += 1
            continue
        html, start, after_colon = _block(lines, start, depth, after_colon)
        out += html
    return out


def _block(lines: list[str], at: int, depth: int, after_colon: bool) -> tuple[list[str], int, bool]:
    """The block that begins at line `at`, the line after it, and whether it announced code by ending in a colon."""
    line = lines[at]
    following = lines[at + 1] if at + 1 < len(lines) else ""
    indented = line[0].isspace()
    if line.lstrip().startswith(">>>") or (CODE.match(line) and not line.endswith(".")):
        end = _until_blank(lines, at)
        return [_pre(lines[at:end])], end, False
    if match := FENCE.match(line):
        closing = (n for n in range(at + 1, len(lines)) if lines[n].startswith(match[1]))
        end = next(closing, len(lines))
        return [_pre(lines[at + 1 : end])], end + 1, False
    if indented:
        end = _until_dedent(lines, at, 1)
        body = _dedent(lines[at:end])
        return ([_pre(body)] if after_colon or depth > 8 else _blocks(body, depth + 1)), end, False
    if UNDERLINE.match(following) and len(following.strip()) >= min(3, len(line)) and not TABLE.match(line):
        return [f"<h4>{inline(line)}</h4>"], at + 2, False
    if UNDERLINE.match(line) and UNDERLINE.match(lines[at + 2] if at + 2 < len(lines) else ""):
        return [f"<h4>{inline(following.strip())}</h4>"], at + 3, False
    if TABLE.match(line) or line.startswith("|"):
        end = _until_blank(lines, at)
        return [_pre(lines[at:end])], end, False
    if line.startswith(".. "):
        return _explicit(lines, at, depth)
    if SECTION.match(line) and (following[:1].isspace() or not following):
        return [f"<h4>{escape(line.rstrip(':'))}</h4>"], at + 1, False
    if BULLET.match(line):
        return _list(lines, at, depth)
    if FIELD.match(line):
        return _fields(lines, at)
    if following[:1].isspace() and following.strip() and not line.endswith("::"):
        return _definition(lines, at, depth)
    if _listed(lines, at):
        return _items(lines, at)
    return _paragraph(lines, at)


def _listed(lines: list[str], at: int) -> bool:
    """Whether line `at` is an item of a list that has no bullets: `name : type`, or one of several `name: meaning`."""
    following = lines[at + 1] if at + 1 < len(lines) else ""
    return bool(ITEM.match(lines[at]) or (ARGUMENT.match(lines[at]) and ARGUMENT.match(following)))


def _items(lines: list[str], at: int) -> tuple[list[str], int, bool]:
    end = at + 1
    while end < len(lines) and (ITEM.match(lines[end]) or ARGUMENT.match(lines[end])):
        if lines[end + 1 : end + 2] and lines[end + 1][:1].isspace():  # explained below it: a definition
            break
        end += 1
    return ["<ul>" + "\n".join(f"<li>{inline(line)}</li>" for line in lines[at:end]) + "</ul>"], end, False


def _paragraph(lines: list[str], at: int) -> tuple[list[str], int, bool]:
    end = at + 1
    while end < len(lines) and lines[end].strip() and not lines[end][0].isspace() and not _interrupts(lines[end]):
        if UNDERLINE.match(lines[end + 1] if end + 1 < len(lines) else ""):
            break
        end += 1
    text = " ".join(line.strip() for line in lines[at:end])
    announces = text.endswith(":")
    text = text.removesuffix("::") + ":" if text.endswith("::") and text != "::" else text
    return ([f"<p>{inline(text)}</p>"] if text != "::" else []), end, announces


def _interrupts(line: str) -> bool:
    return line.startswith((">>>", ".. ", "```")) or bool(BULLET.match(line) or FIELD.match(line) or ITEM.match(line))


def _definition(lines: list[str], at: int, depth: int) -> tuple[list[str], int, bool]:
    """A term over its indented explanation, as numpydoc lists parameters: one list item, so that it reads as one."""
    end = _until_dedent(lines, at + 1, 1)
    body = _blocks(_dedent(lines[at + 1 : end]), depth + 1)
    return [_item_with(inline(lines[at].strip()), body)], end, False


def _item_with(term: str, body: list[str]) -> str:
    if body and body[0].startswith("<p>"):
        first, rest = body[0][3:-4], body[1:]
        runs_on = term.endswith((":", ".", ",")) or ARGUMENT.match(term) or len(term) > LONGEST_TERM
        separator = " " if runs_on else ": "
        return "\n".join([f"<ul><li>{term}{separator}{first}</li></ul>", *rest])
    return "\n".join([f"<ul><li>{term}</li></ul>", *body])


def _list(lines: list[str], at: int, depth: int) -> tuple[list[str], int, bool]:
    items: list[str] = []
    while at < len(lines) and (match := BULLET.match(lines[at])):
        end = at + 1
        while end < len(lines) and (
            (lines[end][:1].isspace() and lines[end].strip()) or (not lines[end].strip() and _continues(lines, end))
        ):
            end += 1
        body = _blocks([lines[at][match.end() :], *_dedent(lines[at + 1 : end])], depth + 1) if depth < 8 else []
        items.append("".join(part[3:-4] if part.startswith("<p>") else part for part in body[:1]))
        items[-1] = f"<li>{items[-1]}" + "\n".join(body[1:]) + "</li>"
        at = end
        while at < len(lines) and not lines[at].strip() and _next_is_bullet(lines, at):
            at += 1
    return ["<ul>" + "\n".join(items) + "</ul>"], at, False


def _continues(lines: list[str], at: int) -> bool:
    while at < len(lines) and not lines[at].strip():
        at += 1
    return at < len(lines) and lines[at][0].isspace()


def _next_is_bullet(lines: list[str], at: int) -> bool:
    while at < len(lines) and not lines[at].strip():
        at += 1
    return at < len(lines) and bool(BULLET.match(lines[at]))


def _fields(lines: list[str], at: int) -> tuple[list[str], int, bool]:
    items: list[str] = []
    while at < len(lines) and (match := FIELD.match(lines[at])):
        end = at + 1
        while end < len(lines) and lines[end].strip() and lines[end][0].isspace():
            end += 1
        text = " ".join(line.strip() for line in [lines[at][match.end() :], *lines[at + 1 : end]])
        name = match[2].split()[-1] if match[2] else match[1].capitalize()
        items.append(f"<li>{inline(name)}: {inline(text)}</li>")
        at = end
    return ["<ul>" + "\n".join(items) + "</ul>"], at, False


def _explicit(lines: list[str], at: int, depth: int) -> tuple[list[str], int, bool]:
    """A directive, a footnote or a comment of reStructuredText."""
    end = _until_dedent(lines, at + 1, 1)
    body = _dedent(lines[at + 1 : end])
    if match := FOOTNOTE.match(lines[at]):
        text = " ".join([match[2], *(line.strip() for line in body)])
        return [f"<p>{escape(match[1])} {inline(text.strip())}</p>"], end, False
    match = DIRECTIVE.match(lines[at])
    if not match or match[1] in SILENT_DIRECTIVES:
        return [], end, False
    name, argument = match[1], match[2].strip()
    while body and body[0].startswith(":"):  # options
        body = body[1:]
    if name in LITERAL_DIRECTIVES:
        code = [argument, *body] if name == "math" and argument else body
        return ([_pre(code)] if any(line.strip() for line in code) else []), end, False
    if name in VERSION_DIRECTIVES:
        body = [f"{VERSION_DIRECTIVES[name]} {argument}", *(line for line in body)]
        return [f"<p>{inline(' '.join(line.strip() for line in body))}</p>"], end, False
    title = [f"<p><strong>{escape(name.capitalize())}</strong> {inline(argument)}</p>"]
    return title + _blocks(body, depth + 1), end, False


def _pre(lines: list[str]) -> str:
    return "<pre>" + escape("\n".join(_dedent(lines)).strip("\n"), quote=False) + "</pre>"


def _until_blank(lines: list[str], at: int) -> int:
    while at < len(lines) and lines[at].strip():
        at += 1
    return at


def _until_dedent(lines: list[str], at: int, indent: int) -> int:
    """The line after the last one, from `at`, that is blank or indented by `indent` at least; outer blanks left out."""
    end = at
    while at < len(lines) and (not lines[at].strip() or lines[at][:indent].isspace()):
        at += 1
        if lines[at - 1].strip():
            end = at
    return end


def _dedent(lines: list[str]) -> list[str]:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[margin:] for line in lines]
