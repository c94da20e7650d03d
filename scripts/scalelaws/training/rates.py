"""Learning rate, warm-up, batch size and β2 by published rules, which extrapolate where nobody measured."""

import math

from scalelaws.models.shapes import Shape


def peak_rate(rule: float | str | dict[str, float], shape: Shape, tokens: float, batch_tokens: int) -> float:
    """The peak learning rate that a rule of the configuration gives a shape that will process so many tokens.

    kaplan: 0.003239 − 0.0001395 ln N (Kaplan et al. 2020, equation D.1; N 768 to 1.5e9); below 0 from N 1.2e10 on.
    porian: 3.7 N^−0.36 (Porian et al. 2024, N 5e6 to 9e8, as Li et al. 2025 tabulate it).
    step_law: 1.79 N^−0.713 tokens^0.307 (Li et al. 2025, equation 1; N 6e7 to 1e9).
    {"times_width": x}: x/d_model (Yang et al. 2022: with Adam, a matrix's best rate falls as one over its input width).
    {"times_width": x, "at_batch_tokens": B}: that rate at a batch of B, and at others as the root of the batch (Malladi
    et al. 2022, the rule for Adam).
    """
    N = shape.parameters
    if isinstance(rule, dict):
        return rule["times_width"] / shape.d_model * math.sqrt(batch_tokens / rule.get("at_batch_tokens", batch_tokens))
    if rule == "kaplan":
        return 0.003239 - 0.0001395 * math.log(N)
    if rule == "porian":
        return 3.7 * N**-0.36
    if rule == "step_law":
        return 1.79 * N**-0.713 * tokens**0.307
    return float(rule)


def tokens_per_batch(rule: int | str, shape: Shape, tokens: float) -> int:
    """Tokens per update, a whole number of sequences, for a shape that will process about so many tokens.

    porian: 0.7576 N^0.703 (Porian et al. 2024, as Li et al. 2025 tabulate it).
    step_law: 0.58 tokens^0.571 (Li et al. 2025, equation 1).

    Their number is rounded to a multiple of a power of two, an eighth to a sixteenth of it, so that devices can share
    the batch and go through it in equal parts: this changes a batch of eight sequences or more by about 6% at most.
    """
    if not isinstance(rule, str):
        return rule
    best = 0.7576 * shape.parameters**0.703 if rule == "porian" else 0.58 * tokens**0.571
    count = best / shape.context
    unit = 2 ** max(0, int(math.log2(max(count, 1))) - 3)
    return max(1, round(count / unit)) * unit * shape.context


def warmup_steps(rule: int | dict[str, float], batch_tokens: int) -> int:
    """Updates in which the rate rises: as given, or as many as {"tokens": x} tokens take."""
    return round(rule["tokens"] / batch_tokens) if isinstance(rule, dict) else rule


def second_moment_decay(rule: float | dict[str, float], batch_tokens: int) -> float:
    """β2: as given, or with {"half_life_tokens": x} such that half is forgotten in x tokens.

    Marek et al. (2025) find the half-life in tokens, not β2, to be what serves every batch size.
    """
    return 0.5 ** (batch_tokens / rule["half_life_tokens"]) if isinstance(rule, dict) else rule
