"""How a finished run outlives its job.

Snakemake deletes what every run of a shared job has made when one of them fails, and what a job makes that an earlier
start left in a cluster is not taken for done. Each finished run therefore keeps its files under second names (hard
links) among the checkpoints, until all of the study's runs are gathered.
"""

import shutil
from pathlib import Path

from scalelaws.io import atomic_path, link_or_copy

FINISHED = "finished"
RUN, OWNER = "run", "owner"


def keep_finished(run: Path, checkpoints: Path, owner: str) -> None:
    """Give the files in a finished run's folder their second names. `owner`: whose they are, as of a checkpoint."""
    with atomic_path(checkpoints / FINISHED) as temporary:
        temporary.mkdir()
        link_or_copy(run, temporary / RUN)
        (temporary / OWNER).write_text(owner)


def take_finished(run: Path, checkpoints: Path, owner: str) -> bool:
    """Put back the folder of a run that was finished before, and say whether it was, by this very owner.

    What another owner left there goes: a trunk's states would take their place on the disk twice.
    """
    kept = checkpoints / FINISHED
    if not (kept / OWNER).is_file() or (kept / OWNER).read_text() != owner:
        shutil.rmtree(kept, ignore_errors=True)
        return False
    with atomic_path(run) as temporary:
        link_or_copy(kept / RUN, temporary)
    return True


def forget_checkpoints(checkpoints: Path) -> None:
    """Take away a finished run's checkpoints, and leave what it is kept by."""
    for path in checkpoints.glob("*"):
        if path.name != FINISHED:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    _remove_if_empty(checkpoints)


def forget_finished(checkpoints: Path) -> None:
    """Take away the second names of all runs of a study, so that a run that is asked for again is trained again."""
    for kept in checkpoints.glob(f"*/{FINISHED}"):
        shutil.rmtree(kept)
        _remove_if_empty(kept.parent)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
