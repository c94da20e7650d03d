"""The training loop that everyone writes first, in plain PyTorch: what the engine is measured and checked against.

The same model as scalelaws.models.transformer, written apart from it: modules, fused attention as PyTorch has it, all
logits at once, its own AdamW and clipping. `dtype` bfloat16 and `compiled` make of it the loop that people tune.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from scalelaws.models.shapes import Shape
from scalelaws.models.transformer import initial_weights
from scalelaws.training.engine import LARGEST_GRADIENT
from scalelaws.training.optimizers import BETA1, EPSILON
from scalelaws.training.run import Run
from scalelaws.training.schedule import learning_rate
from torch import Tensor, nn

TOKENS_AT_ONCE = 65_536
"""Larger batches go through the model in parts, whose gradients add up: all their logits would not fit into a GPU."""


class Layer(nn.Module):
    """One layer: attention and feed-forward, normed before."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        D = shape.d_model
        self.heads, self.rotary = shape.n_head, shape.positions == "rotary"
        self.attention_in = nn.Linear(D, 3 * D, bias=False)
        self.attention_out = nn.Linear(D, D, bias=False)
        self.feed_forward_in = nn.Linear(D, 4 * D, bias=False)
        self.feed_forward_out = nn.Linear(4 * D, D, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        split = (B, T, self.heads, D // self.heads)
        q, k, v = (part.view(split).transpose(1, 2) for part in self.attention_in(_norm(x)).split(D, dim=2))
        if self.rotary:
            q, k = _turned(q), _turned(k)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attention_out(mixed.transpose(1, 2).reshape(B, T, D))
        return x + self.feed_forward_out(F.gelu(self.feed_forward_in(_norm(x)), approximate="tanh"))


class Model(nn.Module):
    """Token ids and targets -> mean loss."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(shape.vocabulary, shape.d_model)
        self.position_embedding = nn.Embedding(shape.context, shape.d_model) if shape.positions == "learned" else None
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.n_layer))

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.token_embedding(ids)
        if self.position_embedding is not None:
            x = x + self.position_embedding.weight[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x)
        logits = F.linear(_norm(x), self.token_embedding.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


class PlainLoop:
    """A run's model and optimizer; `update` makes one step, as Engine.update does."""

    def __init__(self, run: Run, dtype: torch.dtype = torch.float32, compiled: bool = False, device: str = "cpu"):
        self.run, self.dtype, self.device, self.step = run, dtype, torch.device(device), 0
        self.model = Model(run.shape)
        self.model.load_state_dict(_named_as_modules(initial_weights(run.shape, run.seed)))
        self.model.to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            betas=(BETA1, run.beta2),
            eps=EPSILON,
            weight_decay=run.weight_decay,
            fused=compiled or None,
        )
        self.forward = torch.compile(self.model, dynamic=False) if compiled else self.model

    def update(self, inputs: np.ndarray, targets: np.ndarray) -> float:
        """Make one update on a batch, (sequences, context) each; returns its mean loss in nats."""
        run = self.run
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, run.steps, run.learning_rate, run.schedule, run.warmup_steps)
        parts = -(-inputs.size // TOKENS_AT_ONCE)
        self.optimizer.zero_grad()
        total = 0.0
        for part in zip(*(np.split(ids, parts) for ids in (inputs, targets)), strict=True):
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                loss = self.forward(*(torch.from_numpy(ids).to(self.device) for ids in part)) / parts
            loss.backward()
            total += loss.detach()
        nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        return float(total)


def _norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], eps=1e-6)


def _turned(x: Tensor) -> Tensor:
    """Rotary positions as complex numbers: pair (i, i + K/2) of a head of size K turns by T·10000^(−2i/K)."""
    T, K = x.shape[-2:]
    places = torch.arange(T, device=x.device)[:, None]
    angles = places * 10_000.0 ** (-torch.arange(0, K, 2, device=x.device) / K)
    turned = torch.complex(*x.float().chunk(2, dim=-1)) * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([turned.real, turned.imag], dim=-1).to(x.dtype)


def _named_as_modules(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.weight": weight for name, weight in weights.items()}
