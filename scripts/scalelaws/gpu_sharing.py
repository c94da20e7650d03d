"""A GPU that several processes compute on at the same time, through NVIDIA's multi-process service (MPS).

On an H200 four small models trained on 4.8 million tokens a second together by turns, and on 7.9 million through it.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
USERS_OWN = Path("/tmp/nvidia-mps/control")
"""Of a service that somebody started as NVIDIA's manual says, and that every process finds by itself."""
PROBE = "import torch; torch.zeros(1, device='cuda')"
PROBE_SECONDS = 120


@contextmanager
def sharing_gpu() -> Iterator[bool]:
    """Whether this process, if it has not used the GPU yet, and those that it starts share it at the same time.

    The first process on a GPU starts the service and tries it, the last one ends it. Where there is none, or no process
    reaches the GPU through it, they take turns as ever.
    """
    if "CUDA_MPS_PIPE_DIRECTORY" in os.environ or USERS_OWN.exists():
        yield True
        return
    if shutil.which(CONTROL) is None:
        yield False
        return
    folder = Path(tempfile.gettempdir()) / f"scalelaws-gpu-{_which_gpu()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    service = {"CUDA_MPS_PIPE_DIRECTORY": str(folder), "CUDA_MPS_LOG_DIRECTORY": str(folder)}
    own = folder / f"{os.getpid()}.user"
    works = folder / "works"
    with _locked(folder):
        if not _users(folder):
            works.unlink(missing_ok=True)
            if _starts(service):
                works.touch()
        own.touch()
        shared = works.exists()
    try:
        if shared:
            os.environ.update(service)
        yield shared
    finally:
        for name in service if shared else ():
            del os.environ[name]
        with _locked(folder):
            own.unlink(missing_ok=True)
            if shared and not _users(folder):
                _control(service, "quit\n")
                works.unlink(missing_ok=True)


def _which_gpu() -> str:
    """A name for this user's share of the GPUs of this machine: other jobs have others."""
    seen = subprocess.run(["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"], check=False, capture_output=True)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return hashlib.sha256(seen.stdout + f"{visible} {os.getuid()}".encode()).hexdigest()[:16]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _users(folder: Path) -> list[Path]:
    """Who uses the service; what was left by processes that are gone is deleted."""
    found = []
    for user in folder.glob("*.user"):
        if Path(f"/proc/{user.stem}").exists():
            found.append(user)
        else:
            user.unlink()
    return found


def _starts(service: dict[str, str]) -> bool:
    """Start the service, unless it was left running, and see whether a process reaches the GPU through it."""
    _control(service, "", "-d")
    command = [sys.executable, "-c", PROBE]
    try:
        done = subprocess.run(
            command, env=os.environ | service, timeout=PROBE_SECONDS, check=False, capture_output=True
        )
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        _control(service, "quit\n")
        return False
    return True


def _control(service: dict[str, str], said: str, *arguments: str) -> None:
    """Say something to the service."""
    subprocess.run(
        [CONTROL, *arguments], input=said, text=True, env=os.environ | service, check=False, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, timeout=PROBE_SECONDS,
    )  # fmt: skip
