"""The workflow's command, started in a folder: each start is a process of its own, forked where Snakemake is loaded.

Loading Snakemake takes longer than a dry run of a small study, and the tests start it fifty times.
"""

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

from .rules import ROOT

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["snakemake.cli", "pandas", "scalelaws.training.plan", "scalelaws.training.needs"])


def snakemake(folder: Path, *arguments: str, config: str = "study.yaml", check: bool = True) -> str:
    """What the workflow prints in `folder`, where it ends; with `check`, AssertionError if it ends badly."""
    command = ["--profile", str(ROOT / "workflow/profiles/local"), "--cores", "2", "--directory", str(folder)]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(folder / config), *arguments]
    with tempfile.NamedTemporaryFile() as terminal:
        start = SERVER.Process(target=_main, args=(command, folder, terminal.name))
        start.start()
        start.join()
        printed = Path(terminal.name).read_text()
    if check and start.exitcode:
        raise AssertionError(f"{' '.join(arguments)} failed:\n{printed}")
    return printed


def _main(command: list[str], folder: Path, terminal: str) -> None:
    os.chdir(folder)
    written = os.open(terminal, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(written, stream)
    sys.argv = ["snakemake", *command]
    from snakemake.cli import main

    main()


def planned(folder: Path, *arguments: str, config: str = "study.yaml") -> dict[str, int]:
    """How many jobs of each rule a dry run plans."""
    printed = snakemake(folder, "--dry-run", *arguments, config=config)
    table = printed.split("Job stats:")[-1].splitlines() if "Job stats:" in printed else []
    counts = (line.split() for line in table)
    return {
        words[0]: int(words[1]) for words in counts if len(words) == 2 and words[1].isdigit() and words[0] != "total"
    }
