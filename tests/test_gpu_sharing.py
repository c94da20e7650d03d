"""The service through which processes share a GPU: who starts it, and who ends it. A script stands in for NVIDIA's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scalelaws import gpu_sharing as sharing
from scalelaws.gpu_sharing import sharing_gpu

OTHER = """
import sys
from scalelaws import gpu_sharing as sharing
sharing.PROBE = ""
with sharing.sharing_gpu() as shared:
    print(shared, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def service(tmp_path, monkeypatch):
    """What was said to the service so far; it gives way to one process as to many."""
    said = tmp_path / "said"
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in ((sharing.CONTROL, f'echo "$* $(cat)" >> {said}'), ("nvidia-smi", "echo GPU-1")):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(sharing.tempfile, "tempdir", None)
    monkeypatch.setattr(sharing, "PROBE", "")
    monkeypatch.setattr(sharing, "USERS_OWN", tmp_path / "none")
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    return lambda: said.read_text().split() if said.exists() else []


def other_process():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CUDA_MPS")}
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().strip() == "True"
    return process


def test_the_first_process_starts_the_service_and_the_last_ends_it(service):
    with sharing_gpu() as shared:
        assert shared
        assert Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"]).is_dir()
        assert service() == ["-d"]
        other = other_process()
    assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ
    assert service() == ["-d"]
    other.communicate("")
    assert service() == ["-d", "quit"]


def test_a_process_that_was_killed_keeps_the_service_for_nobody(service):
    other = other_process()
    other.kill()
    other.wait()
    with sharing_gpu() as shared:
        assert shared
    assert service() == ["-d", "-d", "quit"]


def test_a_service_through_which_no_process_reaches_the_gpu_is_ended_and_left_out(service, monkeypatch):
    monkeypatch.setattr(sharing, "PROBE", "raise SystemExit(1)")
    with sharing_gpu() as shared:
        assert not shared
        assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ
    assert service() == ["-d", "quit"]


def test_one_that_the_user_has_started_is_used_as_it_is(service, monkeypatch):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/somewhere")
    with sharing_gpu() as shared:
        assert shared
    assert service() == []


def test_without_one_processes_take_turns(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sharing, "USERS_OWN", Path("/nowhere"))
    with sharing_gpu() as shared:
        assert not shared
