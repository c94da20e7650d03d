"""How fast this machine multiplies matrices: for a plan's estimate of time, and for what share of it a run reaches."""

import time

import torch

SIZE, QUICK_SIZE = 2048, 1024
"""Rows and columns of the matrices that are multiplied; the quick ones take a tenth of a second and tell it to 10%."""
MODEL_UTILIZATION = 0.25
"""Share of the matrix-product peak that small models reach on a CPU: 0.17 at N 14k, 0.33 at N 442k."""


def matrix_product_rate(precision: str, threads: int, size: int = SIZE) -> float:
    """FLOP/s of a large matrix product in the named precision, the best of five."""
    torch.set_num_threads(threads)
    factor = torch.ones((size, size), dtype={"bfloat16": torch.bfloat16, "float32": torch.float32}[precision])
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        factor @ factor
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def training_rate(precision: str, threads: int) -> float:
    """FLOP/s, attention and output layer counted, that a run is expected to reach."""
    return MODEL_UTILIZATION * matrix_product_rate(precision, threads)
