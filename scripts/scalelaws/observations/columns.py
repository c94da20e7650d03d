"""Which column of a foreign table holds what, by its usual names."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from scalelaws.errors import InputError

USUAL = {
    "parameters": "parameters params n nparams numparams numparameters modelsize modelparameters modelparams size "
    "paramsactiveprecise denseparametercount",
    "total_parameters": "totalparameters totalparams paramstotal parameterstotal parameterswithembeddings",
    "embedding_parameters": "embeddingparameters embeddingparams paramsembedding parametersembedding",
    "dataset_tokens": "datasettokens uniquetokens uniquetokensud d tokens ntokens numtokens trainingtokens traintokens "
    "tokenstotald data",
    "tokens": "tokens totaltokens tokenstotal tokenstotald processedtokens tokensseen",
    "flops": "flops flop c compute trainingflop trainingflops trainflops totalflops",
    "run": "run runname name id model modelname runid",
    "corpus": "corpus evalset evaluation evalcorpus dataset domain",
    "train_corpus": "traincorpus trainset trainingset trainingcorpus traindata",
    "split": "split",
    "step": "step steps",
    "seed": "seed",
    "batch_tokens": "batchtokens batchsizetokens tokensperbatch",
    "noise_scale": "noisescale gradientnoisescale noisescaletokens",
    "width": "width dmodel hiddensize nembd",
    "depth": "depth nlayer nlayers numlayers",
    "encoder_parameters": "encoderparameters encoderparams nencoder",
    "decoder_parameters": "decoderparameters decoderparams ndecoder",
}
NAMES = {word: names.split() for word, names in USUAL.items()}
"""Usual names of each column but the loss, best first, in lower case without marks between words."""
LOSSES = ("loss", "validationloss", "valloss", "testloss", "evalloss", "finalloss", "heldoutloss", "l", "crossentropy")
RUNS = ("run", "runname", "runid")
"""Names of columns whose rows of one value are one run; the others of `run` may name models."""
NEEDED = ("parameters", "dataset_tokens", "flops")
SIZES = ("width", "depth", "encoder_parameters", "decoder_parameters")
WITH_EMBEDDINGS = ("total_parameters", "embedding_parameters")
"""Either of them tells embeddings; total_parameters alone stands in for parameters, which do not count these."""
NUMBERS: tuple[str, ...] = (*NEEDED, *WITH_EMBEDDINGS, "tokens", "step", "batch_tokens", "noise_scale", *SIZES)
BITS = re.compile(r"bits|bpb|bpc|bpt", re.IGNORECASE)
PERPLEXITY = re.compile(r"perplexity|ppl", re.IGNORECASE)
NOT_A_LOSS = {"sem", "se", "stderr", "std", "lo95", "hi95", "low", "high", "err", "error", "delta", "scale"}
NOT_A_CORPUS = {"train", "training", "mean", "min", "max"}
"""Words after loss_ that tell which loss of one corpus it is."""
HELD_OUT = {"val", "valid", "validation", "test", "eval"}
"""Words after loss_ that name a corpus only beside other corpora."""
SEED = re.compile(r"(seed|run|repeat)_?\d+")
LIKELIEST = ("final", "validation", "valid", "val", "test", "heldout", "eval")
"""Words that, in this order, tell the loss that is meant among several columns of losses."""


@dataclass(frozen=True)
class Chosen:
    """`columns` by word; `losses` by corpus, the training distribution's first, or one under "" if rows name theirs.

    models: whether the column of `run` was found by a name under which tables name models too.
    """

    columns: dict[str, str]
    losses: dict[str, str]
    models: bool

    def lines(self, others: Sequence[str]) -> list[str]:
        """How each column was read, one line each; `others` are further columns of losses."""
        lines = [f"{word}: {_said(self.columns[word])}" for word in NAMES if word in self.columns]
        for corpus, column in self.losses.items():
            lines.append(f"loss on {corpus}: column '{column}'" if corpus else f"loss: column '{column}'")
        unused = [column for column in others if column not in self.losses.values()]
        return [*lines, f"not read as the loss: {', '.join(unused)} (name another with --loss)"] if unused else lines


def choose(table: pd.DataFrame, named: Mapping[str, str], units: Mapping[str, float], where: str) -> Chosen:
    """The columns to read, `named` ones as they are.

    Raises InputError where one that is needed or has one of the `units` cannot be found.
    """
    _known(named, (*NAMES, "loss"), f"{where}: columns")
    for word, column in named.items():
        if column not in table:
            raise InputError(where, f"there is no column '{column}' for {word}", f"It has: {', '.join(table)}.")
    plain = {_plain(column): str(column) for column in reversed(list(table))}
    columns = {word: column for word, column in named.items() if word != "loss"}
    for word, names in NAMES.items():
        free = [plain[name] for name in names if name in plain and plain[name] not in columns.values()]
        if word not in columns and free:
            columns[word] = free[0]
    _known(units, (*NUMBERS, "loss"), f"{where}: units")
    for word in units.keys() - columns.keys() - {"loss"}:
        raise InputError(f"{where}: units", f"the table has no column of {word}", "Leave its unit out.")
    losses = _losses(table, plain, named.get("loss"), units, where)
    sized = columns.keys() | ({"parameters"} if "total_parameters" in columns else set())
    if sum(word in sized for word in NEEDED) < 2:
        missing = ", ".join(word for word in NEEDED if word not in sized)
        raise InputError(where, f"no columns found for {missing}", "Name two of --parameters, --tokens and --flops.")
    models = "run" in columns.keys() - named.keys() and _plain(columns["run"]) not in RUNS
    return Chosen(columns, losses, models)


def _known(words: Iterable[str], known: Sequence[str], where: str) -> None:
    for word in words:
        if word not in known:
            close = difflib.get_close_matches(word, known, n=1)
            remedy = f"Did you mean '{close[0]}'?" if close else f"Known words: {', '.join(known)}."
            raise InputError(where, f"unknown word '{word}'", remedy)


def loss_columns(table: pd.DataFrame) -> list[str]:
    """All columns that hold a loss in nats, by their names."""
    words = {str(column): re.split(r"[^a-z0-9]+", str(column).lower()) for column in table}
    return [
        column
        for column, parts in words.items()
        if any(part.endswith("loss") for part in parts)
        and not NOT_A_LOSS & set(parts)
        and not _conversion(column)
        and pd.api.types.is_numeric_dtype(table[column])
    ]


def _losses(
    table: pd.DataFrame, plain: Mapping[str, str], named: str | None, units: Mapping[str, float], where: str
) -> dict[str, str]:
    found = loss_columns(table)
    exact = [plain[name] for name in LOSSES if name in plain]
    matrix = _matrix(found)
    if named in matrix.values() or (named is None and matrix and exact in ([], [plain.get("l")])):
        first = named or min(matrix.values(), key=_rank)
        return dict(sorted(matrix.items(), key=lambda item: item[1] != first))
    if named is None:
        candidates = exact or sorted(found, key=_rank)
        if not candidates:
            other = next((str(column) for column in table if _conversion(str(column))), None)
            remedy = f"'{other}' is not in nats per token. {_conversion(other)}" if other else ""
            raise InputError(where, "no column holds the loss", remedy or "Name it with --loss.")
        named = candidates[0]
        if SEED.fullmatch(_after_loss(named)):
            remedy = "Give one row per seed and a column 'seed', or name one with --loss."
            raise InputError(f"{where}: {named}", "a column is the loss of one seed", remedy)
    if _conversion(named) and (PERPLEXITY.search(named) or "loss" not in units):
        raise InputError(f"{where}: {named}", "not in nats per token", _conversion(named))
    return {"": named}


def _conversion(column: str) -> str:
    """How a column whose name says that it is not in nats per token becomes so; empty for all others."""
    if PERPLEXITY.search(column):
        return "Convert it: nats per token = ln(perplexity)."
    if BITS.search(column):
        return f"If it is in bits per token, give --loss '{column}' --unit loss=0.6931 (nats = bits · ln 2)."
    return ""


def _matrix(found: Sequence[str]) -> dict[str, str]:
    """The columns loss_<corpus> by corpus, none where fewer than two tell corpora apart."""
    named = {_after_loss(column): column for column in found if column.lower().startswith("loss_")}
    corpora = {
        corpus: column for corpus, column in named.items() if corpus not in NOT_A_CORPUS and not SEED.fullmatch(corpus)
    }
    return corpora if len(corpora) > 1 and corpora.keys() - HELD_OUT else {}


def _after_loss(column: str) -> str:
    return column.lower().removeprefix("loss_")


def _rank(column: str) -> int:
    parts = re.split(r"[^a-z0-9]+", column.lower())
    if {"train", "training"} & set(parts):
        return len(LIKELIEST) + 1
    return next((place for place, word in enumerate(LIKELIEST) if word in parts), len(LIKELIEST))


def _said(column: str) -> str:
    try:
        return f"{float(column):g} in every row"
    except ValueError:
        return f"column '{column}'"


def _plain(column: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(column).lower())
