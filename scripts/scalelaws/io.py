"""Files that are whole or absent: every artifact is written under a temporary name and renamed."""

import glob
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STALE_SECONDS = 7 * 24 * 3600.0
"""What no process of another machine has written to for as long, none will."""
WRITTEN_SECONDS = 3600.0
"""The same where the artifact itself is there already."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary sibling of `path` (a file or a folder) that takes its place, synced to disk, when the block succeeds.

    The temporary name holds the machine and the process id, so two jobs that write the same artifact never share a
    file. If the block raises, the temporary is deleted and what stood at `path` stays as it was; what a killed process
    left goes when the artifact is next written on its machine, or on another after a week.
    """
    path = Path(path)
    temporary = _temporary_of(path)
    try:
        yield temporary
        _sync(temporary)
        if temporary.is_dir() and path.exists():
            _remove(path)
        temporary.replace(path)
    finally:
        _remove(temporary)


@contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """An empty folder beside `path`, gone when the block ends; what a killed process left goes with the next one."""
    temporary = _temporary_of(Path(path))
    temporary.mkdir()
    try:
        yield temporary
    finally:
        _remove(temporary)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically. NaN and infinities are refused (ValueError): JSON has none."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """The value in a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of a folder's files, as 64 hex digits."""
    path = Path(path)
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        if file != path:
            digest.update(str(file.relative_to(path)).encode() + b"\0")
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def link_or_copy(file: Path, target: Path) -> None:
    """A second name for a file, or for all files of a folder; copies where the file system knows no hard links."""
    if file.is_dir():
        target.mkdir()
        for inner in file.iterdir():
            link_or_copy(inner, target / inner.name)
        return
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


def forget_temporaries(folder: str | Path) -> None:
    """Take away what nodes that were lost while they wrote have left in a folder whose artifacts are all there."""
    for temporary in Path(folder).glob(".*.tmp"):
        if time.time() - _last_written(temporary) > WRITTEN_SECONDS:
            _remove(temporary)


def _temporary_of(path: Path) -> Path:
    """This process's own temporary of `path`, which is not there yet; those of processes that are gone go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for abandoned in _abandoned(path):
        _remove(abandoned)
    return path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.tmp")


def _abandoned(path: Path) -> Iterator[Path]:
    """Temporaries of `path` whose process on this machine is gone, or is this one, or that another's has long left."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.*.*.tmp"):
        machine, process = temporary.name.removeprefix(f".{path.name}.").removesuffix(".tmp").rsplit(".", 1)
        if machine != platform.node():
            gone = time.time() - _last_written(temporary) > STALE_SECONDS
        else:
            gone = int(process) == os.getpid() or not _is_alive(int(process))
        if gone:
            yield temporary


def _last_written(path: Path) -> float:
    """When a file, or anything in a folder, was last written, in seconds since 1970; now, if it has just gone."""
    try:
        return max(part.stat().st_mtime for part in (path, *path.rglob("*")))
    except FileNotFoundError:
        return time.time()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
