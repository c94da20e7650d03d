"""One law from one table of rows: fit, intervals, status, backtest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalelaws.laws.fitted import UNDETERMINED, Backtest, Estimate, FittedLaw
from scalelaws.laws.form import Form, constrained
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.profile import profiled
from scalelaws.laws.solver import Solution
from scalelaws.laws.starts import solve
from scalelaws.laws.status import assessed, misfit, scattered, sparse
from scalelaws.laws.uncertainty import PAIRS_PER_COORDINATE, VANISHED, Resampled, bootstrap, interval, refitted

Array = npt.NDArray[np.float64]
BIGGEST = 1e300
THRESHOLDS = (0.1, 0.25, 0.5, 0.75)
"""Shares of rows that are held out in turn, to see how the error grows with the distance of extrapolation."""
DISTANCES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, np.inf)
"""Edges, in decades, of the distances over which errors are averaged."""


@dataclass(frozen=True)
class Task:
    """A law to be fitted: to `rows` with run, step, the form's variables, observed, used, flops and parameters.

    Rows may carry `scale`, the spread by which residuals are divided, and `weight`, by which each counts. Several rows
    may belong to one run. `fixed` holds coordinates of the form at values, `tied` gives them the value of another.
    `tested` is False where there is no largest run to predict, `profiled` where nobody asks for the parameters'
    intervals, only for the draws.
    """

    name: str
    form: str
    title: str
    corpus: str
    split: str
    rows: pd.DataFrame
    objective: Objective = field(default_factory=Objective)
    tested: bool = True
    profiled: bool = True
    fixed: Mapping[str, float] = field(default_factory=dict)
    tied: Mapping[str, str] = field(default_factory=dict)

    @property
    def law(self) -> Form:
        """The form, with what is fixed or tied."""
        form = FORMS[self.form]
        return constrained(form, self.fixed, self.tied) if self.fixed or self.tied else form


def fit_law(
    task: Task, resamples: int, seed: int, backtest: float, redrawn: Resampled | None = None, noise: float | None = None
) -> FittedLaw:
    """Fit one law. Data that cannot determine it give a law with status "undetermined", never an exception.

    backtest: the share of rows with the most compute that is held out. `redrawn`: the resamples of rows that are not
    single runs; noise: the standard deviation of ln loss between seeds, where it was measured.
    """
    form = task.law
    rows = task.rows.reset_index(drop=True)
    used = rows[rows["used"]]
    reasons = sparse(form, used)
    if reasons:
        return without_fit(task, reasons)
    problem, best = _fitted(task, form, used)
    if redrawn is None:
        draws, how = bootstrap(problem, best, _observed(used), _weights(used), _runs(used), resamples, seed)
    else:
        draws, how = refitted(problem, best, redrawn), redrawn.how
    values, spread = finite(form.to_parameters(best.theta[0])), finite(form.to_parameters(draws))
    estimates = as_estimates(form, values, spread)
    profile: dict[str, tuple[float, float]] = {}
    if task.profiled and redrawn is None and bootstrap_fails(form, problem, estimates, used):
        profile = profiled(problem, best.theta[0], _observed(used), _weights(used), used["run"].nunique())
        estimates |= {n: replace(estimates[n], low=low, high=high) for n, (low, high) in profile.items()}
    predicted = form.predict(dict(zip(estimates, values, strict=True)), _variables(form, rows))
    data = rows.assign(predicted=predicted)
    residual = (problem.target(_observed(used)) - problem.fitted(best.theta)[0]) / problem.scale
    status, messages = assessed(form, problem, best, estimates, draws, used.assign(residual=residual))
    if task.form == "critical_batch":
        messages += scattered(residual)
    elif noise is not None and task.objective.residual == "log":
        messages += misfit(residual, noise)
    tests: list[Backtest | None] = [None, None]
    if task.tested:
        by = _ordered_by(form)
        # Lines between two losses reach no decades.
        farther = [(by, share) for share in THRESHOLDS] if form.logarithmic else []
        tests = held_out(problem, form, used, [(by, backtest), ("parameters", None), *farther])
    return FittedLaw(
        name=task.name,
        form=task.form,
        title=task.title,
        corpus=task.corpus,
        split=task.split,
        parameters=estimates,
        status=status,
        messages=messages,
        data=_columns(form, data),
        draws=spread,
        objective={
            **described(task.objective),
            "weights": "given" if "weight" in used else "equal",
            "fixed": dict(task.fixed),
            "tied": dict(task.tied),
            "value": float(best.objective[0]),
            "resampling": how,
            "profiled": list(profile),
        },
        backtest=tests[0],
        backtest_parameters=tests[1],
        extrapolation=error_by_distance(tests[2:]) if task.tested else pd.DataFrame(),
    )


def bootstrap_fails(form: Form, problem: Problem, estimates: Mapping[str, Estimate], rows: pd.DataFrame) -> bool:
    """Whether intervals are to come from the profile likelihood: of a floor that may be zero, or of few runs.

    With a floor near zero the bootstrap's 95% interval of alpha holds it in 83% of synthetic studies (60 of them).
    """
    floors = [estimates[parameter.name] for parameter in form.parameters if parameter.role == "floor"]
    vanishing = any(floor.low < VANISHED * float(rows["observed"].min()) for floor in floors)
    return bool(floors) and (vanishing or rows["run"].nunique() < PAIRS_PER_COORDINATE * problem.size)


def held_out(
    problem: Problem, form: Form, rows: pd.DataFrame, splits: Sequence[tuple[str, float | None]]
) -> list[Backtest | None]:
    """For each split, fit without the rows with the most of a column and predict them; all the fits are one batch.

    splits: the column and the share of all rows, or None for those with its largest value. None where the remaining
    rows cannot determine the law.
    """
    kept = {}
    for by, share in splits:
        values = np.sort(rows[by].to_numpy())
        threshold = values[-1] if share is None else values[-max(1, round(share * len(rows)))]
        chosen = rows[by] < threshold
        if not sparse(form, rows[chosen]):
            kept[by, share] = chosen.to_numpy()
    if not kept:
        return [None] * len(splits)
    found = solve(problem, _observed(rows), _weights(rows) * np.stack(list(kept.values())))
    fitted = dict(zip(kept, form.to_parameters(found.theta), strict=True))
    return [_backtest(form, rows, kept[s], fitted[s], s[0]) if s in kept else None for s in splits]


def _backtest(form: Form, rows: pd.DataFrame, kept: npt.NDArray[np.bool_], fitted: Array, by: str) -> Backtest | None:
    rest = rows[~kept]
    values = dict(zip((parameter.name for parameter in form.parameters), fitted, strict=True))
    predicted, again = (form.predict(values, _variables(form, some)) for some in (rest, rows[kept]))
    table = rest[["run", *form.variables]].assign(
        **{by: rest[by]},
        observed=rest["observed"],
        predicted=predicted,
        relative_error=predicted / rest["observed"] - 1,
    )
    if not np.isfinite(table["relative_error"]).all():
        return None
    # Of runs of equal compute the one with more of what the law is of comes last: the largest.
    table = table.sort_values(list(dict.fromkeys([by, *form.variables, "run"])), ignore_index=True)
    beyond = float(np.log10(rest[by].max() / rows[by][kept].max()))
    error = residual_error(again / _observed(rows[kept]) - 1, len(form.parameters))
    return Backtest(by, table, int(kept.sum()), beyond, error)


def error_by_distance(tests: Sequence[Backtest | None]) -> pd.DataFrame:
    """Mean absolute relative error of predictions (mean_error) by their mean distance beyond the fit (decades)."""
    parts = []
    for test in {test.fitted_rows: test for test in tests if test}.values():
        amounts, errors = test.rows[test.held_out_by], test.rows["relative_error"]
        decades = test.decades + np.log10(amounts / amounts.max())
        parts.append(pd.DataFrame({"decades": decades, "error": errors.abs()}))
    if not parts:
        return pd.DataFrame({"decades": [], "mean_error": [], "predictions": []})
    every = pd.concat(parts)
    groups = every.groupby(pd.cut(every["decades"], DISTANCES), observed=True)
    return pd.DataFrame(
        {
            "decades": groups["decades"].mean(),
            "mean_error": groups["error"].mean(),
            "predictions": groups.size(),
        }
    ).reset_index(drop=True)


def _ordered_by(form: Form) -> str:
    """What the largest runs have most of: compute, or of a law of N or D alone that variable."""
    only = form.variables[0]
    return only if len(form.variables) == 1 and only in ("parameters", "dataset_tokens") else "flops"


def without_fit(task: Task, reasons: Sequence[str]) -> FittedLaw:
    """The law that the data say nothing about: no parameters, no draws, only its rows and the reasons."""
    form = FORMS[task.form]
    return FittedLaw(
        name=task.name,
        form=task.form,
        title=task.title,
        corpus=task.corpus,
        split=task.split,
        parameters={},
        status=UNDETERMINED,
        messages=list(reasons),
        data=_columns(form, task.rows.assign(predicted=0.0, used=False)),
        draws=np.empty((0, len(form.parameters))),
        objective=described(task.objective),
    )


def as_estimates(form: Form, values: Array, draws: Array) -> dict[str, Estimate]:
    """Parameters (p,) and their draws (R, p) as estimates by name."""
    low, high = interval(draws)
    return {
        parameter.name: Estimate(float(values[i]), float(low[i]), float(high[i]), parameter.unit, parameter.symbol)
        for i, parameter in enumerate(form.parameters)
    }


def residual_error(residuals: npt.ArrayLike, parameters: int) -> float:
    """The standard deviation that residuals tell of, after a fit of so many parameters."""
    squares = np.square(residuals)
    return float(np.sqrt(squares.sum() / max(squares.size - parameters, 1)))


def finite(values: Array) -> Array:
    """Values without NaN or infinities, which JSON has no words for."""
    return np.nan_to_num(values, nan=0.0, posinf=BIGGEST, neginf=-BIGGEST)


def described(objective: Objective) -> dict[str, object]:
    """An objective in words."""
    loss = "squared" if objective.delta is None else "huber"
    return {"residual": objective.residual, "loss": loss, "delta": objective.delta}


def _fitted(task: Task, form: Form, rows: pd.DataFrame) -> tuple[Problem, Solution]:
    scale = rows["scale"].to_numpy() if "scale" in rows else 1.0
    problem = Problem(form, _variables(form, rows), task.objective, scale)
    return problem, solve(problem, _observed(rows), _weights(rows))


def _variables(form: Form, rows: pd.DataFrame) -> dict[str, Array]:
    return {name: rows[name].to_numpy(float) for name in form.variables}


def _observed(rows: pd.DataFrame) -> Array:
    return rows["observed"].to_numpy(float)


def _weights(rows: pd.DataFrame) -> Array:
    return rows["weight"].to_numpy(float) if "weight" in rows else np.ones(len(rows))


def _runs(rows: pd.DataFrame) -> npt.NDArray[np.intp]:
    return pd.factorize(rows["run"])[0]


def _columns(form: Form, data: pd.DataFrame) -> pd.DataFrame:
    return data[["run", "step", *form.variables, "observed", "predicted", "used"]].reset_index(drop=True)
