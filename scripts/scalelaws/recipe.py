"""What a result was made with: a hash of the code that gives it its meaning, and the provenance stored beside it."""

import ast
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scalelaws.io import atomic_path, file_digest

PACKAGE = Path(__file__).parent
STAGES = ("corpus", "tokens", "models", "training", "observations", "laws", "figures", "report", "units")
"""Code in these changes what a result means; the plumbing beside them (files, logs, progress bars) does not."""
READ_BYTES = 64_000_000
"""Of listed files, that a start reads to see whether they have changed."""
RESOURCES = {".html", ".css", ".js", ".mplstyle", ".cpp"}


def recipe(*modules: str) -> str:
    """A hash of the meaning of modules ("training.loop") and of every stage module that they import, in turn.

    Syntax trees are hashed without docstrings, comments and layout, so only a change of meaning changes the hash. The
    templates, style sheets, page scripts and C++ of a stage count as its code.
    """
    digest = hashlib.sha256()
    known = _known()
    before = len(known)
    covered = sorted(_closure(modules))
    for module in covered:
        digest.update(f"{module}\0{_meaning(module).digest}\0".encode())
    if len(known) > before:
        _keep(known)
    for stage in sorted({module.split(".")[0] for module in covered}):
        for file in sorted(file for file in (PACKAGE / stage).glob("*") if file.suffix in RESOURCES):
            digest.update(f"{stage}/{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def modules_of(*modules: str) -> list[str]:
    """The stage modules whose meaning `recipe(*modules)` covers."""
    return sorted(_closure(modules))


def contents(files: Iterable[str | Path]) -> list[str]:
    """A digest of what files hold, in a list; an empty list for no files.

    A parameter of a rule instead of the files' dates, which a clone or a copy makes anew. The smallest files are read,
    up to 64 MB in all, which every start must do again; larger ones are told by their sizes.
    """
    paths = tuple(map(str, files))
    return [_contents(paths)] if paths else []


@cache
def _contents(paths: tuple[str, ...]) -> str:
    told, read = {}, 0
    for size, path in sorted((Path(path).stat().st_size, path) for path in paths):
        read += size
        told[path] = file_digest(path) if read <= READ_BYTES else str(size)
    return hashlib.sha256("\n".join(told[path] for path in paths).encode()).hexdigest()[:16]


def provenance(
    recipe: str, seed: int, settings: Mapping[str, Any], inputs: Iterable[str | Path], packages: Iterable[str]
) -> dict[str, Any]:
    """What is stored with an artifact: recipe, settings' hash, seed, package versions, digests of its inputs.

    Inputs go by their names, with their folders where names repeat. Holds no time and no machine name, so that equal
    work gives equal files.
    """
    from scalelaws import __version__

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


@dataclass(frozen=True)
class _Meaning:
    """A module's hash, and the names within the package that it imports."""

    digest: str
    imports: list[str]


def _closure(modules: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            names = _meaning(module).imports
            waiting.extend(name for name in names if name.split(".")[0] in STAGES and _is_module(name))
    return found


@cache
def _meaning(module: str) -> _Meaning:
    path = PACKAGE.joinpath(*module.split("."))
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_bytes()
    key = hashlib.sha256(Path(__file__).read_bytes() + source).hexdigest()
    known = _known()
    if key not in known:
        known[key] = asdict(_read(ast.parse(source)))
    return _Meaning(**known[key])


def _read(tree: ast.Module) -> _Meaning:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]  # type: ignore[attr-defined]
    inside = {name.removeprefix("scalelaws.") for name in names if name.startswith("scalelaws.")}
    return _Meaning(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), sorted(inside))


def _is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _memory() -> Path:
    return PACKAGE / "__pycache__" / f"recipes.{sys.implementation.cache_tag}.json"


@cache
def _known() -> dict[str, dict[str, Any]]:
    """Meanings by the hash of their source, kept like byte code: to read them anew takes every start seconds."""
    try:
        return dict(json.loads(_memory().read_text()))
    except (OSError, ValueError):
        return {}


def _keep(known: Mapping[str, Mapping[str, Any]]) -> None:
    if not sys.dont_write_bytecode:
        with suppress(OSError), atomic_path(_memory()) as temporary:  # where nobody may write, it is read anew
            temporary.write_text(json.dumps(known))
