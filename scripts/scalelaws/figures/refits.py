"""Laws fitted once more to some of the runs, to see what their intervals are worth."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from scalelaws.laws.curves import seed_noise
from scalelaws.laws.estimate import fit_law
from scalelaws.laws.fitted import FittedLaw
from scalelaws.laws.problem import Objective
from scalelaws.laws.rows import held_out_tasks
from scalelaws.laws.study import USUAL_NOISE
from scalelaws.observations.table import Observations

Array = npt.NDArray[np.float64]
FOLDS = 5
RESAMPLES = 200
SHARES = (0.4, 0.55, 0.75, 1.0)
"""Of the runs, those of the least compute, that laws are fitted to."""


def unseen_inside(observations: Observations, law: FittedLaw, levels: Array) -> Array:
    """Share of runs inside a law's interval for a single run at each level, when the law has not seen them.

    Each fold leaves out every FOLDS-th run in order of compute. A run's interval is the law's band, widened by the
    noise between seeds.
    """
    results = observations.results(observations.train_corpus).sort_values("flops", ignore_index=True)
    noise = seed_noise(results) or USUAL_NOISE
    inside: list[Array] = []
    for fold in range(FOLDS):
        left_out = results[results.index % FOLDS == fold]
        refitted = _refitted(observations, law, results.drop(left_out.index), profiled=False)
        if refitted is None:
            continue
        at = {name: left_out[name].to_numpy(float) for name in law.variables}
        error = np.log(left_out["loss"].to_numpy(float) / refitted.predict(**at))
        for level in levels:
            low, high = (np.log(end / refitted.predict(**at)) for end in refitted.band(float(level), **at))
            spread = noise * norm.ppf((1 + level) / 2)
            within = (error >= -np.hypot(low, spread)) & (error <= np.hypot(high, spread))
            inside.append(within.astype(float))
    shares = [np.concatenate(inside[i :: len(levels)]).mean() for i in range(len(levels))] if inside else []
    return np.array(shares) if shares else np.full(len(levels), np.nan)


def widths_by_runs(observations: Observations, law: FittedLaw) -> pd.DataFrame:
    """Width of the 95% interval of each exponent against the runs fitted to; columns runs, series, width."""
    results = observations.results(observations.train_corpus).sort_values("flops", ignore_index=True)
    rows = []
    for share in SHARES:
        kept = results.head(max(1, round(share * len(results))))
        refitted = law if share == 1 else _refitted(observations, law, kept)
        if refitted is None:
            continue
        rows += [
            {"runs": len(kept), "series": f"${each.symbol}$, {law.title}", "width": each.high - each.low}
            for name, each in refitted.parameters.items()
            if name.startswith(("alpha", "beta"))
        ]
    return pd.DataFrame(rows, columns=["runs", "series", "width"])


def _refitted(
    observations: Observations, law: FittedLaw, kept: pd.DataFrame, *, profiled: bool = True
) -> FittedLaw | None:
    """The same law fitted to the results of the `kept` runs alone; None where they are too few for it."""
    few = Observations(observations.losses, observations.runs[observations.runs["run"].isin(kept["run"])])
    objective = Objective(law.objective["residual"], law.objective["delta"])
    task = next(task for task in held_out_tasks(few, objective) if task.name == law.name)
    found = fit_law(replace(task, tested=False, profiled=profiled), RESAMPLES, 0, 0.0)
    return found if found.parameters else None
