"""One run from its plan and tokens to its files: record, losses and weights."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import save_file

from scalelaws.errors import InputError
from scalelaws.finished import forget_checkpoints, keep_finished, take_finished
from scalelaws.io import atomic_path, file_digest, link_or_copy, read_json, scratch_folder, write_json
from scalelaws.job import Progress
from scalelaws.recipe import provenance, recipe
from scalelaws.tokens.store import check_ids, open_tokens
from scalelaws.tokens.subset import unseen_from
from scalelaws.training import processes
from scalelaws.training.loop import FORKS, run_record, train
from scalelaws.training.run import Run
from scalelaws.training.speed import native_precision
from scalelaws.training.state import State, checkpoints_of, newest_step, owner_of, views

RECIPE = ("training.files", "training.run", "training.together")
"""The modules whose meaning is that of a run, as the rule `train` names them."""


@dataclass(frozen=True)
class RunFiles:
    """Where a run's results go, all at once when it ends, and where its checkpoints are meanwhile."""

    run: Path
    checkpoints: Path

    def forks_of(self, trunk: str) -> Path:
        """The states that another run of the study keeps for its branches, wherever this one's results go."""
        return self.checkpoints.parents[1] / "runs" / trunk / FORKS


def train_to_files(
    run: Run,
    sidecars: Sequence[str],
    train_corpus: str,
    files: RunFiles,
    made_by: str,
    threads: int,
    progress: Progress,
    *,
    kept: bool = False,
    sharded: bool = False,
) -> None:
    """Train one run, or go on with it from its checkpoint, and write its results. A diverged run keeps its checkpoints.

    sidecars: token files <corpus>.<split>.json, all of which are evaluated. made_by: the recipe's hash. kept: until
    the study is gathered its results stay under second names too, for Snakemake may delete them. sharded: each of
    several processes holds only its pieces of the state.
    """
    tokens = {}
    for path in sidecars:
        corpus, split = Path(path).stem.rsplit(".", 1)
        tokens[corpus, split] = file = open_tokens(path)
        if run.shape.marks not in (None, (file.separator, file.end_of_document)):
            problem = f"its separator and end-of-document id are {file.separator} and {file.end_of_document}"
            remedy = "Learn the study's tokenizer, or give one whose last two ids are <|endoftext|> and <|target|>."
            raise InputError(path, problem, remedy)
        if (corpus, split) == (train_corpus, "train"):
            check_ids(file, min(run.stream_tokens or run.dataset_tokens, file.tokens))
            check_ids(file, file.tokens, unseen_from(file, run.evaluation_tokens))
        else:
            check_ids(file, file.tokens)
    run = replace(run, precision=native_precision(run.precision, processes.device()))
    owner = owner_of(run, made_by, {Path(path).name: file_digest(path) for path in sidecars})
    if processes.any_of_all(processes.rank() == 0 and take_finished(files.run, files.checkpoints, owner))[0]:
        progress.say("finished before, in a job that failed or was cancelled later")
        return
    trunk = files.forks_of(run.trunk) if run.first_step else None
    state = train(run, tokens, train_corpus, files.checkpoints, owner, threads, progress, trunk, sharded=sharded)
    if processes.rank() > 0:
        return
    record = run_record(run, state, train_corpus, threads)
    made_with = provenance(made_by, run.seed, asdict(run), sidecars, ["torch", "numpy"])
    good = newest_step(files.checkpoints, owner) if state.status == "diverged" else None
    with atomic_path(files.run) as folder:
        folder.mkdir()
        write_json(folder / "run.json", {"run": {**record, "good_checkpoint_step": good}, "provenance": made_with})
        pd.DataFrame(state.losses).to_parquet(folder / "losses.parquet", index=False)
        pd.DataFrame(state.positions).to_parquet(folder / "positions.parquet", index=False)
        weights = {name: view.contiguous() for name, view in views(state.best, run.shape).items()}
        save_file(weights, folder / "model.safetensors")
        if run.schedule == "trunk":
            (folder / FORKS).mkdir()
            for fork in checkpoints_of(files.checkpoints / FORKS, owner):
                link_or_copy(fork, folder / FORKS / fork.name)
    if kept:
        keep_finished(files.run, files.checkpoints, owner)
    if good is None:
        forget_checkpoints(files.checkpoints)
    progress.say(f"{state.status} at step {state.step:,}; {_what_is_left(state, good, files.checkpoints)}")


