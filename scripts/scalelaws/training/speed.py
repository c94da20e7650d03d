"""How fast this machine multiplies matrices: for a plan's estimate of time, and for what share of it a run reaches."""

import time

import torch

PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}
SIZE, QUICK_SIZE = 2048, 1024
"""Rows and columns of the matrices that are multiplied; the quick ones take a tenth of a second and tell it to 10%."""
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


def matrix_product_rate(precision: str, threads: int, size: int = SIZE) -> float:
    """FLOP/s of a large matrix product in the named precision, the best of five."""
    torch.set_num_threads(threads)
    factor = torch.ones((size, size), dtype=PRECISIONS[precision])
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        factor @ factor
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def training_rate(precision: str, threads: int) -> float:
    """FLOP/s, attention and output layer counted, that a run is expected to reach."""
    return MODEL_UTILIZATION * matrix_product_rate(native_precision(precision, torch.device("cpu")), threads)
