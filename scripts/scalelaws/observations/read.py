"""A table of runs from elsewhere as observations: its columns found, doubts said, nonsense refused."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scalelaws.errors import InputError
from scalelaws.observations.columns import NEEDED, NUMBERS, Chosen, choose, loss_columns
from scalelaws.observations.doubts import FARTHEST_LOSS, diverged, doubts
from scalelaws.observations.table import (
    EXTRA_LOSS_COLUMNS,
    EXTRA_RUN_COLUMNS,
    LOSS_COLUMNS,
    RUN_COLUMNS,
    Observations,
    as_one_table,
    validated,
)
from scalelaws.units import PEARCE_SONG, non_embedding_parameters

URL = re.compile(r"[a-z][a-z0-9+.-]*://")
SAME_SIZE = 0.01
"""Two sizes that differ by less are one, which was rounded or derived."""
READERS = {".csv": lambda path: _separated(path, ","), ".tsv": lambda path: _separated(path, "\t")}
READERS |= {".parquet": pd.read_parquet, ".jsonl": lambda path: pd.read_json(path, lines=True), ".json": pd.read_json}


@dataclass(frozen=True)
class Reading:
    """Observations, how each column was read (one line each), and what looks wrong but might not be."""

    observations: Observations
    how: list[str]
    warnings: list[str]


def read_table(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, float] | None = None,
    where: str | None = None,
) -> Reading:
    """The runs in a CSV, TSV, JSON, JSON lines or parquet file (plain or compressed), or at such a URL.

    columns: the column of each word of columns.USUAL, or of loss, where its name does not say so; a number in its
    place holds for every row. units: what a column is to be multiplied by (1e6 for N in millions). where: a condition
    on the table's columns that rows must meet, as of pandas' query. Of parameters, dataset_tokens and flops two are
    enough: flops = 6·N·D. N counts no embeddings; total_parameters does, and alone is taken apart by Pearce & Song's
    relation. Rows of one run with several steps are its learning curve, unless the column of runs may name models;
    columns loss_<corpus> are evaluations of one run on several corpora, unless a column is the loss by its whole name.
    An observations.parquet of ours is read with the runs.parquet beside it; runs of its sweep alone are one grid.
    Raises InputError naming column and row (counted from 1 below the header) where the table cannot be right.
    """
    place = str(path)
    table = _opened(place)
    if {*LOSS_COLUMNS} <= set(table) and "parameters" not in table:
        table = _with_runs(table, _beside(place))
    if where:
        table = _matching(table, where, place)
    if {*LOSS_COLUMNS, *RUN_COLUMNS} - {"flops", "tokens"} <= set(table):
        how = ["a table of observations that scalelaws wrote"]
        if "variant" in table:
            table = table.assign(variant=table["variant"].fillna(""))
            if table["variant"].all():
                how.append(f"as one grid, none being of the study's own: {', '.join(sorted(set(table['variant'])))}")
                table = table.assign(variant="")
        return Reading(_ours(table, place), how, [])
    table = _with_constants(table, columns or {})
    chosen = choose(table, columns or {}, units or {}, place)
    frame = _long(table, chosen, units or {}, place)
    frame, sizes = _sized(frame, chosen, place)
    frame, derived = _completed(frame, chosen, place)
    warnings = doubts(frame, chosen.columns)
    how = chosen.lines(loss_columns(table)) + sizes + derived
    observations = _observations(frame, place)
    _usable(observations, chosen, place)
    return Reading(observations, how, warnings)


def _with_constants(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """The table with a column of the same number in every row for each column that is named by a number."""
    for column in set(columns.values()) - set(table):
        with contextlib.suppress(ValueError):
            table = table.assign(**{column: float(column)})
    return table


def local_table(path: str, where: str) -> list[str]:
    """A table's files on this machine, none for a URL. Raises InputError, naming `where`, for a file that is not."""
    if URL.match(path):
        return []
    if not Path(path).is_file():
        raise InputError(f"{where}: {path}", "there is no such file", "Name an existing table, or its URL.")
    ours = Path(path).name == "observations.parquet" and _beside(path).is_file()
    return [path, str(_beside(path))] if ours else [path]


