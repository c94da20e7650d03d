"""Which runs a budget of compute should buy, so that the law of N and D comes out sharpest: optimal design.

Before any run is made, a prior law says how its parameters would move ln L of each run (the Jacobian), and with that
how well any set of runs would determine what the law is for: the variance of a quantity with gradient g is
noise² · gᵀ(Σ J Jᵀ)⁻¹ g (Fedorov 1972). Chosen is the set that makes the geometric mean of the standard errors smallest,
on average over priors that differ (Chaloner & Verdinelli 1995), by exchanging one run for another while that helps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalelaws.errors import InputError
from scalelaws.laws.fitted import Laws
from scalelaws.laws.forms import FORMS
from scalelaws.models.shapes import Shape, shape_of
from scalelaws.units import training_flops

Array = npt.NDArray[np.float64]
Law = Mapping[str, float]
"""E, A, B, alpha and beta of L = E + A/N^α + B/D^β."""

CHINCHILLA: Law = {"E": 1.817218, "A": 477.826, "B": 2143.417, "alpha": 0.347310, "beta": 0.367172}
"""The law of the 240 Chinchilla runs (Besiroglu et al. 2024): what is believed where nothing is known."""
DOUBT = 0.2
"""Share by which each exponent of a prior law may be wrong, either way."""
QUANTITIES = ("E", "alpha", "beta", "a", "loss")
"""What a study is for: the floor, the exponents, the exponent of N_opt(C), and ln L at the target's optimum."""
PER_DECADE = 4
"""Candidates of N and of D in a decade: runs closer together than this would measure the same thing twice."""
RATIOS = (2.0, 500.0)
"""Tokens per parameter between which runs are considered: the law is not known to hold far outside."""
HIGHEST_LOSS = 7.0
"""Nats per token that the prior law may expect of a run: above, a model knows little more than how common words are."""
FEWEST = 5
"""Runs that determine a law of five parameters."""
STARTS = 8
NORMAL = 1.959964


@dataclass(frozen=True)
class Design:
    """Runs of sizes `parameters` on `tokens` fresh tokens each, as arrays (runs,)."""

    parameters: Array
    tokens: Array

    @property
    def flops(self) -> Array:
        """C = 6·N·D of each run."""
        return 6.0 * self.parameters * self.tokens

    @property
    def flops_total(self) -> Array:
        """The same with attention and output layer, as a plan counts it before it prices a run in hours."""
        sizes, which = np.unique(self.parameters, return_inverse=True)
        forward = np.array([_shape(size).forward_flops for size in sizes])
        return 3.0 * forward[which] * self.tokens


def best_design(
    budget: float,
    runs: int,
    target: float,
    sizes: tuple[float, float],
    most_tokens: float,
    law: Law | None = None,
    *,
    total: bool = False,
) -> Design:
    """The `runs` runs within `budget` FLOPs in all that make the errors of QUANTITIES smallest; deterministic.

    target: the budget in FLOPs of the run that the law is to predict. sizes: least and largest N. `law` is believed
    before, as far as DOUBT lets it. total: the budget also pays for attention and output layer, as hours do. Raises
    InputError if the budget does not buy so many different runs.
    """
    law = law or CHINCHILLA
    priors = doubted(law)
    cells = candidates(sizes, most_tokens, budget, law)
    cost = cells.flops_total if total else cells.flops
    order = np.argsort(cost)
    if len(order) < max(runs, FEWEST) or cost[order[:runs]].sum() > budget:
        raise InputError(
            "design",
            f"{budget:.3g} FLOPs buy fewer than {max(runs, FEWEST)} runs of N {sizes[0]:.3g} to {sizes[1]:.3g} that "
            f"the prior law expects below {HIGHEST_LOSS:g} nats",
            "Allow other sizes or fewer runs (at least 5), or give the laws of a smaller study of yours (--laws).",
        )
    jacobians = [jacobian(law, cells.parameters, cells.tokens, cells) for law in priors]
    gradients = [quantity_gradients(law, target, cells) for law in priors]
    rng = np.random.default_rng(0)
    found = []
    for start in range(STARTS):
        chosen = order[:runs] if start == 0 else _affordable(rng.permutation(order), order, cost, budget, runs)
        found.append(_exchanged(np.array(chosen), jacobians, gradients, cost, budget))
    best = min(found, key=lambda chosen: _badness(chosen, jacobians, gradients))
    best = best[np.lexsort((cells.tokens[best], cells.parameters[best]))]
    return Design(cells.parameters[best], cells.tokens[best])


