"""A table of runs from elsewhere as observations: its columns found, doubts said, nonsense refused."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scalelaws.errors import InputError
from scalelaws.observations.table import LOSS_COLUMNS, RUN_COLUMNS, Observations, validated

USUAL = {
    "parameters": "parameters params n nparams numparams numparameters modelsize modelparameters modelparams size",
    "dataset_tokens": "datasettokens tokens d ntokens numtokens trainingtokens traintokens uniquetokens data",
    "flops": "flops flop c compute trainingflop trainingflops trainflops totalflops",
    "loss": "loss validationloss valloss testloss evalloss finalloss heldoutloss l crossentropy",
    "run": "run runname name id model modelname runid",
    "corpus": "corpus evalset evaluation evalcorpus dataset domain",
    "split": "split",
    "step": "step steps",
    "seed": "seed",
}
NAMES = {word: names.split() for word, names in USUAL.items()}
"""Usual names of each column, best first, in lower case without marks between words."""
NEEDED = ("parameters", "dataset_tokens", "flops")
BITS = re.compile(r"bits|bpb|bpc|bpt|perplexity|ppl", re.IGNORECASE)
SUSPICIOUS_SIZE, SUSPICIOUS_TOKENS, SUSPICIOUS_LOSS = 1e4, 1e6, 1.2
LIKELIEST_FLOPS = (0.5, 2.0)
FARTHEST_LOSS = 15.0
READERS = {".csv": pd.read_csv, ".tsv": lambda path: pd.read_csv(path, sep="\t"), ".parquet": pd.read_parquet}
READERS |= {".jsonl": lambda path: pd.read_json(path, lines=True), ".json": pd.read_json}


@dataclass(frozen=True)
class Reading:
    """Observations, how each column was read (one line each), and what looks wrong but might not be."""

    observations: Observations
    how: list[str]
    warnings: list[str]


def read_table(
    path: str | Path, columns: Mapping[str, str] | None = None, units: Mapping[str, float] | None = None
) -> Reading:
    """The runs in a CSV, TSV, JSON, JSON lines or parquet file (plain or compressed), or at such a URL.

    columns: the column of parameters, dataset_tokens, flops, loss, run, corpus, split, step or seed, where its name
    does not say so. units: what a column is to be multiplied by (1e6 for parameters in millions). Of parameters,
    dataset_tokens and flops two are enough: flops = 6·N·D. Rows of one run with several steps are its learning curve.
    Raises InputError naming column and row where the table cannot be right.
    """
    where = str(path)
    table = _opened(where)
    if {*LOSS_COLUMNS, *RUN_COLUMNS} - {"flops", "tokens"} <= set(table):
        return Reading(_ours(table, where), ["a table of observations that scalelaws wrote"], [])
    chosen = _columns(table, columns or {}, where)
    frame = pd.DataFrame({word: table[column] for word, column in chosen.items()})
    for word in (*NEEDED, "loss", "step"):
        if word in frame:
            factor = (units or {}).get(word, 1.0)
            frame[word] = _numbers(frame[word], chosen[word], where, missing=word == "loss") * factor
    how = [f"{word}: column '{chosen[word]}'" for word in NAMES if word in chosen]
    frame, derived = _completed(frame, where)
    warnings = _suspicions(frame, chosen)
    return Reading(_observations(frame, where), how + derived, warnings)


def _opened(where: str) -> pd.DataFrame:
    bare = re.sub(r"\.(gz|zst|bz2|xz)$", "", where.split("?")[0])
    reader = READERS.get(Path(bare).suffix.lower())
    if reader is None:
        raise InputError(where, "the file's name ends in no known format", f"Give one of: {', '.join(READERS)}.")
    try:
        table = reader(where)
    except FileNotFoundError:
        raise InputError(where, "there is no such file", "Name an existing table.") from None
    except (ValueError, OSError) as error:
        raise InputError(where, f"not readable ({' '.join(str(error).split())})", "Check the format.") from None
    if table.empty:
        raise InputError(where, "the table has no rows", "Give one row per run.")
    return table


def _columns(table: pd.DataFrame, named: Mapping[str, str], where: str) -> dict[str, str]:
    for word, column in named.items():
        if column not in table:
            raise InputError(where, f"there is no column '{column}' for {word}", f"It has: {', '.join(table)}.")
    plain = {re.sub(r"[^a-z0-9]", "", str(column).lower()): str(column) for column in reversed(list(table))}
    chosen = dict(named)
    for word, names in NAMES.items():
        found = [plain[name] for name in names if name in plain and plain[name] not in chosen.values()]
        if word not in chosen and found:
            chosen[word] = found[0]
    if "loss" not in chosen:
        other = next((column for column in table if BITS.search(str(column))), None)
        hint = (
            f"'{other}' is not in nats per token: convert it (nats = bits·ln 2)." if other else "Name it with --loss."
        )
        raise InputError(where, "no column holds the loss", hint)
    if BITS.search(chosen["loss"]):
        raise InputError(
            f"{where}: {chosen['loss']}", "not in nats per token", "Convert it: nats = bits per token · ln 2."
        )
    if sum(word in chosen for word in NEEDED) < 2:
        missing = ", ".join(word for word in NEEDED if word not in chosen)
        raise InputError(where, f"no columns found for {missing}", "Name two of --parameters, --tokens and --flops.")
    return chosen


def _numbers(values: pd.Series, column: str, where: str, *, missing: bool) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    worded = numbers.isna() & values.notna() & ~values.astype(str).str.lower().isin(["nan", "inf", "-inf"])
    _refuse(worded, values, column, where, "is not a number", "Write plain numbers, such as 1.5e9.")
    if not missing:
        _refuse(numbers.isna(), values, column, where, "is missing", "Fill it in, or leave the row out.")
    _refuse(numbers <= 0, values, column, where, "is not above zero", "Correct it, or leave the row out.")
    return numbers


def _completed(frame: pd.DataFrame, where: str) -> tuple[pd.DataFrame, list[str]]:
    rules = {
        "parameters": lambda f: f["flops"] / (6 * f["dataset_tokens"]),
        "dataset_tokens": lambda f: f["flops"] / (6 * f["parameters"]),
        "flops": lambda f: 6 * f["parameters"] * f["dataset_tokens"],
    }
    derived = [word for word in NEEDED if word not in frame]
    frame = frame.assign(**{word: rules[word](frame) for word in derived})
    how = [f"{word}: from the two others by C = 6·N·D" for word in derived]
    given_run = "run" in frame
    if not given_run:
        frame["run"] = [f"row {i + 1}" for i in range(len(frame))]
    frame["run"] = frame["run"].astype(str)
    frame["corpus"] = frame["corpus"].astype(str) if "corpus" in frame else "held_out"
    frame["split"] = frame["split"].astype(str) if "split" in frame else "test"
    _refuse(~frame["split"].isin(["train", "test"]), frame["split"], "split", where, "is unknown", "Use train or test.")
    corpora = frame["corpus"].unique()
    if len(corpora) > 1 and frame.duplicated(["run", "step"] if "step" in frame else ["run"]).sum() == 0:
        remedy = "Fit each alone, or give one row per run and corpus."
        raise InputError(
            f"{where}: corpus", f"the table mixes {len(corpora)} corpora ({', '.join(corpora[:4])})", remedy
        )
    key = ["run", "corpus", "split"]
    if "step" not in frame:
        twice = frame.duplicated(key)
        if given_run and twice.any() and not frame.duplicated([*key, "dataset_tokens"]).any():
            frame["step"] = frame.groupby(key)["dataset_tokens"].rank(method="dense")
            how.append("step: rows of one run, in the order of their tokens")
        else:
            _refuse(twice, frame["run"], "run", where, "appears twice", "Keep one row, or add a column 'step'.")
            frame["step"] = 1
    else:
        twice = frame.duplicated([*key, "step"])
        _refuse(twice, frame["run"], "run", where, "has a step twice", "Keep one row per run, step and corpus.")
    return frame, how


def _suspicions(frame: pd.DataFrame, chosen: Mapping[str, str]) -> list[str]:
    found = []
    for word, least in (("parameters", SUSPICIOUS_SIZE), ("dataset_tokens", SUSPICIOUS_TOKENS)):
        if word in chosen and frame[word].max() < least:
            found.append(
                f"{chosen[word]} is at most {frame[word].max():g}: if it is in millions or billions, "
                f"give its unit (--unit {word}=1e6)"
            )
    if frame["loss"].median() < SUSPICIOUS_LOSS:
        found.append(f"losses are about {frame['loss'].median():.2f}: are they nats per token, or bits per byte?")
    ratio = (frame["flops"] / (6 * frame["parameters"] * frame["dataset_tokens"])).median()
    if not LIKELIEST_FLOPS[0] <= ratio <= LIKELIEST_FLOPS[1]:
        found.append(f"flops are {ratio:.3g} times 6·N·D: check the units of all three, or leave flops out")
    if frame["parameters"].min() == frame["parameters"].max():
        found.append(f"every run has {frame['parameters'].iloc[0]:g} parameters: no law of N can be fitted")
    same = frame.duplicated(["parameters", "dataset_tokens", "corpus", "split", "loss", "step"])
    if same.any():
        rows = ", ".join(str(i + 1) for i in np.flatnonzero(same)[:5])
        found.append(f"row {rows} repeats another with the same N, D and loss: a run given twice counts twice")
    lost = ~np.isfinite(frame["loss"]) | (frame["loss"] > FARTHEST_LOSS)
    if lost.any():
        found.append(f"left out as diverged: {', '.join(frame.loc[lost, 'run'].unique()[:5])}")
    return found


def _observations(frame: pd.DataFrame, where: str) -> Observations:
    lost = ~np.isfinite(frame["loss"]) | (frame["loss"] > FARTHEST_LOSS)
    last = frame.groupby("run")["step"].transform("max")
    tokens = frame["flops"] / (6 * frame["parameters"])
    losses = pd.DataFrame(
        {
            **{name: frame[name] for name in ("run", "flops", "corpus", "split", "loss")},
            "step": frame["step"].astype("int64"),
            "tokens": tokens,
            "loss_sem": 0.0,
            "bits_per_byte": 0.0,
            "result": frame["step"] == last,
        }
    )
    final = frame[frame["step"] == last].drop_duplicates("run")
    train = frame.loc[frame["split"] == "train", "corpus"]
    main = train.iloc[0] if len(train) else frame["corpus"].iloc[0]
    kinds = {"str": "", "int64": 0, "float64": 0.0}
    runs = pd.DataFrame({name: [kinds[kind]] * len(final) for name, kind in RUN_COLUMNS.items()}, index=final.index)
    runs = runs.assign(
        run=final["run"],
        family="unknown",
        parameters=final["parameters"],
        train_corpus=main,
        dataset_tokens=final["dataset_tokens"],
        seed=final.get("seed", 0),
        schedule="unknown",
        status=np.where(final["run"].isin(frame.loc[lost, "run"]), "diverged", "finished"),
        steps=final["step"].astype("int64"),
        result_step=final["step"].astype("int64"),
        tokens=final["flops"] / (6 * final["parameters"]),
        flops=final["flops"],
    )
    return validated(losses, runs, where)


def _ours(table: pd.DataFrame, where: str) -> Observations:
    runs = table[[name for name in RUN_COLUMNS if name in table]].drop(columns=["tokens", "flops"], errors="ignore")
    runs = runs.assign(tokens=table["run_tokens"], flops=table["run_flops"]).drop_duplicates("run")
    return validated(table[list(LOSS_COLUMNS)], runs, where)


def _refuse(bad: pd.Series, values: pd.Series, column: str, where: str, problem: str, remedy: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"{where}: row {row + 1}", f"{column} = {values.tolist()[row]!r} {problem}", remedy)
