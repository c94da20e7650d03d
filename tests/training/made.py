"""A study's folder as it is before its runs: a plan and token files, made without the stages before them."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scalelaws.tokens.store import Checksums, token_paths
from scalelaws.training.hardware import Hardware
from scalelaws.training.needs import needs_of
from scalelaws.training.plan import plan_rows
from scalelaws.training.run import Run


def write_plan(folder: Path, runs: Iterable[Run], evaluated_sets: int = 3) -> None:
    """plan.csv of a study of these runs, each evaluated on so many sets."""
    runs = list(runs)
    needs = [needs_of(run, Hardware("CPU core"), 12, evaluated_sets) for run in runs]
    pd.DataFrame(plan_rows(runs, needs, 1e9)).to_csv(folder / "plan.csv", index=False)


def write_tokens(folder: Path, name: str, ids: np.ndarray, vocabulary: int) -> None:
    """tokens/<corpus>.<split>, the `name`, as one document that ends with the last id of the vocabulary."""
    (folder / "tokens").mkdir(exist_ok=True)
    paths = token_paths(folder / "tokens" / name)
    ids = ids.astype("<u2")
    ids[-1] = vocabulary - 1
    paths["ids"].write_bytes(ids.tobytes())
    np.save(paths["offsets"], np.array([0, len(ids)]))
    counts = {"tokens": len(ids), "documents": 1, "bytes": 4 * len(ids)}
    checksums = Checksums()
    checksums.update(ids.tobytes())
    ids_are = {"vocabulary": vocabulary, "end_of_document": vocabulary - 1, "tokenizer": "none"}
    ids_are["checksums"] = checksums.all()
    paths["sidecar"].write_text(json.dumps({**counts, **ids_are}))
