"""A file that exists is whole: it is written under another name and takes its place at the end."""

import math
import os
import platform
import subprocess
import sys
import time

import pytest
from scalelaws.io import (
    STALE_SECONDS,
    atomic_path,
    file_digest,
    forget_temporaries,
    read_json,
    scratch_folder,
    write_json,
)


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_the_block_succeeds(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert _names(path.parent) == ["table.csv"]


def test_a_failure_leaves_what_stood_there_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["table.csv"]


def test_a_folder_takes_the_place_of_a_folder(tmp_path):
    path = tmp_path / "documents"
    path.mkdir()
    (path / "old").touch()
    with atomic_path(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
        assert _names(path) == ["old"]
    assert _names(path) == ["new"]
    assert _names(tmp_path) == ["documents"]


def test_what_a_killed_job_left_is_not_mixed_into_a_new_folder(tmp_path):
    dead = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True).stdout.strip()
    for process in (dead, os.getpid()):
        left = tmp_path / f".documents.{platform.node()}.{process}.tmp"
        left.mkdir()
        (left / "half").touch()
    with atomic_path(tmp_path / "documents") as temporary:
        temporary.mkdir()
    assert _names(tmp_path / "documents") == []
    assert _names(tmp_path) == ["documents"]


def test_what_a_job_left_on_another_machine_goes_after_a_week(tmp_path):
    left, newer = tmp_path / ".documents.elsewhere.1.tmp", tmp_path / ".documents.node7.cluster.2.tmp"
    for folder in (left, newer):
        folder.mkdir()
        (folder / "half").touch()
    for path in (left / "half", left, newer):
        os.utime(path, (0, time.time() - STALE_SECONDS - 60))
    with atomic_path(tmp_path / "documents") as temporary:
        temporary.touch()
    assert _names(tmp_path) == [newer.name, "documents"], "something in it was written since"


def test_what_a_job_is_still_writing_is_left_to_it(tmp_path):
    others = [f".table.csv.{platform.node()}.{os.getppid()}.tmp", ".table.csv.elsewhere.1.tmp"]
    for name in others:
        (tmp_path / name).touch()
    with atomic_path(tmp_path / "table.csv") as temporary:
        temporary.touch()
    assert _names(tmp_path) == sorted([*others, "table.csv"])


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "table.csv"):
        pass


def test_json_comes_back(tmp_path):
    value = {"law": "L(N)", "α": [0.076, None, True], "names": {"a": "é"}}
    write_json(tmp_path / "laws.json", value)
    assert read_json(tmp_path / "laws.json") == value


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_json_holds_no_number_that_other_readers_refuse(tmp_path, number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "laws.json", {"loss": number})
    assert _names(tmp_path) == []


def test_a_digest_follows_content_and_not_place(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "a").write_bytes(b"x" * 3_000_000)
        (tmp_path / name / "b").write_bytes(b"y")
    assert file_digest(tmp_path / "one") == file_digest(tmp_path / "two")
    assert file_digest(tmp_path / "one/b") == file_digest(tmp_path / "two/b")
    (tmp_path / "two" / "b").write_bytes(b"z")
    assert file_digest(tmp_path / "one") != file_digest(tmp_path / "two")


def test_a_digest_of_a_folder_follows_the_names_in_it(tmp_path):
    (tmp_path / "a").write_bytes(b"y")
    before = file_digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert file_digest(tmp_path) != before


def test_a_scratch_folder_is_gone_afterwards_and_so_is_what_a_killed_process_left(tmp_path):
    script = "import os; from scalelaws.io import scratch_folder\nwith scratch_folder('work') as folder:\n    "
    subprocess.run([sys.executable, "-c", script + "(folder / 'a').write_text('x'); os._exit(9)"], cwd=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    with scratch_folder(tmp_path / "work") as folder:
        assert list(tmp_path.iterdir()) == [folder] and not list(folder.iterdir())
    assert not list(tmp_path.iterdir())


def test_what_a_lost_node_left_half_written_goes_and_what_is_being_written_stays(tmp_path):
    (tmp_path / "a").mkdir()
    for name, seconds in ((".a.node7.12.tmp", 7200), (".b.node8.13.tmp", 60)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - seconds,) * 2)
    forget_temporaries(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a", ".b.node8.13.tmp"}