def prior_of(laws: Laws, where: str) -> tuple[Law, float]:
    """The law of N and D that a study found, and the noise of its runs in ln L: what a larger study may believe."""
    law = laws.laws.get("loss_of_parameters_and_data_chinchilla")
    if law is None or not law.parameters:
        raise InputError(where, "holds no fitted law of N and D", "Fit loss_of_parameters_and_data_chinchilla.")
    used = law.data[law.data["used"]]
    residuals = np.log(used["observed"].to_numpy(float) / used["predicted"].to_numpy(float))
    return law.best, float(np.sqrt(np.square(residuals).sum() / max(len(residuals) - FEWEST, 1)))


def config_fragment(design: Design) -> str:
    """The design as the training section of a study: one size's row of the grid, and the others as its sweep."""
    rows: dict[str, list[str]] = {}
    for size in np.unique(design.parameters):
        tokens = ", ".join(f"{d:.3g}" for d in np.sort(design.tokens[design.parameters == size]))
        rows.setdefault(tokens, []).append(f"{size:.0f}")
    (first, sizes), *others = rows.items()
    lines = ["training:", f"  parameters: [{', '.join(sizes)}]", f"  dataset_tokens: [{first}]"]
    lines += [f"  max_tokens: {design.tokens.max() * 1.01:.3g}", "  max_epochs: 1"]
    lines += ["  sweep:"] if others else []
    lines += [f"    - {{parameters: [{', '.join(n)}], dataset_tokens: [{tokens}]}}" for tokens, n in others]
    return "\n".join(lines)


def plain_grid(budget: float, sides: tuple[int, int], spans: tuple[float, float], law: Law = CHINCHILLA) -> Design:
    """Every size with every subset, as a person lays it out: sides[0] sizes over a factor of spans[0], and so for D.

    The whole grid costs `budget`, and its centre has the tokens per parameter that the law finds best.
    """
    n, d = (span ** np.linspace(-0.5, 0.5, side) for side, span in zip(sides, spans, strict=True))
    centre = budget / (6 * n.sum() * d.sum())
    size, tokens = optimum(law, 6 * centre)
    return Design(np.repeat(n * size, len(d)), np.tile(d * tokens, len(n)))


def expected_errors(design: Design, law: Law, noise: float, target: float) -> dict[str, float]:
    """Half the width of the 95% interval of each of QUANTITIES (E's in nats), for runs with this noise in ln L."""
    j = jacobian(law, design.parameters, design.tokens, design)
    g = quantity_gradients(law, target, design)
    variances = np.einsum("qi,ij,qj->q", g, np.linalg.pinv(j.T @ j), g)
    return dict(zip(QUANTITIES, (NORMAL * noise * np.sqrt(variances)).tolist(), strict=True))


def doubted(law: Law) -> list[Law]:
    """The law, and laws with an exponent larger or smaller by DOUBT that agree with it where its terms are 1/3 nat."""
    found = [law]
    for exponent, scale in (("alpha", "A"), ("beta", "B")):
        for factor in (1 - DOUBT, 1 + DOUBT):
            x = (law[scale] * 3) ** (1 / law[exponent])
            found.append(
                {**law, exponent: law[exponent] * factor, scale: law[scale] * x ** (law[exponent] * (factor - 1))}
            )
    return found


def candidates(sizes: tuple[float, float], most_tokens: float, budget: float, law: Law) -> Design:
    """Every run worth considering: N of shapes that can be built, D in steps, within RATIOS and HIGHEST_LOSS."""
    targets = np.geomspace(*sizes, max(2, round(PER_DECADE * np.log10(sizes[1] / sizes[0])) + 1))
    n = np.unique([_shape(target).parameters for target in targets]).astype(float)
    least, largest = 0.8 * sizes[0], 1.25 * sizes[1]
    n = n[(n >= least) & (n <= largest)]
    steps = np.arange(np.floor(PER_DECADE * np.log10(RATIOS[0] * least)), PER_DECADE * np.log10(most_tokens) + 1e-9)
    d = 10 ** (steps / PER_DECADE)
    n, d = (axis.ravel() for axis in np.meshgrid(n, d, indexing="ij"))
    kept = _allowed(Design(n, d), law) & (training_flops(1, 1) * n * d <= budget)
    return Design(n[kept], d[kept])


def _shape(parameters: float) -> Shape:
    return shape_of(parameters, 1024, 50257)


def _allowed(design: Design, law: Law) -> npt.NDArray[np.bool_]:
    """Which runs are within RATIOS and HIGHEST_LOSS."""
    ratios = design.tokens / design.parameters
    loss = FORMS["chinchilla"].predict(law, {"parameters": design.parameters, "dataset_tokens": design.tokens})
    return (ratios >= RATIOS[0]) & (ratios <= RATIOS[1]) & (loss <= HIGHEST_LOSS)


