"""Losses on fixed windows, with standard errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalelaws.models.loss import token_losses
from scalelaws.tokens.store import TokenFile
from scalelaws.tokens.subset import subset, windows
from scalelaws.training.batches import sequences
from scalelaws.training.run import Run
from scalelaws.units import bits_per_byte

WINDOW_SEED = 0
"""Windows are the same in every run of every study, so that differences between runs hold no sampling noise."""


@dataclass(frozen=True)
class EvaluationSet:
    """The fixed windows of one corpus and split."""

    corpus: str
    split: str
    inputs: np.ndarray
    """(windows, context) int64"""
    targets: np.ndarray
    bytes_per_token: float


def evaluation_sets(run: Run, tokens: Mapping[tuple[str, str], TokenFile], train_corpus: str) -> list[EvaluationSet]:
    """One set for each (corpus, split); the training split's windows lie inside the run's own subset."""
    sets = []
    for (corpus, split), file in tokens.items():
        ids = subset(file, run.dataset_tokens) if (corpus, split) == (train_corpus, "train") else file.ids
        starts = windows(ids, run.evaluation_tokens, run.context, WINDOW_SEED, str(file.path))
        sets.append(EvaluationSet(corpus, split, *sequences(ids, starts, run.context), file.bytes_per_token))
    return sets


def evaluate(
    chosen: EvaluationSet, hidden: Callable[[Tensor], Tensor], embedding: Tensor, sequences_at_once: int
) -> dict[str, float | str]:
    """Mean loss in nats per token, its standard error over windows, and bits per byte.

    `hidden` maps ids (sequences_at_once, context) to hidden states; the last batch is padded to that size, so that a
    compiled function sees one shape only. Consecutive tokens are correlated, windows hardly: the error is theirs.
    """
    means = []
    for start in range(0, len(chosen.inputs), sequences_at_once):
        inputs = torch.from_numpy(chosen.inputs[start : start + sequences_at_once])
        targets = torch.from_numpy(chosen.targets[start : start + sequences_at_once])
        present = len(inputs)
        padded = torch.zeros((sequences_at_once, inputs.shape[1]), dtype=torch.int64)
        padded[:present] = inputs
        states = hidden(padded.to(embedding.device)).detach()[: targets.numel()]
        losses = token_losses(states, embedding.detach(), targets.flatten().to(embedding.device))
        means.append(losses.view(present, -1).double().mean(1).cpu())
    window_means = torch.cat(means).numpy()
    loss = float(window_means.mean())
    return {
        "corpus": chosen.corpus,
        "split": chosen.split,
        "loss": loss,
        "loss_sem": float(window_means.std(ddof=1) / np.sqrt(len(window_means))),
        "bits_per_byte": bits_per_byte(loss, chosen.bytes_per_token),
    }
