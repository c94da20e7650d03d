"""How fast this machine multiplies matrices: for a plan's estimate of time, and for what share of it a run reaches."""

import time

import torch

from scalelaws.training import processes

CPU = torch.device("cpu")
PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}
SIZE, QUICK_SIZE, GPU_SIZE = 2048, 1024, 8192
"""Rows and columns of the matrices that are multiplied; the quick ones take a tenth of a second and tell it to 10%.
Smaller ones than the last do not fill a GPU."""
MODEL_UTILIZATION = 0.25
"""Share of the matrix-product peak that small models reach on a CPU: 0.17 at N 14k, 0.33 at N 442k."""


def native_precision(wanted: str, device: torch.device) -> str:
    """bfloat16 or float32: the one that is `wanted`, or for "auto" the faster one on this device.

    A CPU without bfloat16 instructions (AVX-512 BF16 or AMX) emulates them, 50 times slower than its float32.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if native else "float32"


def matrix_product_rate(precision: str, threads: int, size: int = SIZE, device: torch.device = CPU) -> float:
    """FLOP/s of a large matrix product in the named precision on one device, the best of five."""
    torch.set_num_threads(threads)
    factor = torch.ones((size, size), dtype=PRECISIONS[precision], device=device)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        float((factor @ factor)[0, 0])  # a GPU is waited for
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def peak_rate(precision: str, threads: int, device: torch.device) -> float:
    """FLOP/s of matrix products, about, of all processes that train a run together, each on a device like this one."""
    size = GPU_SIZE if device.type == "cuda" else QUICK_SIZE
    return processes.count() * matrix_product_rate(precision, threads, size, device)


def training_rate(precision: str, threads: int) -> float:
    """FLOP/s, attention and output layer counted, that a run is expected to reach."""
    return MODEL_UTILIZATION * matrix_product_rate(native_precision(precision, CPU), threads)
