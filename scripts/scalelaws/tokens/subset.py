"""Which tokens a run trains on, and on which a loss is evaluated. Nothing is copied: both view one token file."""

import numpy as np

from scalelaws.errors import InputError
from scalelaws.tokens.store import TokenFile

UNSEEN_SPREAD = 100
"""Windows of unseen training text lie in this many times as many tokens: far enough apart to be of many documents."""


def subset(file: TokenFile, dataset_tokens: int) -> np.ndarray:
    """The first `dataset_tokens` ids of a token file: a read-only view, (D,) uint16 or uint32.

    Documents stand in one seeded order, so each subset is a random sample of documents and holds every smaller one.
    Raises InputError if the file has fewer tokens.
    """
    if not 1 <= dataset_tokens <= file.tokens:
        raise InputError(
            "config: training.dataset_tokens",
            f"{dataset_tokens:,} tokens are asked for, but {file.path} holds {file.tokens:,}",
            f"Choose from 1 to {file.tokens:,}, or add sources to the training corpus.",
        )
    return file.ids[:dataset_tokens]


def unseen_from(file: TokenFile, evaluation_tokens: int) -> int:
    """Where the text begins that stands for training text which a run has not seen: the end of the training tokens.

    It is a tenth of them at most, and UNSEEN_SPREAD times what is evaluated; whoever trains on it has no such text.
    """
    return file.tokens - min(file.tokens // 10, UNSEEN_SPREAD * evaluation_tokens)


def windows(ids: np.ndarray, tokens: int, context: int, seed: int, where: str = "evaluation") -> np.ndarray:
    """Where the fixed evaluation windows of `context` predictions each start: (windows,) int64, ascending.

    Window i is ids[start : start + context + 1]. There are tokens // context of them, or as many as fit. The ids are
    cut into that many equal strips and each strip holds one window at a seeded place, so windows never overlap and the
    whole file is seen evenly. Raises InputError, naming `where`, if fewer than two fit: a standard error needs two.
    """
    span = context + 1
    count = min(tokens // context, len(ids) // span)
    if count < 2:
        raise InputError(
            where,
            f"{min(tokens, len(ids)):,} of its {len(ids):,} tokens hold {count} windows of {span}, and two are needed",
            "Give this corpus more text, lower training.context, or raise training.evaluation_tokens.",
        )
    edges = np.arange(count + 1, dtype=np.int64) * len(ids) // count
    slack = edges[1:] - edges[:-1] - span
    return edges[:-1] + np.random.default_rng(seed).integers(0, slack + 1)