def jacobian(law: Law, n: Array, d: Array, centre: Design) -> Array:
    """d ln L / d (E, ln A', ln B', α, β) at each run, (runs, 5); A' and B' are the terms at the centre of a design."""
    of_n, of_d = law["A"] * n ** -law["alpha"], law["B"] * d ** -law["beta"]
    log_n, log_d = np.log(n) - np.log(centre.parameters).mean(), np.log(d) - np.log(centre.tokens).mean()
    loss = FORMS["chinchilla"].predict(law, {"parameters": n, "dataset_tokens": d})
    return np.stack([np.ones_like(loss), of_n, of_d, -log_n * of_n, -log_d * of_d], axis=1) / loss[:, None]


def quantity_gradients(law: Law, target: float, centre: Design) -> Array:
    """Gradients of QUANTITIES by the parameters of `jacobian`, (5, 5)."""
    alpha, beta = law["alpha"], law["beta"]
    allocation = np.array([-beta, alpha]) / (alpha + beta) ** 2
    size, tokens = optimum(law, target)
    loss = jacobian(law, np.array([size]), np.array([tokens]), centre)[0]
    floor, first, second = np.eye(5)[[0, 3, 4]]
    return np.stack([floor, first, second, allocation[0] * first + allocation[1] * second, loss])


def optimum(law: Law, flops: float) -> tuple[float, float]:
    """N and D of the lowest loss at 6·N·D = flops (Hoffmann et al. 2022, equation 4)."""
    alpha, beta = law["alpha"], law["beta"]
    g = (alpha * law["A"] / (beta * law["B"])) ** (1 / (alpha + beta))
    size = g * (flops / 6) ** (beta / (alpha + beta))
    return size, flops / 6 / size


def _affordable(
    shuffled: npt.NDArray[np.intp], cheapest: npt.NDArray[np.intp], cost: Array, budget: float, runs: int
) -> list[int]:
    """A set of runs within the budget: the first of a random order that leave enough for the cheapest to fill it up."""
    chosen: list[int] = []
    for cell in shuffled:
        rest = [c for c in cheapest if c != cell and c not in chosen][: runs - len(chosen) - 1]
        if len(chosen) < runs and cost[chosen].sum() + cost[cell] + cost[rest].sum() <= budget:
            chosen.append(int(cell))
    return chosen


def _badness(chosen: npt.NDArray[np.intp], jacobians: Sequence[Array], gradients: Sequence[Array]) -> float:
    """Mean log variance of QUANTITIES, over priors."""
    variances = [
        np.einsum("qi,ij,qj->q", g, np.linalg.inv(_information(j[chosen])), g)
        for j, g in zip(jacobians, gradients, strict=True)
    ]
    return float(np.mean(np.log(variances)))


def _exchanged(
    chosen: npt.NDArray[np.intp], jacobians: Sequence[Array], gradients: Sequence[Array], cost: Array, budget: float
) -> npt.NDArray[np.intp]:
    """Fedorov's exchange: the best swap of a chosen run for another that can be paid, until none helps."""
    while True:
        now = _badness(chosen, jacobians, gradients)
        swaps = np.stack([_badness_with(np.delete(chosen, i), jacobians, gradients) for i in range(len(chosen))])
        paid = cost[chosen].sum() - cost[chosen][:, None] + cost[None, :] <= budget
        swaps[~paid] = np.inf
        swaps[:, chosen] = np.inf
        i, j = np.unravel_index(np.argmin(swaps), swaps.shape)
        if swaps[i, j] > now - 1e-9:
            return chosen
        chosen = chosen.copy()
        chosen[i] = j


def _badness_with(kept: npt.NDArray[np.intp], jacobians: Sequence[Array], gradients: Sequence[Array]) -> Array:
    """_badness of the kept runs with each candidate added (candidates,), by the rank-one update of the inverse."""
    total = np.zeros(len(jacobians[0]))
    for j, g in zip(jacobians, gradients, strict=True):
        inverse = np.linalg.inv(_information(j[kept]))
        along = j @ inverse
        variance = np.einsum("qi,ij,qj->q", g, inverse, g)
        gain = (along @ g.T) ** 2 / (1 + np.einsum("ci,ci->c", along, j))[:, None]
        total += np.log(np.maximum(variance - gain, 1e-300)).mean(axis=1)
    return total / len(jacobians)


def _information(j: Array) -> Array:
    return j.T @ j + 1e-10 * np.eye(j.shape[1])
