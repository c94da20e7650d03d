"""How to split compute between parameters and tokens: the three approaches of Hoffmann et al. 2022, section 3."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalelaws.laws.curves import BUDGETS_PER_DECADE, Profiles, lowest_sizes, unbiased
from scalelaws.laws.fitted import DETERMINED, UNDETERMINED, Allocation, Estimate, FittedLaw
from scalelaws.laws.form import bounded_exp
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.starts import refit, solve
from scalelaws.laws.uncertainty import interval, student

Array = npt.NDArray[np.float64]
Optima = tuple[Array, Array, npt.NDArray[np.bool_]]
"""ln C, ln N and whether it is used, (R, G) each."""
BEYOND = 3
TITLES = {
    "envelope": "Envelope of learning curves",
    "isoflop": "IsoFLOP minima",
    "parametric": "Parametric law",
}
SOURCES = {
    "envelope": "Hoffmann et al. 2022, approach 1",
    "isoflop": "Hoffmann et al. 2022, approach 2",
    "parametric": "Hoffmann et al. 2022, approach 3 and eq. 4",
}
ISOFLOPS_PER_DECADE = 6
"""One of every four budgets of the profiles: closer minima come from the same evaluations and say nothing new."""
WINDOW = 2
"""A parabola is fitted to the lowest size and this many on either side: through a whole curve it is biased."""
FEWEST_OPTIMA = {"envelope": 2, "isoflop": 3}
"""Two changes of the best size are those between three sizes."""
MANY_SIZES = 8
"""So many best sizes are near enough to one another that their steps do not matter."""
FEWEST_BUDGETS = 2
FEWEST_FOR_FLOOR = 6
WIDEST_EXPONENT = 0.5
EMPTY_PROFILES = pd.DataFrame({"flops": [], "parameters": [], "loss": [], "used": []})
EMPTY_PARABOLAS = pd.DataFrame(
    {"flops": [], "curvature": [], "log_parameters": [], "loss": [], "low": [], "high": [], "reason": []}
)


def envelope(profiles: Profiles, resamples: int, seed: int, *, floor: bool = True) -> Allocation:
    """Approach 1: N_opt and D_opt as powers of C through the sizes with the lowest loss at each budget.

    Few sizes make steps of these, through which a line depends on where the budgets end: of six sizes it is 0.05 too
    steep, and its intervals hold the truth in four of ten studies. Below MANY_SIZES it goes through the budgets at
    which the best size gives way to another instead, where both do equally well, and N_opt lies midway between them.
    The lowest loss falls as a power of C, to a `floor` unless it is to have none. Budgets count whose best size has
    both smaller and larger rivals.
    """
    log_c, log_n = np.log(profiles.flops), np.log(profiles.parameters)
    best, lowest, inside = lowest_sizes(profiles.log_loss)
    redrawn = profiles.redrawn(resamples, seed)
    best_r, lowest_r, inside_r = lowest_sizes(redrawn)
    few = len(np.unique(best[inside])) < MANY_SIZES
    optima: Optima = (log_c[None], log_n[best][None], inside[None])
    optima_r: Optima = (np.broadcast_to(log_c, best_r.shape), log_n[best_r], inside_r)
    if few:
        optima, optima_r = (_changes(loss, log_c, log_n) for loss in (profiles.log_loss[None], redrawn))
    where, size, used = (values[0] for values in optima)
    heights = np.interp(where, log_c[inside], lowest[inside]) if few and inside.any() else lowest[: len(where)]
    points = _points(np.exp(where), size, heights, used, "the best size has no smaller or no larger rival")
    if few:
        points = points[points["used"]]
    lowest, lowest_r = unbiased(lowest, lowest_r)
    line, draws = np.empty((0, 7)), np.empty((0, 7))
    if min(used.sum(), inside.sum()) >= FEWEST_BUDGETS:
        enough = (optima_r[2].sum(axis=1) >= FEWEST_BUDGETS) & (inside_r.sum(axis=1) >= FEWEST_BUDGETS)
        kept = lowest_r[enough], inside_r[enough]
        line = _lines(optima, log_c, lowest[None], inside[None])
        draws = _lines((optima_r[0][enough], optima_r[1][enough], optima_r[2][enough]), log_c, *kept)
        if floor:
            line, draws = _to_a_floor(profiles.flops, (lowest, inside), kept, line, draws)
    freedom = None if few else max(int(used.sum()) - 2, 1)
    bends = _bends(*optima), _bends(*optima_r)
    return _allocation("envelope", line, draws, points, [], bends=bends, freedom=freedom)


def _changes(log_loss: Array, log_c: Array, log_n: Array) -> Optima:
    """Where the best size of ln losses (R, S, G) changes from one budget to the next, both trained at both of them.

    ln C at which the two do equally well, the mean of their ln N, and whether there is a change: (R, G-1) each.
    """
    best = np.where(np.isfinite(log_loss), log_loss, np.inf).argmin(axis=1)
    before, after = best[:, None, :-1], best[:, None, 1:]
    ahead = [
        (np.take_along_axis(part, before, axis=1) - np.take_along_axis(part, after, axis=1))[:, 0]
        for part in (log_loss[:, :, :-1], log_loss[:, :, 1:])
    ]
    used = (before != after)[:, 0] & np.isfinite(ahead[0]) & np.isfinite(ahead[1]) & (ahead[1] > ahead[0])
    share = np.where(used, -ahead[0], 0.0) / np.where(used, ahead[1] - ahead[0], 1.0)
    return log_c[:-1] + share * np.diff(log_c), (log_n[before] + log_n[after])[:, 0] / 2, used


def isoflop(profiles: Profiles, resamples: int, seed: int) -> Allocation:
    """Approach 2: a parabola in ln N through the sizes around each budget's lowest loss, then its minima against C.

    A minimum at the edge of the sizes, or a curve that is not convex, is refused and named.
    """
    chosen = slice(None, None, max(1, round(BUDGETS_PER_DECADE / ISOFLOPS_PER_DECADE)))
    flops, log_loss = profiles.flops[chosen], profiles.log_loss[:, chosen]
    log_n = np.log(profiles.parameters)
    centre, height, curvature, window, reason = parabolas(log_n, log_loss[None])
    accepted = reason[0] == ""
    points = _points(flops, np.where(accepted, centre[0], 0.0), height[0], accepted, "")
    points["reason"] = reason[0]
    points = points[reason[0] != MISSING]
    redrawn = profiles.redrawn(resamples, seed)[:, :, chosen]
    centre_r, height_r, _, _, reason_r = parabolas(log_n, redrawn)
    lowest, height_r = unbiased(height[0], np.where(reason_r == "", height_r, height))
    log_c = np.log(flops)
    optima, optima_r = (
        (np.broadcast_to(log_c, centres.shape), centres, why == "")
        for centres, why in ((centre, reason), (centre_r, reason_r))
    )
    line, draws = np.empty((0, 7)), np.empty((0, 7))
    if accepted.sum() >= FEWEST_BUDGETS:
        enough = optima_r[2].sum(axis=1) >= FEWEST_BUDGETS
        kept = tuple(values[enough] for values in optima_r)
        line = _lines(optima, log_c, lowest[None], accepted[None])
        draws = _lines(kept, log_c, height_r[enough], kept[2])
        line, draws = _to_a_floor(flops, (lowest, accepted), (height_r[enough], kept[2]), line, draws)
    present = np.isfinite(log_loss) & (reason[0] != MISSING)
    size, budget = np.nonzero(present)
    table = pd.DataFrame(
        {
            "flops": flops[budget],
            "parameters": profiles.parameters[size],
            "loss": np.exp(log_loss[size, budget]),
            "used": (window[0].T[size, budget]) & accepted[budget],
        }
    ).sort_values(["flops", "parameters"], ignore_index=True)
    fits = pd.DataFrame(
        {
            "flops": flops,
            "curvature": curvature[0],
            "log_parameters": centre[0],
            "loss": np.exp(height[0]),
            "low": np.exp(np.min(np.where(window[0], log_n, np.inf), axis=1, initial=700.0)),
            "high": np.exp(np.max(np.where(window[0], log_n, -np.inf), axis=1, initial=-700.0)),
            "reason": reason[0],
        }
    )
    fits = fits[accepted | (reason[0] == FLAT)].reset_index(drop=True)
    refused = points.loc[~points["used"], "reason"].value_counts()
    notes = [f"{count} of {len(points)} budgets refused: {why}" for why, count in refused.items()]
    bends = _bends(*optima), _bends(*optima_r)
    freedom = max(int(accepted.sum()) - 2, 1)
    allocation = _allocation("isoflop", line, draws, points, [], table, fits, bends, freedom)
    allocation.messages.extend(notes)
    return allocation


def parametric(law: FittedLaw, budgets: tuple[float, float]) -> Allocation:
    """Approach 3: the closed-form optimum of L = E + A/N^α + B/D^β at C = 6ND, between two budgets of the data."""
    if not law.parameters:
        return _allocation("parametric", np.empty((0, 7)), np.empty((0, 7)), _no_points(), law.messages)
    names = list(law.parameters)
    everything = np.vstack([list(law.best.values()), law.draws])
    positive = np.all(everything[:, [names.index("alpha"), names.index("beta")]] > 0, axis=1)
    if not positive[0]:
        return _allocation("parametric", np.empty((0, 7)), np.empty((0, 7)), _no_points(), law.messages)
    lines = _optimum(dict(zip(names, everything[positive].T, strict=True)))
    flops = np.geomspace(*budgets, 12)
    log_n, log_d = lines[0, 0] + lines[0, 1] * np.log(flops), lines[0, 2] + lines[0, 3] * np.log(flops)
    points = _no_points().assign(flops=flops, parameters=np.exp(log_n), tokens=np.exp(log_d))
    points["loss"] = law.predict(parameters=points["parameters"], dataset_tokens=points["tokens"])
    points["used"], points["reason"] = False, "on the fitted law"
    reasons = law.messages if law.status == UNDETERMINED else []
    return _allocation("parametric", lines[:1], lines[1:], points, reasons)


MISSING = "fewer than three sizes"
EDGE = "the lowest loss is at the edge of the sizes"
FLAT = "the curve is not convex, or its minimum lies outside its window"
WIDEST_STEP = 4.0
BETWEEN = f"the minimum lies between sizes more than {WIDEST_STEP:g} times apart"


def parabolas(log_n: Array, log_loss: Array) -> tuple[Array, Array, Array, npt.NDArray[np.bool_], npt.NDArray[np.str_]]:
    """Local parabolas through ln losses (R, S, G): minimum in ln N, its ln loss, curvature, window, reason for refusal.

    Shapes (R, G), but window (R, G, S). Refused minima have centre, height and curvature 0 where they have none.
    """
    y = np.moveaxis(log_loss, 1, 2)
    present = np.isfinite(y)
    filled = np.where(present, y, np.inf)
    best = filled.argmin(axis=2, keepdims=True)
    rank = np.cumsum(present, axis=2)
    window = present & (np.abs(rank - np.take_along_axis(rank, best, axis=2)) <= WINDOW)
    x = log_n - log_n[best[..., 0]][..., None]
    powers = np.stack([np.ones_like(x), x, x * x], axis=-1)
    weighted = powers * window[..., None]
    gram = np.einsum("rgsi,rgsj->rgij", weighted, powers)
    right = np.einsum("rgsi,rgs->rgi", weighted, np.where(present, y, 0.0))
    enough = window.sum(axis=2) >= 3
    gram[~enough] = np.eye(3)
    c0, c1, c2 = np.moveaxis(np.linalg.solve(gram, right[..., None])[..., 0], -1, 0)
    convex = enough & (c2 > 0)
    shift = np.where(convex, -c1 / np.where(convex, 2 * c2, 1.0), 0.0)
    inside = (shift >= np.where(window, x, np.inf).min(axis=2)) & (shift <= np.where(window, x, -np.inf).max(axis=2))
    last = rank[..., -1:]
    edge = np.take_along_axis((rank == 1) | (rank == last), best, axis=2)[..., 0]
    below = np.where(window & (x <= shift[..., None]), x, -np.inf).max(axis=2)
    above = np.where(window & (x >= shift[..., None]), x, np.inf).min(axis=2)
    apart = inside & (np.where(inside, above, 0.0) - np.where(inside, below, 0.0) > np.log(WIDEST_STEP))
    reasons = {MISSING: ~enough, EDGE: edge, FLAT: ~(convex & inside), BETWEEN: apart}
    reason = np.select(list(reasons.values()), list(reasons), default="")
    centre = np.where(convex, log_n[best[..., 0]] + shift, 0.0)
    height = np.where(convex, c0 + c1 * shift + c2 * shift * shift, 0.0)
    return centre, height, np.where(enough, c2, 0.0), window, reason


def _lines(optima: Optima, log_c: Array, log_loss: Array, inside: npt.NDArray[np.bool_]) -> Array:
    """Least-squares lines (R, 7) against ln C: ln k_N, a, ln k_D, b, and the loss's ln k_L, slope and floor, 0.

    N and D go through the optima, the loss through ln losses (R, G) of the budgets `log_c` that are `inside`.
    """
    where, log_n, used = optima
    log_d = where - np.log(6) - log_n
    fits = (_line(where, log_n, used), _line(where, log_d, used), _line(log_c, log_loss, inside))
    return np.column_stack([*fits, np.zeros(len(used))])


def _line(x: Array, y: Array, used: npt.NDArray[np.bool_]) -> Array:
    """Intercept and slope (R, 2) of the least-squares line through those of the points (R, G) that are used."""
    weights = used / used.sum(axis=1, keepdims=True)
    centred = x - (weights * x).sum(axis=1, keepdims=True)
    kept = np.where(used, y, 0.0)
    slope = (weights * centred * kept).sum(axis=1) / np.maximum((weights * centred**2).sum(axis=1), 1e-12)
    return np.stack([(weights * kept).sum(axis=1) - slope * (weights * x).sum(axis=1), slope], axis=1)


def _to_a_floor(
    flops: Array,
    best: tuple[Array, npt.NDArray[np.bool_]],
    redrawn: tuple[Array, npt.NDArray[np.bool_]],
    line: Array,
    draws: Array,
) -> tuple[Array, Array]:
    """`line` and `draws` as of `_lines` with their losses as L = E + k C^c: without a floor they fall too far beyond.

    best and redrawn: ln losses (G,) and (R, G), and which of them are used. Few budgets leave losses as they are.
    """
    lowest, used = best
    if used.sum() < FEWEST_FOR_FLOOR:
        return line, draws
    form = FORMS["power_of_flops_with_floor"]
    problem = Problem(form, {"flops": flops[used]}, Objective("log", None))
    found = solve(problem, np.exp(lowest[used]), np.ones(int(used.sum()))).theta
    losses, kept = (values[:, used] for values in redrawn)
    observed = np.exp(np.where(kept, losses, lowest[used]))
    refitted = refit(problem, np.repeat(found, len(draws), axis=0), observed, kept.astype(float)).theta
    place = [form.coordinates.index(name) for name in ("s", "b", "s_E")]

    def replaced(lines: Array, theta: Array) -> Array:
        s, b, floor = theta[:, place].T
        return np.column_stack([lines[:, :4], s, -b, bounded_exp(floor)])

    return replaced(line, found), replaced(draws, refitted)


def _bends(log_c: Array, log_n: Array, used: npt.NDArray[np.bool_]) -> Array:
    """Change of the exponent of N_opt in a decade of compute: a parabola's through ln N_opt (R, G) against ln C.

    (R,); resamples with fewer than four optima are left out.
    """
    enough = used.sum(axis=1) > 3
    x = (log_c - log_c.mean())[enough]
    weights, y = used[enough].astype(float), np.where(used, log_n, 0.0)[enough]
    powers = np.stack([np.ones_like(x), x, x * x])
    gram = np.einsum("rg,irg,jrg->rij", weights, powers, powers)
    right = np.einsum("irg,rg->ri", powers, weights * y)
    solved = np.linalg.pinv(gram) @ right[..., None]
    return np.asarray(2 * np.log(10) * solved[:, 2, 0])


def _optimum(p: dict[str, Array]) -> Array:
    """(R, 7) as of `_lines`, from parameters (R,) of the Chinchilla law (eq. 4): both its powers fall alike with C."""
    both = p["alpha"] + p["beta"]
    a, b = p["beta"] / both, p["alpha"] / both
    log_g = (np.log(p["alpha"] * p["A"]) - np.log(p["beta"] * p["B"])) / both
    log_n, log_d = log_g - a * np.log(6), -log_g - b * np.log(6)
    log_l = np.logaddexp(np.log(p["A"]) - p["alpha"] * log_n, np.log(p["B"]) - p["beta"] * log_d)
    return np.stack([log_n, a, log_d, b, log_l, -p["alpha"] * a, p["E"]], axis=1)


def _allocation(
    approach: str,
    line: Array,
    draws: Array,
    points: pd.DataFrame,
    reasons: Sequence[str],
    profiles: pd.DataFrame = EMPTY_PROFILES,
    fits: pd.DataFrame = EMPTY_PARABOLAS,
    bends: tuple[Array, Array] = (np.empty(0), np.empty(0)),
    freedom: int | None = None,
) -> Allocation:
    """`freedom`: degrees of freedom by which deviations are widened; None for draws that need no widening."""
    doubts = list(reasons)
    used = points[points["used"]]
    draws = draws[np.isfinite(draws).all(axis=1)]
    exponents: dict[str, Estimate] = {}
    curvature = None
    if len(used) < (fewest := FEWEST_OPTIMA.get(approach, 0)):
        doubts.append(f"{len(used)} usable optima; at least {fewest} are needed")
    elif len(line) and len(draws):
        widening = student(freedom) if freedom else 1.0
        draws = line + widening * (draws - line)
        low, high = interval(draws)
        for name, symbol, i in (("parameters", "a", 1), ("tokens", "b", 3)):
            exponents[name] = Estimate(float(line[0, i]), float(low[i]), float(high[i]), "", symbol)
        if len(bends[0]) and len(bends[1]):
            around = bends[0] + student(max(len(used) - 3, 1)) * (bends[1] - bends[0])
            least, most = interval(around)
            curvature = Estimate(float(bends[0][0]), float(least), float(most), "per decade", r"\Delta a")
        if high[1] - low[1] > WIDEST_EXPONENT:
            doubts.append(f"the exponent a is known only to lie between {low[1]:.2f} and {high[1]:.2f}")
    allocation = Allocation(
        approach=approach,
        title=TITLES[approach],
        source=SOURCES[approach],
        status=UNDETERMINED if doubts else DETERMINED,
        messages=doubts,
        exponents=exponents,
        points=points.reset_index(drop=True),
        table=pd.DataFrame(),
        profiles=profiles,
        parabolas=fits,
        line=line[0] if exponents else np.empty(0),
        draws=draws,
        curvature=curvature,
    )
    return replace(allocation, table=_budget_table(allocation)) if exponents else allocation


def _budget_table(found: Allocation) -> pd.DataFrame:
    """The split at powers of ten, from the data to BEYOND decades past it."""
    low, high = np.log10(found.points["flops"].min()), np.log10(found.points["flops"].max())
    budgets = 10.0 ** np.arange(int(np.ceil(low)), int(np.floor(high)) + BEYOND + 1)
    return pd.DataFrame([found.at(float(budget)) for budget in budgets])


def _points(flops: Array, log_n: Array, log_loss: Array, used: npt.NDArray[np.bool_], why: str) -> pd.DataFrame:
    parameters = np.exp(log_n)
    return pd.DataFrame(
        {
            "flops": flops,
            "parameters": parameters,
            "tokens": flops / (6 * parameters),
            "loss": np.exp(np.where(np.isfinite(log_loss), log_loss, 0.0)),
            "used": used,
            "reason": np.where(used, "", why),
        }
    )


def _no_points() -> pd.DataFrame:
    return pd.DataFrame({"flops": [], "parameters": [], "tokens": [], "loss": [], "used": [], "reason": []})
