"""The C library's allocator, told to keep what it is given back."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""
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
