"""What a result was made with: a hash of the code that gives it its meaning, and the provenance stored beside it."""

import ast
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
STAGES = ("corpus", "tokens", "models", "training", "observations", "laws", "figures", "report", "units")
"""Code in these changes what a result means; the plumbing beside them (files, logs, progress bars) does not."""
RESOURCES = {".html", ".css", ".js", ".mplstyle"}


def recipe(*modules: str) -> str:
    """A hash of the meaning of modules ("training.loop") and of every stage module that they import, in turn.

    Syntax trees are hashed without docstrings, comments and layout, so only a change of meaning changes the hash. The
    templates, style sheets and page scripts of a stage count as its code.
    """
    digest = hashlib.sha256()
    covered = sorted(_closure(modules))
    for module in covered:
        digest.update(f"{module}\0{_normalized(module)}\0".encode())
    for stage in sorted({module.split(".")[0] for module in covered}):
        for file in sorted(file for file in (PACKAGE / stage).glob("*") if file.suffix in RESOURCES):
            digest.update(f"{stage}/{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def modules_of(*modules: str) -> list[str]:
    """The stage modules whose meaning `recipe(*modules)` covers."""
    return sorted(_closure(modules))


def provenance(
    recipe: str, seed: int, settings: Mapping[str, Any], inputs: Iterable[str | Path], packages: Iterable[str]
) -> dict[str, Any]:
    """What is stored with an artifact: recipe, settings' hash, seed, package versions, digests of its inputs.

    Inputs go by their names, with their folders where names repeat. Holds no time and no machine name, so that equal
    work gives equal files.
    """
    from scalelaws import __version__
    from scalelaws.io import file_digest

    paths = [Path(path) for path in inputs]
    named_by = 1 if len({path.name for path in paths}) == len(paths) else 2
    settings_text = json.dumps(settings, sort_keys=True, default=str)
    return {
        "scalelaws": __version__,
        "recipe": recipe,
        "settings": hashlib.sha256(settings_text.encode()).hexdigest()[:16],
        "seed": seed,
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "inputs": {"/".join(path.parts[-named_by:]): file_digest(path)[:16] for path in paths},
    }


def _closure(modules: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting.extend(_imports(module))
    return found


@cache
def _tree(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_bytes())


@cache
def _imports(module: str) -> tuple[str, ...]:
    names = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    inside = {name.removeprefix("scalelaws.") for name in names if name.startswith("scalelaws.")}
    return tuple(sorted(name for name in inside if name.split(".")[0] in STAGES and _is_module(name)))


def _is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@cache
def _normalized(module: str) -> str:
    tree = _tree(module)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]  # type: ignore[attr-defined]
    return ast.dump(tree)
