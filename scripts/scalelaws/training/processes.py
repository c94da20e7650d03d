"""Several processes that train one run together (torchrun): who this one is, and sums over all of them."""

import os
import shutil

import torch.distributed
from torch import Tensor

from scalelaws.errors import InputError


def join() -> None:
    """Join the group that torchrun started; a process started alone stays alone."""
    if torch.cuda.is_available():
        torch.cuda.set_device(device())  # kernels of our own go to the one that is set, wherever their tensors are
    if "WORLD_SIZE" in os.environ and not torch.distributed.is_initialized():
        torch.distributed.init_process_group()  # gloo, and nccl for tensors on GPUs


def leave() -> None:
    """Leave the group that was joined, once all its processes are done."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def rank() -> int:
    """This process's number, 0 when alone."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def count() -> int:
    """How many processes there are."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def count_here() -> int:
    """How many of them are on this node."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if torch.distributed.is_initialized() else 1


def device() -> torch.device:
    """What this process computes on: a GPU of its own where there are any, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def check_gpu() -> None:
    """Raise InputError if a job that asked for a GPU sees none: its cores would take weeks for a GPU's hours."""
    if not torch.cuda.is_available():
        problem = f"a GPU was asked for, and PyTorch {torch.__version__} sees none here"
        remedy = "Check the node's driver and PyTorch's CUDA; a container needs apptainer-args: --nv."
        raise InputError("config: hardware", problem, remedy)
    if not any(map(shutil.which, (os.environ.get("CC", "gcc"), "gcc", "clang"))):
        problem = "kernels for a GPU are compiled where they run, and no C compiler is here"
        raise InputError("config: hardware", problem, "Install gcc on the node, or name a compiler in CC.")


def any_of_all(*flags: bool) -> list[bool]:
    """Whether each of the flags is set in any process: all of them get the same answer."""
    return [bool(votes) for votes in sum_over_all(torch.tensor(flags, dtype=torch.float32))]


def sum_over_all(values: Tensor) -> Tensor:
    """`values` summed in place over all processes, each of which gets the same bits."""
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(values)
    return values
