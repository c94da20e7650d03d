"""What all tests share: the same random examples at every run of CI, the longest files first."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, database=None)
if os.environ.get("CI"):
    settings.load_profile("ci")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
LONGEST = (
    "workflow/test_study.py",
    "drills/",
    "workflow/",
    "figures/test_figures.py",
    "training/",
)
"""Begun first, so that none of them is left running alone at the end."""


@pytest.fixture
def shared_data() -> Path:
    """Real data beside this checkout."""
    if not SHARED.is_dir():
        pytest.skip("the shared data folder is not beside this checkout")
    return SHARED


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: tests that start a study wait for it part of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests by their file's place in LONGEST; within a file they stay as they are."""
    place = {item.path: _place(item.path.as_posix()) for item in items}
    items.sort(key=lambda item: place[item.path])


def _place(path: str) -> int:
    return next((i for i, part in enumerate(LONGEST) if f"/tests/{part}" in path), len(LONGEST))
