"""Whether the data determine a law, in plain words: few points, a narrow range, a bound, a flat direction, outliers."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalelaws.laws.fitted import DETERMINED, UNDETERMINED, Estimate
from scalelaws.laws.form import Form
from scalelaws.laws.problem import Problem
from scalelaws.laws.solver import Solution

Array = npt.NDArray[np.float64]
FEWEST_VALUES = 3
NARROWEST_DECADES = 0.5
NARROW_DECADES = 1.0
LOOSEST_FACTOR = 5.0
OUTLIER_SPREADS = 6.0
FEWEST_FOR_OUTLIERS = 12
MISFIT = 4.0
BATCH_NOISE = 0.3
"""To which a critical batch, or a noise scale, is measured (Kaplan et al. 2020, figure 10), in its logarithm."""
SCATTERED = 2.0
WORDS = {
    "parameters": "sizes N",
    "dataset_tokens": "dataset sizes D",
    "tokens": "token counts",
    "flops": "budgets C",
    "loss": "held-out losses",
    "flops_min": "budgets C_min",
    "steps_min": "numbers of steps S_min",
    "tokens_per_parameter": "ratios of tokens to parameters",
    "needed_parameters": "sizes N that the data can use",
    "encoder_parameters": "encoder sizes",
    "decoder_parameters": "decoder sizes",
    "width": "widths",
    "depth": "depths",
}


def sparse(form: Form, rows: pd.DataFrame) -> list[str]:
    """Why these rows cannot determine the form at all; empty where they may."""
    reasons = []
    needed = len(form.coordinates) + 1
    if len(rows) < needed:
        reasons.append(f"too few points: {len(rows)}, and {needed - 1} parameters need at least {needed}")
    for variable in form.variables:
        values = rows[variable].nunique()
        if values < FEWEST_VALUES:
            reasons.append(f"{WORDS[variable]} in the data: {values}, and at least {FEWEST_VALUES} are needed")
        elif form.logarithmic and variable != "loss" and decades(rows[variable]) < NARROWEST_DECADES:
            span = decades(rows[variable])
            reasons.append(f"the range of {WORDS[variable]} is too narrow: {span:.2f} decades")
    return reasons


def assessed(
    form: Form, problem: Problem, best: Solution, estimates: Mapping[str, Estimate], draws: Array, rows: pd.DataFrame
) -> tuple[str, list[str]]:
    """Status and messages of a fit. `draws` (R, p) are coordinates; `rows` has run, variables, observed, residual."""
    doubts, notes = [], []
    if not best.converged[0]:
        doubts.append("the fit did not converge")
    for parameter in form.parameters:
        estimate = estimates[parameter.name]
        name = parameter.name
        if parameter.role == "exponent":
            if estimate.contains(0.0) or estimate.low <= 1e-9:
                doubts.append(f"the interval of {name} reaches zero ({estimate.low:.3g} to {estimate.high:.3g})")
            elif max(estimate.high / estimate.low, estimate.low / estimate.high) > LOOSEST_FACTOR:
                doubts.append(f"{name} is known only to lie between {estimate.low:.3g} and {estimate.high:.3g}")
        if parameter.role == "slope":
            notes.append(_constant_offset(estimate, rows))
        if parameter.role == "floor" and estimate.low < 0.01 * float(rows["observed"].min()):
            notes.append(f"{name} cannot be told from zero (up to {estimate.high:.3g})")
    at_bound = [form.coordinates[index] for index in np.flatnonzero(best.at_bound[0])]
    doubts += [f"the coordinate {name} is at the bound of what is allowed" for name in at_bound]
    if doubts:
        notes.append(_flat_direction(form, problem, draws))
    if form.logarithmic:
        for variable in form.variables:
            span = decades(rows[variable])
            if span < NARROW_DECADES:
                notes.append(f"the range of {WORDS[variable]} is narrow: {span:.2f} decades")
    notes += _outliers(rows)
    return (UNDETERMINED if doubts else DETERMINED), doubts + notes


def misfit(residual: Array, noise: float) -> list[str]:
    """A note where residuals of ln loss are far larger than the noise between seeds: the shape is at fault."""
    spread = float(np.sqrt(np.mean(np.square(residual))))
    if spread < MISFIT * noise or noise == 0.0:
        return []
    return [
        f"misses the data by {spread:.1%}, {spread / noise:.0f} times the noise between seeds: not the law's true shape"
    ]


def scattered(residual: Array) -> list[str]:
    """A note where measurements of critical batches lie about their law far more widely than they are good to."""
    spread = float(np.sqrt(np.mean(np.square(residual))))
    if spread < SCATTERED * BATCH_NOISE:
        return []
    return [
        f"measurements lie about it by a factor of {np.exp(spread):.1f}, where each is good to {BATCH_NOISE:.0%}: here "
        "B_crit is no function of the loss alone"
    ]


def decades(values: pd.Series) -> float:
    """The range of positive values in powers of ten."""
    return float(np.log10(values.max() / values.min()))


def _constant_offset(slope: Estimate, rows: pd.DataFrame) -> str:
    interval = f"slope {slope.value:.3f}, 95% interval {slope.low:.3f} to {slope.high:.3f}"
    if slope.contains(1.0):
        return f"the offset to the held-out loss is constant, as far as these data tell ({interval}, holds 1)"
    offset = (rows["observed"] - rows["loss"]).to_numpy()[np.argsort(rows["loss"].to_numpy())]
    change = f"from {offset[-1]:.2f} nats at the highest held-out loss to {offset[0]:.2f} at the lowest"
    return f"the offset to the held-out loss is not constant ({interval}, without 1): {change}"


def _flat_direction(form: Form, problem: Problem, draws: Array) -> str:
    phi = problem.phi(draws)
    _, _, axes = np.linalg.svd(phi - phi.mean(axis=0), full_matrices=False)
    involved = [n for n, share in zip(form.coordinates, np.abs(axes[0]), strict=True) if share > 0.3]
    return f"the data constrain least, in the solver's coordinates: {' with '.join(involved)}"


def _outliers(rows: pd.DataFrame) -> list[str]:
    residual = rows["residual"] - rows["residual"].median()
    spread = 1.4826 * float(residual.abs().median())
    far = rows[(residual.abs() > OUTLIER_SPREADS * max(spread, 1e-12)) & (rows["residual"].abs() > 1e-6)]
    if far.empty or len(rows) < FEWEST_FOR_OUTLIERS:
        return []
    named = ", ".join(str(run) for run in far["run"].head(5))
    more = f" and {len(far) - 5} more" if len(far) > 5 else ""
    return [f"outliers, farther than {OUTLIER_SPREADS:g} times the usual residual: {named}{more}"]
