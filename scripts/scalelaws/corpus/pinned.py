"""The files of the Python packages that the environment pins, and of Python's standard library: the embedded source."""

import csv
import importlib.metadata
import os
import platform
import re
import sysconfig
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from scalelaws.errors import InputError

STANDARD_LIBRARY = "python"
PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;#]+)")
TEST_FOLDERS = {"test", "tests", "testing", "idle_test"}


@dataclass(frozen=True)
class Package:
    """An installed distribution: its normalized name, its version, and its files by their path inside site-packages."""

    name: str
    version: str
    files: dict[str, Path]

    def with_suffix(self, *suffixes: str) -> Iterator[tuple[str, Path]]:
        """(relative path, path) of the files that end in one of `suffixes`, sorted."""
        return ((name, path) for name, path in self.files.items() if name.endswith(suffixes))


def pinned_packages(pins: Path, packages: Collection[str] = (), exclude: Collection[str] = ()) -> list[Package]:
    """The packages that a requirements file pins, and the standard library as `python`, sorted by name.

    `packages` limits them to those named, `exclude` leaves some out. Raises InputError for a name that is not pinned,
    and for an installed version that differs from its pin, because the text would then not be what the pins say.
    """
    versions = dict(_pin(line) for line in pins.read_text().splitlines() if PIN.match(line))
    versions[STANDARD_LIBRARY] = ".".join(platform.python_version_tuple()[:2])
    wanted, unwanted = ({_normal(name) for name in names} for names in (packages, exclude))
    for name in sorted((wanted | unwanted) - set(versions)):
        raise InputError(f"installed-docs: {name}", f"not pinned in {pins}", "Name a package that is, or 'python'.")
    chosen = sorted((wanted or set(versions)) - unwanted)
    return [_package(name, versions[name], pins) for name in chosen]


def is_test(relative: str) -> bool:
    """Whether a file belongs to a package's tests."""
    *folders, name = relative.split("/")
    return not TEST_FOLDERS.isdisjoint(folders) or name.startswith("test_") or name == "conftest.py"


def _pin(line: str) -> tuple[str, str]:
    match = PIN.match(line)
    assert match
    return _normal(match[1]), match[2]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _package(name: str, pin: str, pins: Path) -> Package:
    if name == STANDARD_LIBRARY:
        return Package(name, pin, _standard_library())
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise InputError(f"{pins}: {name}", "is not installed", f"Run `pip install --requirement {pins}`.") from None
    if distribution.version.split("+")[0] != pin.split("+")[0]:
        problem = f"version {distribution.version} is installed, {pin} is pinned"
        raise InputError(f"{pins}: {name}", problem, f"Run `pip install --requirement {pins}`.")
    record = csv.reader((distribution.read_text("RECORD") or "").splitlines())
    inside = sorted(row[0] for row in record if row and ".." not in row[0].split("/"))
    root = Path(str(distribution.locate_file("")))
    located = ((file, root / file) for file in inside)
    return Package(name, pin, {file: path for file, path in located if path.is_file()})


def _standard_library() -> dict[str, Path]:
    root = Path(sysconfig.get_paths()["stdlib"])
    files = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in ("site-packages", "dist-packages")]
        for name in names:
            if name.endswith(".py"):
                path = Path(folder, name)
                files[path.relative_to(root).as_posix()] = path
    return dict(sorted(files.items()))
