"""Exponentials of bfloat16 logits in C++ (exponentials.cpp), compiled for this processor when first needed."""

import ctypes
import os
import shutil
import subprocess
import warnings
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-O3", "-march=native", "-mprefer-vector-width=512", "-fopenmp-simd", "-shared", "-fPIC")


def cpp_compiler() -> str | None:
    """The path of the C++ compiler, which PyTorch calls too, or None."""
    return shutil.which(_compiler())


def can_exponentiate() -> bool:
    """Whether a C++ compiler made `exponentiate` for this processor."""
    return _library() is not None


def exponentiate(logits: Tensor, sums: Tensor) -> None:
    """Put exponentials in the place of bfloat16 logits (rows, columns), and add each row's to its float32 sum."""
    library = _library()
    assert library is not None and logits.stride(1) == sums.stride(0) == 1
    assert (logits.dtype, sums.dtype) == (torch.bfloat16, torch.float32) and len(logits) <= len(sums)
    library.exponentials(logits.data_ptr(), sums.data_ptr(), *logits.shape, logits.stride(0))


@cache
def _library() -> ctypes.CDLL | None:
    try:
        with TemporaryDirectory() as folder:
            compiled = Path(folder) / "exponentials.so"
            command = [_compiler(), *FLAGS, str(SOURCE), "-o", str(compiled)]
            subprocess.run(command, capture_output=True, check=True, text=True)
            library = ctypes.CDLL(str(compiled))
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "") or error
        warnings.warn(f"bfloat16 exponentials are PyTorch's, which are slower: {reason}", stacklevel=2)
        return None
    library.exponentials.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3]
    library.exponentials.restype = None
    return library


def _compiler() -> str:
    return os.environ.get("CXX", "g++")
