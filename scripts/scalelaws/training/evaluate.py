"""Losses on fixed windows, with standard errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scalelaws.errors import InputError
from scalelaws.models.loss import token_losses
from scalelaws.tokens.store import TokenFile
from scalelaws.tokens.subset import subset, unseen_from, windows
from scalelaws.training import processes
from scalelaws.training.batches import seen_starts, sequences
from scalelaws.training.run import Run
from scalelaws.training.schedule import PASSING_STRIDE
from scalelaws.training.targets import NOTHING, asked_token_losses, count_asked
from scalelaws.units import bits_per_byte

WINDOW_SEED = 0
"""Windows are the same in every run of every study, so that differences between runs hold no sampling noise."""

LEAST_LOSS = 1e-6
"""Nats per token that a mean is at least: rounding in bfloat16 can bring that of text known by heart below zero. It
goes both ways, so single tokens keep what they have: were they cut off at zero, every mean would come out too high."""
UNSEEN = "unseen"
"""The split of training text that a run does not train on. Held-out text is other text, and not only by chance: of it
the documents were dropped that share much with the training text."""


@dataclass(frozen=True)
class EvaluationSet:
    """The fixed windows of one corpus and split."""

    corpus: str
    split: str
    inputs: np.ndarray
    """(windows, context) int64"""
    targets: np.ndarray
    """Those that are not to be predicted are NOTHING."""
    bytes_per_token: float | None
    """None where losses are of parts of texts, whose bytes nobody counted."""

    @property
    def asks_for_all(self) -> bool:
        """Whether every target is to be predicted."""
        return count_asked(self.targets) == self.targets.size

    def in_passing(self) -> "EvaluationSet":
        """The set with every third of its windows; all of them where a standard error would lack a second one."""
        chosen = slice(None, None, PASSING_STRIDE if len(self.inputs) > PASSING_STRIDE else 1)
        some = replace(self, inputs=self.inputs[chosen], targets=self.targets[chosen])
        return some if _has_error(some.targets) else self


def evaluation_sets(run: Run, tokens: Mapping[tuple[str, str], TokenFile], train_corpus: str) -> list[EvaluationSet]:
    """One set for each (corpus, split), and one of unseen training text where the run leaves some.

    Windows of the training split are sequences that the run has seen when it ends. Raises InputError where a file, or
    the run's subset, is too short for two windows.
    """
    sets = []
    for (corpus, split), file in tokens.items():
        trained_on = (corpus, split) == (train_corpus, "train")
        texts = _training_texts(run, file) if trained_on else {split: (file.ids, _spread(run, file, file.ids))}
        for name, (ids, starts) in texts.items():
            rows = sequences(ids, starts, run.context, run.shape.marks)
            bytes_per_token = None if run.shape.marks else file.bytes_per_token
            sets.append(EvaluationSet(corpus, name, *rows, bytes_per_token))
            if not _has_error(rows[1]):
                remedy = "Give this corpus more pairs, or raise training.evaluation_tokens."
                raise InputError(str(file.path), "fewer than two of its windows hold a token of a target", remedy)
    return sets


def _has_error(targets: np.ndarray) -> bool:
    """Whether a mean over what is asked for has a standard error: there are two windows."""
    return int((targets != NOTHING).any(1).sum()) > 1


def _training_texts(run: Run, file: TokenFile) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The ids, and where their windows start, of the text that a run sees and of that which it does not, if any."""
    ids = subset(file, run.stream_tokens or run.dataset_tokens)
    starts = seen_starts(len(ids), run.tokens, run.evaluation_tokens // run.context, run.context, run.seed)
    if len(starts) < 2:
        problem = f"{len(ids):,} tokens hold {len(starts)} sequences of {run.context}, and two are needed"
        raise InputError(str(file.path), problem, "Take larger subsets, or lower training.context.")
    tail = file.ids[unseen_from(file, run.evaluation_tokens) :]
    texts = {"train": (ids, starts)}
    if len(ids) + len(tail) <= file.tokens and len(tail) >= 2 * (run.context + 1):
        texts[UNSEEN] = tail, _spread(run, file, tail)
    return texts


def _spread(run: Run, file: TokenFile, ids: np.ndarray) -> np.ndarray:
    return windows(ids, run.evaluation_tokens, run.context, WINDOW_SEED, str(file.path))


def window_losses(
    chosen: EvaluationSet, hidden: Callable[[Tensor], Tensor], embedding: Tensor, sequences_at_once: int
) -> np.ndarray:
    """The cross-entropy of every token in nats, (windows, context) float32; zero where none is to be predicted.

    `hidden` maps ids (sequences_at_once, context) to hidden states; the last batch is padded to that size, so that a
    compiled function sees one shape only. Several processes (torchrun) share the windows.
    """
    windows, context = chosen.targets.shape
    losses_of = token_losses if chosen.asks_for_all else asked_token_losses
    losses = torch.zeros((windows, context), device=embedding.device)
    at_once = processes.count() * sequences_at_once
    for start in range(processes.rank() * sequences_at_once, -(-windows // at_once) * at_once, at_once):
        part = slice(start, start + sequences_at_once)
        inputs, targets = torch.from_numpy(chosen.inputs[part]), torch.from_numpy(chosen.targets[part])
        padded = torch.zeros((sequences_at_once, context), dtype=torch.int64)
        padded[: len(inputs)] = inputs
        states = hidden(padded.to(embedding.device)).detach()[: targets.numel()]
        if len(inputs):  # the last round may have none left for this process, which takes part all the same
            flat = losses_of(states, embedding.detach(), targets.flatten().to(embedding.device))
            losses[part] = flat.view(-1, context)
    return processes.sum_over_all(losses).cpu().numpy()


def summary(chosen: EvaluationSet, losses: np.ndarray) -> dict[str, float | str | None]:
    """Mean loss in nats per token, its standard error over windows, and bits per byte, of `window_losses`.

    Consecutive tokens are correlated, windows hardly: the error is theirs. There are no bits per byte of pairs.
    """
    if chosen.asks_for_all:
        means = losses.mean(1, dtype=np.float64)
        mean, error = means.mean(), means.std(ddof=1) / np.sqrt(len(means))
    else:
        mean, error = _ratio(losses.sum(1, dtype=np.float64), (chosen.targets != NOTHING).sum(1))
    loss = float(np.maximum(mean, LEAST_LOSS))
    return {
        "corpus": chosen.corpus,
        "split": chosen.split,
        "loss": loss,
        "loss_sem": float(error),
        "bits_per_byte": bits_per_byte(loss, chosen.bytes_per_token) if chosen.bytes_per_token else None,
    }


def _ratio(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """All sums over all counts of windows, and its standard error as of a ratio of means (Cochran 1977, chapter 2)."""
    ratio = sums.sum() / counts.sum()
    return ratio, (sums - ratio * counts).std(ddof=1) / np.sqrt(len(sums)) / counts.mean()


def losses_by_position(chosen: EvaluationSet, losses: np.ndarray) -> list[dict[str, float | str]]:
    """A row for every position in the context (1, 2, …): the mean of its `window_losses`, and its standard error.

    Of a position where fewer than two windows have a token to be predicted there is none.
    """
    if chosen.asks_for_all:
        means, errors = losses.mean(0, dtype=np.float64), losses.std(0, ddof=1, dtype=np.float64) / np.sqrt(len(losses))
        places = np.arange(1, len(means) + 1)
    else:
        asked = chosen.targets != NOTHING
        places = 1 + np.flatnonzero(asked.sum(0) > 1)
        columns = [losses[asked[:, place - 1], place - 1].astype(np.float64) for place in places]
        means = np.array([column.mean() for column in columns])
        errors = np.array([column.std(ddof=1) / np.sqrt(len(column)) for column in columns])
    means = np.maximum(means, LEAST_LOSS)
    named = {"corpus": chosen.corpus, "split": chosen.split}
    return [
        {**named, "position": int(place), "loss": float(loss), "loss_sem": float(sem)}
        for place, loss, sem in zip(places, means, errors, strict=True)
    ]
