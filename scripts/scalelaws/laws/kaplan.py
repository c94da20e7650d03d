"""What follows from Kaplan et al.'s laws: batch-size adjustments, overfitting, stopping, and how to spend compute.

Steps S, batches B and datasets D in their own units; compute in any unit that the constants share. Arrays broadcast.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Number = TypeVar("Number", float, Array)


def critical_batch(loss: npt.ArrayLike, B_star: float, alpha_B: float) -> Array:
    """B_crit(L) = B_*/L^(1/α_B), in tokens (eq. 5.3)."""
    return B_star / np.power(loss, 1 / alpha_B)


def least_steps(steps: npt.ArrayLike, batch: npt.ArrayLike, critical: npt.ArrayLike) -> Array:
    """S_min: the steps that a batch far above critical would have needed for the same loss (eq. 5.4)."""
    return np.asarray(steps, float) / (1 + np.divide(critical, batch))


def least_flops(flops: npt.ArrayLike, batch: npt.ArrayLike, critical: npt.ArrayLike) -> Array:
    """C_min: the compute that a batch far below critical would have needed for the same loss (eq. 5.5)."""
    return np.asarray(flops, float) / (1 + np.divide(batch, critical))


def examples_for_steps(steps: npt.ArrayLike, least_steps: float, least_examples: float) -> Array:
    """E on the trade-off (S/S_min - 1)(E/E_min - 1) = 1 between steps and examples to one loss (eq. 5.1)."""
    return least_examples * (1 + 1 / (np.asarray(steps, float) / least_steps - 1))


def tradeoff(steps: npt.ArrayLike, examples: npt.ArrayLike) -> tuple[float, float]:
    """S_min and E_min of runs at several batch sizes that reached one loss in `steps` with `examples` (eq. 5.1).

    The trade-off is the line 1 = S_min/S + E_min/E, fitted by least squares. Critical batch size is E_min/S_min.
    """
    design = np.stack([1 / np.asarray(steps, float), 1 / np.asarray(examples, float)], axis=1)
    unit = design.max(axis=0)
    solved, *_ = np.linalg.lstsq(design / unit, np.ones(len(design)), rcond=None)
    return float(solved[0] / unit[0]), float(solved[1] / unit[1])


@dataclass(frozen=True)
class DataLaw:
    """L(N,D) = [(N_c/N)^(α_N/α_D) + D_c/D]^α_D (eq. 1.5)."""

    alpha_n: float | Array
    alpha_d: float | Array
    N_c: float | Array
    D_c: float | Array

    def loss(self, parameters: npt.ArrayLike, dataset_tokens: npt.ArrayLike) -> Array:
        """Loss in nats per token; an infinite dataset is allowed."""
        size = np.power(self.N_c / np.asarray(parameters, float), self.alpha_n / self.alpha_d)
        return np.asarray((size + self.D_c / np.asarray(dataset_tokens, float)) ** self.alpha_d)

    def overfitting(self, parameters: npt.ArrayLike, dataset_tokens: npt.ArrayLike) -> Array:
        """δL = L(N,D)/L(N,∞) - 1 (eq. 4.2 and 4.3)."""
        return self.loss(parameters, dataset_tokens) / self.loss(parameters, np.inf) - 1

    def enough_data(self, parameters: npt.ArrayLike, overfitting: float = 0.02) -> Array:
        """D at which δL falls to `overfitting`, by default the noise between seeds (eq. 4.4)."""
        size = np.power(np.asarray(parameters, float) / self.N_c, self.alpha_n / self.alpha_d)
        return np.asarray(self.D_c * size / ((1 + overfitting) ** (1 / self.alpha_d) - 1))

    def earliest_stop(
        self, parameters: npt.ArrayLike, dataset_tokens: npt.ArrayLike, S_c: float, alpha_S: float
    ) -> Array:
        """Lower bound of the early-stopping step, S_c / [L(N,D) - L(N,∞)]^(1/α_S) (eq. 5.7)."""
        above = self.loss(parameters, dataset_tokens) - self.loss(parameters, np.inf)
        return np.asarray(S_c / above ** (1 / alpha_S))


def compute_exponents(alpha_N: Number, alpha_S: Number, alpha_B: Number) -> dict[str, Number]:
    """Exponents in C_min of loss, N, B, S and D = B·S that follow from L(N, S_min) and B_crit(L) (eq. 6.2 to 6.4)."""
    alpha_C = 1 / (1 / alpha_S + 1 / alpha_B + 1 / alpha_N)
    batch, steps = alpha_C / alpha_B, alpha_C / alpha_S
    return {
        "loss": alpha_C,
        "parameters": alpha_C / alpha_N,
        "batch_tokens": batch,
        "steps": steps,
        "dataset_tokens": batch + steps,
    }


def efficient_excess(alpha_N: Number, alpha_S: Number) -> Number:
    """How far above its converged loss a compute-efficient run stops, α_N/α_S (eq. B.5): about 10%."""
    return alpha_N / alpha_S


def cost_of_size(ratio: npt.ArrayLike, alpha_N: float | Array, alpha_S: float | Array) -> Array:
    """Compute to reach a loss with a model `ratio` times the best size, over the least compute (eq. B.7)."""
    ratio = np.asarray(ratio, float)
    inner = 1 + (alpha_S / alpha_N) * (1 - ratio**-alpha_N)
    return ratio * np.where(inner > 0, inner, np.nan) ** (-1 / alpha_S)


def contradiction(
    compute_law: tuple[Number, Number], data_law: tuple[Number, Number], data_growth: tuple[Number, Number]
) -> tuple[Number, Number]:
    """Compute and loss where L(C_min) would fall below L(D) (section 6.3).

    Laws as (exponent, constant): L = (C_c/C)^α_C, L = (D_c/D)^α_D; data_growth as (exponent, factor): D = k·C^p.
    """
    (alpha_C, C_c), (alpha_D, D_c), (growth, factor) = compute_law, data_law, data_growth
    log_c = (alpha_C * np.log(C_c) - alpha_D * np.log(D_c / factor)) / (alpha_C - alpha_D * growth)
    return np.exp(log_c), np.exp(alpha_C * (np.log(C_c) - log_c))
