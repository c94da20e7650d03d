"""What is left of the memory, as the kernel's files say it, and who needs it."""

import pytest
import torch
from scalelaws.errors import InputError
from scalelaws.training import memory, processes
from scalelaws.training.memory import available_bytes, check_memory
from scalelaws.training.needs import needed_bytes

from .test_needs import run_of

CPU = torch.device("cpu")
JOB = "system.slice/slurmstepd.scope/job_7"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 64 GB left, and this process in a step of the SLURM job 7; returns what limits a group."""
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "CONTROL_GROUPS", tmp_path / "groups")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 99000000 kB\nMemAvailable: 62500000 kB\n")
    (tmp_path / "proc/self/cgroup").write_text(f"0::/{JOB}/step_0\n")

    def limit(group, most, used, cached=0):
        folder = tmp_path / "groups" / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\nactive_file 5\n")

    return limit


def test_without_a_limit_it_is_what_the_machine_has(machine):
    machine(JOB, "max", 1)
    assert available_bytes(CPU) == 64_000_000_000


def test_a_job_s_own_limit_counts_although_its_step_and_the_root_have_none(machine):
    machine(f"{JOB}/step_0", "max", 1)
    machine(JOB, 8_000_000_000, 3_000_000_000)
    assert available_bytes(CPU) == 5_000_000_000


def test_of_several_limits_the_one_that_leaves_least_counts(machine):
    machine(JOB, 8_000_000_000, 3_000_000_000)
    machine("", 4_000_000_000, 3_000_000_000)
    assert available_bytes(CPU) == 1_000_000_000


def test_pages_of_files_that_the_kernel_can_drop_count_as_left(machine):
    machine(JOB, 8_000_000_000, 7_000_000_000, cached=6_000_000_000)
    assert available_bytes(CPU) == 7_000_000_000


def test_processes_of_one_node_need_the_memory_of_all_of_them(machine, monkeypatch):
    run = run_of(1e6, 1e8)
    machine(JOB, 3 * needed_bytes(run, 8, 3), 0)
    check_memory(run, 8, 3, CPU)
    monkeypatch.setattr(processes, "count_here", lambda: 4)
    with pytest.raises(InputError, match="GB of memory"):
        check_memory(run, 8, 3, CPU)
