"""The memory that a run needs and the machine has left, and the C library's allocator, told to keep what is freed."""

import ctypes
import math
from pathlib import Path

import torch

from scalelaws.errors import InputError
from scalelaws.training import processes
from scalelaws.training.needs import device_bytes, needed_bytes
from scalelaws.training.run import Run

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""
PROC, CONTROL_GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
KEPT_BYTES = 1 << 30
LARGEST_BLOCK = 32 << 20
"""The largest value that glibc accepts for MMAP_THRESHOLD."""


def keep_freed_memory() -> None:
    """Let freed blocks be used again instead of being handed to the kernel, which clears each page on its way back.

    A training step frees and takes blocks of megabytes hundreds of times a second: without this, page faults cost a
    third of the time of a small model's update. Only glibc has the switch; elsewhere nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(MMAP_THRESHOLD, LARGEST_BLOCK)


def total_bytes(device: torch.device) -> float:
    """All of a GPU's memory; infinite for a CPU, whose processes share the machine's."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else math.inf


def available_bytes(device: torch.device) -> int | None:
    """What the GPU, or the machine and the control groups that hold this process, have left; None where none says."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = _left_in_groups()
    meminfo = PROC / "meminfo"
    if meminfo.is_file():
        fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
        found.append(int(fields["MemAvailable"].split()[0]) * 1024)
    return min(found, default=None)


def _left_in_groups() -> list[int]:
    """What every control group with a limit has left, from the process's own (a cluster's job) up to the root.

    Pages of files that were not used lately count as left: the kernel drops them before it refuses memory.
    """
    own = PROC / "self/cgroup"
    names = [line[3:] for line in own.read_text().splitlines() if line.startswith("0::")] if own.is_file() else []
    group = CONTROL_GROUPS / (names[0].strip("/") if names else "")
    found = []
    for folder in (group, *group.parents):
        limit = folder / "memory.max"
        if limit.is_file() and (most := limit.read_text().strip()) != "max":
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            used = int((folder / "memory.current").read_text()) - int(stat["inactive_file"])
            found.append(int(most) - used)
    return found


def check_memory(run: Run, sequences_at_once: int, evaluated_sets: int, device: torch.device, pieces: int = 1) -> None:
    """Raise InputError if the run, or one of the `pieces` that it is shared out in, cannot fit into the memory that is
    left, before it begins. Processes on the CPUs of one node share what is left there."""
    if device.type == "cuda":
        needed = device_bytes(run, sequences_at_once, evaluated_sets, pieces)
    else:
        needed = processes.count_here() * needed_bytes(run, sequences_at_once, evaluated_sets, pieces)
    left = available_bytes(device)
    if left is not None and needed > left:
        raise InputError(
            f"run {run.run}",
            f"it needs about {needed / 1e9:.1f} GB of memory and {left / 1e9:.1f} GB are left",
            "Train it on a larger machine, or train fewer runs at a time (--cores).",
        )