def _what_is_left(state: State, good: int | None, checkpoints: Path) -> str:
    if state.status != "diverged":
        return f"held-out loss {state.best_loss:.3f} at step {state.best_step:,}"
    kept = "no checkpoint before it" if good is None else f"its checkpoint of step {good:,} stays in {checkpoints}"
    return f"the laws leave it out; {kept}"


def check_forks(trunk: Path) -> None:
    """Raise InputError if a finished trunk's folder lacks the states that its branches begin from."""
    if not (trunk / FORKS).is_dir():
        raise InputError(str(trunk / FORKS), "the states that branches begin from are gone", f"Delete {trunk}.")


def train_planned(plan: Path, which: str, folder: Path | None, threads: int) -> None:
    """Train by hand one run of results/<study>/plan.csv, by its number from 1 or its name, on the study's tokens.

    The results go to `folder`, or where the workflow would have put them: it then finds the run finished.
    """
    run = planned_run(plan, which)
    study = plan.parent
    named, folder = folder, folder or study / "runs" / run.run
    if (folder / "run.json").exists():
        raise InputError(str(folder), "this run has been trained already", "Name another folder with --out.")
    if folder.exists() or folder.is_symlink():  # the results take its place, whole
        raise InputError(str(folder), "exists already", "Name a new folder with --out." if named else "Delete it.")
    with scratch_folder(folder):
        pass  # where nobody may write, it is said before the training
    if run.trunk:
        _check_trunk(planned_run(plan, run.trunk), study / "runs" / run.trunk)
    sidecars = sorted(str(path) for split in ("train", "test") for path in study.glob(f"tokens/*.{split}.json"))
    train_corpora = [Path(path).stem.rsplit(".", 1)[0] for path in sidecars if path.endswith(".train.json")]
    if len(train_corpora) != 1:
        remedy = "Make the study's tokens first: snakemake tokens."
        raise InputError(str(study / "tokens"), "the training corpus's tokens are not there", remedy)
    files = RunFiles(folder, study / "checkpoints" / run.run)
    progress = Progress(f"train {run.run}")
    train_to_files(run, sidecars, train_corpora[0], files, recipe(*RECIPE), threads, progress)


def _check_trunk(trunk: Run, folder: Path) -> None:
    """Raise InputError if the trunk in a folder was trained otherwise than the plan says, which has changed since."""
    if not (folder / "run.json").is_file():
        return
    record = read_json(folder / "run.json")["run"]
    usual = {field.name: field.default for field in fields(Run)}  # an older record lacks what there was not yet
    made = {**usual, **record, "steps": record["planned_steps"], "precision": trunk.precision}
    other = [name for name, planned in asdict(trunk).items() if made.get(name) != planned]
    if other:
        was, planned = made.get(other[0]), getattr(trunk, other[0])
        problem = f"this trunk was trained with {other[0]} {was}, not {planned} as planned"
        raise InputError(str(folder), problem, f"Delete {folder} and train {trunk.run} first.")


def planned_run(plan: Path, which: str) -> Run:
    """The run that a plan.csv holds under a number, its first row being 1, or under a name."""
    if not plan.is_file():
        raise InputError(str(plan), "there is no such plan", "Make it: snakemake results/<study>/plan.csv.")
    table = pd.read_csv(plan, dtype=str, keep_default_na=False)
    chosen = table[table["run"] == which]
    if chosen.empty and which.isdecimal() and 1 <= int(which) <= len(table):
        chosen = table.iloc[[int(which) - 1]]
    if chosen.empty:
        remedy = f"Give a number from 1 to {len(table)}, or a name such as {table['run'].iloc[0]}."
        raise InputError(f"{plan}: --run {which}", "there is no such run", remedy)
    missing = [field.name for field in fields(Run) if field.name not in table]
    if missing:
        raise InputError(str(plan), f"the column '{missing[0]}' is missing", "Make the plan again.")
    row = chosen.iloc[0]
    values: dict[str, Any] = {field.name: _value(row[field.name], field.type) for field in fields(Run)}
    return Run(**values)


def _value(text: str, kind: object) -> str | int | float | bool:
    if kind is bool:
        return text == "True"
    return int(text) if kind is int else float(text) if kind is float else text
