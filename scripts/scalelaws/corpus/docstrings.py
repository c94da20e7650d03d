"""The documentation in Python sources, read with `ast` (nothing is imported) and written as the body of a web page."""

import ast
import gc
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from scalelaws.corpus.markup import html_of

MINIMUM_CHARACTERS = 300
"""A module that documents less than this is not given a page."""

Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Entry:
    """One docstring: what it documents, how deep that is nested, and its text."""

    name: str
    depth: int
    text: str


def module_page(source: bytes, module: str) -> str | None:
    """The article of a module's page as HTML, or None where there is hardly any documentation, or no valid Python."""
    entries = list(module_entries(source, module))
    if sum(len(entry.text) for entry in entries) < MINIMUM_CHARACTERS:
        return None
    parts = [f"<h1>{escape(module)}</h1>"]
    for entry in entries:
        if entry.depth:
            level = min(entry.depth + 1, 3)
            parts.append(f"<h{level}>{escape(entry.name)}</h{level}>")
        parts.append(html_of(entry.text))
    return "\n".join(parts)


def module_entries(source: bytes, module: str) -> Iterator[Entry]:
    """The docstrings of a module, its classes, methods and functions, in source order; none if it is not valid Python.

    Documentation that a module attaches by a call (numpy's add_newdoc, torch's add_docstr) is found too.
    """
    gc.disable()  # a tree is millions of small objects without cycles; collecting among them doubles the time
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    finally:
        gc.enable()
    text = ast.get_docstring(tree, clean=False)
    if text:
        yield Entry(module, 0, text)
    yield from _entries(tree.body, 1)


def _entries(body: list[ast.stmt], depth: int) -> Iterator[Entry]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield Entry(_signature(node), depth, text)
            if isinstance(node, ast.ClassDef):
                yield from _entries(node.body, depth + 1)
        elif isinstance(node, ast.If):
            yield from _entries(node.body + node.orelse, depth)
        elif isinstance(node, ast.Try):
            yield from _entries(node.body, depth)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _attached(node.value, depth)


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}"
    given = node.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args)]
    names += ["*" + given.vararg.arg] if given.vararg else ["*"] if given.kwonlyargs else []
    names += [argument.arg for argument in given.kwonlyargs]
    names += ["**" + given.kwarg.arg] if given.kwarg else []
    return f"{node.name}({', '.join(name for name in names if name not in ('self', 'cls'))})"


def _attached(call: ast.Call, depth: int) -> Iterator[Entry]:
    """The documentation in a call such as add_docstr(torch.abs, r"…") or add_newdoc("module", "name", "…")."""
    texts = [text for argument in call.args if (text := _string(argument)) and "\n" in text and len(text) > 100]
    if texts:
        named = call.args[1] if len(call.args) > 2 else call.args[0]
        yield Entry(_string(named) or ast.unparse(named), depth, texts[0])


def _string(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _string(node.func.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _string(node.left), _string(node.right)
        return (left or "") + (right or "") or None
    return None