def _beside(path: str) -> Path:
    """Where the runs of observations that we wrote stand."""
    return Path(path).with_name("runs.parquet")


def _with_runs(losses: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The losses with the columns of their runs in `file`. Raises InputError where it is damaged or another study's."""
    remedy = "Put the study's own runs.parquet there."
    if not file.is_file():
        raise InputError(str(file), "there is no such file", remedy)
    runs = _opened(str(file))
    missing = [name for name in RUN_COLUMNS if name not in runs]
    if missing:
        raise InputError(str(file), f"the column '{missing[0]}' is missing", remedy)
    _refuse(runs["run"].duplicated(), runs["run"], "run", str(file), "appears twice", remedy)
    unknown = sorted(set(losses["run"]) - set(runs["run"]))
    if unknown:
        raise InputError(str(file), f"the run {unknown[0]!r} is not in it", remedy)
    return as_one_table(losses, runs)


def _opened(place: str) -> pd.DataFrame:
    bare = re.sub(r"\.(gz|zst|bz2|xz)$", "", place.split("?")[0])
    reader = READERS.get(Path(bare).suffix.lower())
    if reader is None:
        raise InputError(place, "the file's name ends in no known format", f"Give one of: {', '.join(READERS)}.")
    try:
        table = reader(place)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(place, "there is no such file", "Name an existing table.") from None
    except Exception as error:  # decompressors and file systems raise errors of their own
        remedy = "Check the address and the network." if URL.match(place) else "Check the format."
        raise InputError(place, f"not readable ({' '.join(str(error).split())})", remedy) from None
    if table.empty:
        raise InputError(place, "the table has no rows", "Give one row per run.")
    return table.set_axis(range(1, len(table) + 1), axis=0)


def _separated(path: str, mark: str) -> pd.DataFrame:
    """The fields that `mark` parts; one left over at the end of rows is dropped where every row's is empty."""
    table = pd.read_csv(path, sep=mark)
    other = next((sign for sign in ";\t," if sign != mark and sign in table.columns[0]), None)
    if table.shape[1] == 1 and other:
        remedy = f"Put {mark!r} between fields and points into numbers (5.1, not 5,1)."
        raise InputError(path, f"fields seem to be parted by {other!r}, not by {mark!r}", remedy)
    # pandas takes the first fields of rows that are longer than the header for names of the rows.
    surplus = 0 if isinstance(table.index, pd.RangeIndex) else table.index.nlevels
    if not surplus:
        return table
    fields, names = table.reset_index(), list(table)
    if fields.iloc[:, len(names) :].notna().to_numpy().any():
        problem = f"rows have {len(names) + surplus} fields, their header has {len(names)}"
        raise InputError(path, problem, "Name every column in the header, and put numbers with commas in quotes.")
    return fields.iloc[:, : len(names)].set_axis(names, axis=1)


def _matching(table: pd.DataFrame, condition: str, place: str) -> pd.DataFrame:
    remedy = "Write it like: loss < 5 and train_set == 'c4'; put `marks` around names with spaces."
    try:
        kept = table.query(condition)
    except Exception as error:  # pandas raises whatever evaluating the user's words raised
        problem = " ".join(str(error).split())
        raise InputError(f"{place}: where {condition!r}", f"not understood ({problem})", remedy) from None
    if not isinstance(kept, pd.DataFrame) or kept.empty:
        raise InputError(f"{place}: where {condition!r}", "no row meets it", "Loosen it.")
    return kept


def _long(table: pd.DataFrame, chosen: Chosen, units: Mapping[str, float], place: str) -> pd.DataFrame:
    """One row per run, step and corpus, all numbers checked, indexed by the table's rows."""
    frame = pd.DataFrame({word: table[column] for word, column in chosen.columns.items()}, index=table.index)
    for word in NUMBERS:
        if word in frame:
            frame[word] = _numbers(frame[word], chosen.columns[word], place) * units.get(word, 1.0)
    if "step" in frame:
        remedy = "Count whole updates, or name the column of tokens."
        _refuse(frame["step"] % 1 != 0, frame["step"], chosen.columns["step"], place, "is no whole number", remedy)
    if "seed" in frame:
        frame["seed"] = _seeds(frame["seed"])
    parts = []
    for corpus, column in chosen.losses.items():
        loss = _numbers(table[column], column, place, missing=True) * units.get("loss", 1.0)
        parts.append(frame.assign(loss=loss, **({"corpus": corpus} if corpus else {})))
    if len(parts) > 1:
        # An evaluation that was not made is no sign of a diverged run where others of the run were.
        given = np.isfinite([part["loss"] for part in parts]).any(axis=0)
        parts = [part[np.isfinite(part["loss"]) | ~given] for part in parts]
    return pd.concat(parts)


def _seeds(values: pd.Series) -> "pd.Series | np.ndarray":
    """Seeds as they are where all are whole numbers, otherwise numbered from 0 as they come, a missing one too."""
    numbers = pd.to_numeric(values, errors="coerce")
    return numbers if (numbers % 1 == 0).all() else pd.factorize(values, use_na_sentinel=False)[0]


def _numbers(values: pd.Series, column: str, place: str, *, missing: bool = False) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    worded = numbers.isna() & values.notna() & ~values.astype(str).str.lower().isin(["nan", "inf", "-inf"])
    _refuse(worded, values, column, place, "is not a number", "Write plain numbers, such as 1.5e9.")
    if not missing:
        _filled(numbers, column, place)
        _refuse(np.isinf(numbers), values, column, place, "is infinite", "Correct it, or leave the row out (--where).")
    _refuse(numbers <= 0, values, column, place, "is not above zero", "Correct it, or leave the row out (--where).")
    return numbers


def _sized(frame: pd.DataFrame, chosen: Chosen, place: str) -> tuple[pd.DataFrame, list[str]]:
    """The frame with parameters and embedding_parameters of what it says of them and their sum; how, in lines."""
    if "total_parameters" not in frame:
        return frame, []
    total, how = frame["total_parameters"], []
    if "dataset_tokens" not in frame and "flops" in frame:
        frame = frame.assign(dataset_tokens=frame["flops"] / (6 * total))
        how.append("dataset_tokens: from the two others by C = 6·total_parameters·D")
    if "parameters" not in frame and "embedding_parameters" in frame:
        frame = frame.assign(parameters=total - frame["embedding_parameters"])
        how.append("parameters: total_parameters without embedding_parameters")
    elif "parameters" not in frame:
        frame = frame.assign(parameters=non_embedding_parameters(total))
        how.append(f"parameters: N of total_parameters = N + {PEARCE_SONG:,.0f}·N^(1/3) (Pearce & Song 2024)")
    column = chosen.columns["total_parameters"]
    problem = "holds no more than the parameters without embeddings"
    _refuse(total <= frame["parameters"], total, column, place, problem, "Name the columns of both, or only one.")
    _refuse(frame["parameters"] <= 0, total, column, place, "is no more than the embeddings", "Correct it.")
    return frame.assign(embedding_parameters=total - frame["parameters"]), how


def _completed(frame: pd.DataFrame, chosen: Chosen, place: str) -> tuple[pd.DataFrame, list[str]]:
    """The frame with all of N, D, tokens and C, a run, a corpus, a split and a step; how, one line per derived one."""
    rules = {
        "parameters": lambda f: f["flops"] / (6 * f["dataset_tokens"]),
        "dataset_tokens": lambda f: f["flops"] / (6 * f["parameters"]),
        "flops": lambda f: 6 * f["parameters"] * f.get("tokens", f["dataset_tokens"]),
    }
    derived = [word for word in NEEDED if word not in frame]
    frame = frame.assign(**{word: rules[word](frame) for word in derived})
    how = [f"{word}: from the two others by C = 6·N·D" for word in derived]
    if "tokens" not in frame:
        frame["tokens"] = frame["dataset_tokens"]
    frame["flops_given"], frame["flops"] = frame["flops"], 6 * frame["parameters"] * frame["tokens"]
    given_run = "run" in frame
    if given_run:
        _filled(frame["run"], chosen.columns["run"], place)
    else:
        frame["run"] = [f"row {row}" for row in frame.index]
    frame["run"] = frame["run"].astype(str)
    frame, parted = _parted(frame, chosen) if chosen.models else (frame, [])
    how += parted
    frame["split"] = frame["split"].astype(str) if "split" in frame else "test"
    unknown, remedy = ~frame["split"].isin(["train", "test", "unseen"]), "Use train, test or unseen (training text)."
    _refuse(unknown, frame["split"], "split", place, "is unknown", remedy)
    frame = _corpora(frame, chosen, place)
    frame, how = _steps(frame, given_run, place, how)
    size = frame.groupby("run")["parameters"].transform("first")
    several, remedy = np.abs(frame["parameters"] / size - 1) > SAME_SIZE, "Give each run a name of its own."
    _refuse(several, frame["run"], chosen.columns.get("run", "run"), place, "has rows of several sizes", remedy)
    return frame, how


def _parted(frame: pd.DataFrame, chosen: Chosen) -> tuple[pd.DataFrame, list[str]]:
    """The frame with a run for each size, dataset and seed of a name that has several of them; how, in lines."""
    told: list[str] = [word for word in ("parameters", "seed") if word in chosen.columns]
    told += [] if "step" in frame else ["dataset_tokens"]
    groups = [frame[word].to_numpy() for word in ("run", *told)]
    first = pd.Series(frame.index).groupby(groups, dropna=False).transform("first")
    several = first.groupby(groups[0]).transform("nunique") > 1
    if not several.any():
        return frame, []
    names = [f"{name} (row {row})" if part else name for name, row, part in zip(groups[0], first, several, strict=True)]
    column = chosen.columns["run"]
    each = " and ".join(told)
    how = f"run: each {each} of a name is a run, {len(set(names))} in all (for learning curves: --run '{column}')"
    return frame.assign(run=names), [how]


def _corpora(frame: pd.DataFrame, chosen: Chosen, place: str) -> pd.DataFrame:
    if "corpus" in chosen.columns:
        _filled(frame["corpus"], chosen.columns["corpus"], place)
    frame = frame.assign(corpus=frame["corpus"].astype(str) if "corpus" in frame else "held_out")
    corpora = list(frame["corpus"].unique())
    if len(corpora) > 1 and frame.duplicated(["run", "step"] if "step" in frame else ["run"]).sum() == 0:
        column = chosen.columns["corpus"]
        remedy = f"Fit each alone (--where \"{column} == '{corpora[0]}'\"), or give one row per run and corpus."
        names = ", ".join(corpora[:4])
        raise InputError(f"{place}: {column}", f"the table mixes {len(corpora)} corpora ({names})", remedy)
    sets = [str(name) for name in frame["train_corpus"].unique()] if "train_corpus" in frame else []
    if len(sets) > 1:
        _filled(frame["train_corpus"], chosen.columns["train_corpus"], place)
        column = chosen.columns["train_corpus"]
        remedy = f"Fit each alone: --where \"{column} == '{sets[0]}'\"."
        raise InputError(
            f"{place}: {column}", f"the runs were trained on {len(sets)} sets ({', '.join(sets[:4])})", remedy
        )
    return frame


def _steps(frame: pd.DataFrame, given_run: bool, place: str, how: list[str]) -> tuple[pd.DataFrame, list[str]]:
    key = ["run", "corpus", "split"]
    if "step" in frame:
        twice = frame.duplicated([*key, "step"])
        _refuse(twice, frame["run"], "run", place, "has a step twice", "Keep one row per run, step and corpus.")
        if frame[["run", "step"]].drop_duplicates()["run"].duplicated().any():
            how = [*how, "run: rows of one run are its learning curve, by their steps"]
        return frame, how
    twice = frame.duplicated(key)
    if given_run and twice.any() and not frame.duplicated([*key, "tokens"]).any():
        frame["step"] = frame.groupby(key)["tokens"].rank(method="dense")
        return frame, [*how, "run: rows of one run are its learning curve, in the order of their tokens"]
    remedy = "Keep one row, or add a column 'step'; for seeds of one model, give each its own name."
    _refuse(twice, frame["run"], "run", place, "appears twice", remedy)
    frame["step"] = 1
    return frame, how


def _observations(frame: pd.DataFrame, place: str) -> Observations:
    lost = diverged(frame)
    last = frame.groupby("run")["step"].transform("max")
    losses = pd.DataFrame(
        {
            **{name: frame[name] for name in ("run", "tokens", "flops", "corpus", "split", "loss")},
            **{name: frame[name] for name in EXTRA_LOSS_COLUMNS if name in frame},
            "step": frame["step"].astype("int64"),
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
        embedding_parameters=final.get("embedding_parameters", 0.0),
        d_model=final.get("width", 0),
        n_layer=final.get("depth", 0),
        train_corpus=main,
        dataset_tokens=final["dataset_tokens"],
        seed=final.get("seed", 0),
        batch_tokens=final.get("batch_tokens", 0.0),
        schedule="unknown",
        status=np.where(final["run"].isin(frame.loc[lost, "run"]), "diverged", "finished"),
        steps=final["step"].astype("int64"),
        result_step=final["step"].astype("int64"),
        tokens=final["tokens"],
        flops=final["flops"],
        flops_total=final["flops_given"],
        **{name: final[name] for name in EXTRA_RUN_COLUMNS if name in final},
    )
    return validated(losses, runs, place)


def _usable(observations: Observations, chosen: Chosen, place: str) -> None:
    """Refuse a table that holds no held-out loss, on the distribution trained on, of a run that did not diverge."""
    corpus = observations.train_corpus
    first, column = next(iter(chosen.losses.items()))
    tested = observations.losses[observations.losses["split"] == "test"]
    if tested.empty:
        remedy = "Laws are fitted to losses on held-out text: give rows of split test."
        raise InputError(f"{place}: {chosen.columns['split']}", "no row is of split test", remedy)
    if not (tested["corpus"] == corpus).any():
        problem = f"no row of split test is of '{corpus}', which was trained on"
        raise InputError(f"{place}: {chosen.columns['corpus']}", problem, "Give its held-out losses.")
    if first not in ("", corpus) or observations.results(corpus).empty:
        problem = f"no run ends with a loss that a law could be fitted to (a number, at most {FARTHEST_LOSS:g} nats)"
        raise InputError(f"{place}: {column}", problem, "Fill it in, or name another column with --loss.")


def _ours(table: pd.DataFrame, place: str) -> Observations:
    names = [name for name in (*RUN_COLUMNS, *EXTRA_RUN_COLUMNS) if name in table]
    runs = table[names].drop(columns=["tokens", "flops"], errors="ignore")
    runs = runs.assign(tokens=table["run_tokens"], flops=table["run_flops"]).drop_duplicates("run")
    losses = table[[name for name in (*LOSS_COLUMNS, *EXTRA_LOSS_COLUMNS) if name in table]]
    return validated(losses, runs, place)


def _filled(values: pd.Series, column: str, place: str) -> None:
    _refuse(values.isna(), values, column, place, "is missing", "Fill it in, or leave the row out (--where).")


def _refuse(
    bad: "pd.Series | np.ndarray", values: pd.Series, column: str, place: str, problem: str, remedy: str
) -> None:
    found = np.flatnonzero(bad)
    if len(found):
        row = int(found[0])
        raise InputError(f"{place}: row {values.index[row]}", f"{column} = {values.tolist()[row]!r} {problem}", remedy)
