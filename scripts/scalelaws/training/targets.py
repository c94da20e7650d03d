"""Which tokens a model of pairs is asked for, those of targets alone, and the losses of these.

Sources and targets both count as tokens wherever tokens are counted, for both are read; a mean loss is that of targets'
tokens, their end ids included.
"""

import numpy as np
import torch
from torch import Tensor

from scalelaws.models.encoder_decoder import layout
from scalelaws.models.loss import loss_and_gradients, token_losses

NOTHING = -1
"""In place of a target: what follows is not to be predicted."""
LOOKED_BACK = 4096
"""Ids of a stream that are looked through at a time."""


def asked_for(
    ids: np.ndarray, starts: np.ndarray, inputs: np.ndarray, targets: np.ndarray, marks: tuple[int, int]
) -> np.ndarray:
    """The targets (windows, context) of windows of a stream; NOTHING where what follows is of no pair's target.

    `marks`: separator and end_of_document. A window without either, whose own ids do not tell what it is of, is looked
    up in the stream before it; the stream is taken to begin with a source.
    """
    asked = layout(torch.from_numpy(inputs), *marks).in_target.numpy() & (inputs != marks[1])
    unmarked = np.flatnonzero(~np.isin(inputs, marks).any(1))
    asked[unmarked] = np.array([_ends_in_target(ids, start, marks) for start in starts[unmarked]], bool)[:, None]
    return np.where(asked, targets, NOTHING)


def _ends_in_target(ids: np.ndarray, end: int, marks: tuple[int, int]) -> bool:
    """Whether the last of the marks in ids[:end] is a separator."""
    for stop in range(end, 0, -LOOKED_BACK):
        piece = ids[max(stop - LOOKED_BACK, 0) : stop]
        found = piece[np.isin(piece, marks)]
        if len(found):
            return bool(found[-1] == marks[0])
    return False


def count_asked(targets: np.ndarray | Tensor) -> int:
    """How many tokens are asked for."""
    return int((targets != NOTHING).sum())


def asked_loss_and_gradients(
    h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, grad_w_VD: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """As `loss_and_gradients`, of the tokens that are asked for; the other rows of the gradient by h are zero."""
    asked = torch.nonzero(targets_N != NOTHING)[:, 0]
    grad_h = torch.zeros_like(h_ND)
    if not len(asked):
        return torch.zeros((), device=h_ND.device), grad_h
    loss, grad = loss_and_gradients(h_ND[asked], weight_VD, targets_N[asked], grad_w_VD, count)
    return loss, grad_h.index_copy_(0, asked, grad)


def asked_token_losses(h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """As `token_losses`, of the tokens that are asked for, and zero for the others."""
    asked = torch.nonzero(targets_N != NOTHING)[:, 0]
    losses = torch.zeros(len(h_ND), device=h_ND.device)
    if not len(asked):
        return losses
    return losses.index_copy_(0, asked, token_losses(h_ND[asked], weight_VD, targets_N[asked]))
