"""Pins, conda environments and imports agree: what the code imports is named, pinned once, and given to every rule."""

import importlib.metadata
import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml

from workflow.rules import LIBRARY, ROOT, imports, library_files, rules

ENVS = ROOT / "envs"
PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)")
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
"""Packages that conda-forge calls otherwise than the Python package index does."""
USED_UNSEEN = {"pandas": {"pyarrow"}}
"""Packages that another needs for what we ask of it, without an import of ours: pandas writes parquet with pyarrow."""
BROUGHT = {"triton"}
"""What PyTorch for GPUs brings, in the one version that it works with, and PyTorch for CPUs does not."""
ALL_PINS = "corpus"
"""This environment holds every pin: the corpus `installed-docs` is the documentation of all of them."""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    pins = [PIN.fullmatch(line) for line in lines]
    loose = [line for line, pin in zip(lines, pins, strict=True) if not pin]
    assert not loose, f"{path.name}: pin {loose} as name==version."
    return {_normal(pin[1]): pin[2] for pin in pins}


def _environment(path: Path) -> dict[str, str]:
    """The pins of a conda environment file, without Python's, by their names on the Python package index."""
    index_names = {conda: name for name, conda in CONDA_NAMES.items()}
    pins = {}
    for entry in yaml.safe_load(path.read_text())["dependencies"]:
        if isinstance(entry, dict):
            pins |= {_normal(name): version for name, version in (line.split("==") for line in entry["pip"])}
        elif "=" in entry:
            name, version = entry.split("=")
            pins[_normal(index_names.get(name, name))] = version
    assert pins.pop("python") == "3.11"
    return pins


def _distributions(files: set[Path]) -> set[str]:
    """The packages that Python files import, by their names on the index."""
    owners = importlib.metadata.packages_distributions()
    modules = {name.split(".")[0] for file in files for name in imports(file)}
    outside = modules - set(sys.stdlib_module_names) - BROUGHT - {"scalelaws", ""}
    unknown = outside - set(owners)
    assert not unknown, f"Add pins for {sorted(unknown)} to envs/requirements.in, then run `make pins` and `make test`."
    return {_normal(owners[name][0]) for name in outside}


def _needed_by(environment: Path) -> set[str]:
    scripts = {rule.script for rule in rules() if rule.environment == environment}
    packages = _distributions(scripts | {file for script in scripts for file in library_files(script)})
    return packages | {other for package in packages for other in USED_UNSEEN.get(package, ())}


NAMED = _requirements(ENVS / "requirements.in")
RESOLVED = _requirements(ENVS / "requirements.txt")
ENVIRONMENTS = sorted(ENVS.glob("*.yaml"))


def test_what_we_name_is_what_is_installed():
    wrong = {name: version for name, version in NAMED.items() if RESOLVED.get(name) != version}
    assert not wrong, f"requirements.in and requirements.txt differ in {wrong}: run `make pins`."


def test_every_import_of_the_library_is_named_with_its_version():
    unnamed = _distributions(set(LIBRARY.rglob("*.py"))) - set(NAMED)
    lines = [f"{name}=={RESOLVED.get(name, '?')}" for name in sorted(unnamed)]
    assert not unnamed, f"Add to envs/requirements.in: {lines}"


def test_every_import_of_the_library_is_declared_to_those_who_pip_install_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {_normal(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in declared}
    missing = sorted(_distributions(set(LIBRARY.rglob("*.py"))) - names)
    assert not missing, f"Add {missing} to the dependencies in pyproject.toml."


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_an_environment_has_the_pinned_versions(path):
    wrong = {name: RESOLVED.get(name) for name, version in _environment(path).items() if RESOLVED.get(name) != version}
    assert not wrong, f"In {path.name}, set these to the versions of requirements.txt: {wrong}"


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_an_environment_has_what_its_rules_import_and_no_more(path):
    if path.stem == ALL_PINS:
        assert _environment(path) == RESOLVED, f"{path.name} and requirements.txt differ: run `make pins`."
        return
    needed = _needed_by(path)
    missing = [f"{CONDA_NAMES.get(name, name)}={RESOLVED[name]}" for name in sorted(needed - set(_environment(path)))]
    assert not missing, f"Add to {path.name}: {missing}"
    idle = sorted(set(_environment(path)) - needed)
    assert not idle, f"No rule that uses {path.name} imports {idle}: take them out."


def test_every_environment_that_a_rule_names_is_there():
    named = {rule.environment for rule in rules()}
    assert named == set(ENVIRONMENTS), "A rule names a file that is missing in envs/, or a file there has no rule."


def test_the_container_installs_the_pins_on_the_same_python_and_is_what_the_workflow_names():
    recipe = (ENVS / "scalelaws.def").read_text()
    assert re.search(r"^From: python:3\.11-", recipe, re.MULTILINE), "Take Python 3.11, as the conda environments do."
    (source, target) = re.search(r"^%files\n +(\S+) (\S+)$", recipe, re.MULTILINE).groups()
    assert (ROOT / source).samefile(ENVS / "requirements.txt")
    assert re.search(rf"pip install .*--requirement {target}$", recipe, re.MULTILINE)
    assert recipe.count("pip install") == 1, "Pin what the container installs in requirements.in, not here."
    assert 'container: "envs/scalelaws.sif"' in (ROOT / "Snakefile").read_text()
