"""What a fit leaves behind: laws with their intervals, status, data and backtest, and the allocations of compute."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalelaws.laws.form import Form, bounded_exp
from scalelaws.laws.forms import FORMS

Array = npt.NDArray[np.float64]
DETERMINED, UNDETERMINED = "determined", "undetermined"


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval; `symbol` is mathtext."""

    value: float
    low: float
    high: float
    unit: str
    symbol: str

    def contains(self, value: float) -> bool:
        """Whether the interval contains `value`."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Backtest:
    """How a law that was fitted without the largest runs predicts them.

    `held_out_by` is the column whose largest values were held out. `rows` has one row per held-out run: run, the law's
    variables, observed, predicted, relative_error = predicted/observed - 1. `decades` says how far beyond the fitted
    range the farthest of them lies, in that column. `fit_error` is the standard deviation of the relative residuals of
    the rows that it was fitted to.
    """

    held_out_by: str
    rows: pd.DataFrame
    fitted_rows: int
    decades: float
    fit_error: float

    @property
    def mean_error(self) -> float:
        """Mean absolute relative error over the held-out rows."""
        return float(self.rows["relative_error"].abs().mean())

    @property
    def worst_error(self) -> float:
        """Largest absolute relative error."""
        return float(self.rows["relative_error"].abs().max())

    @property
    def largest(self) -> Mapping[str, Any]:
        """The held-out row that lies farthest out: its run, variables, observed, predicted, relative_error."""
        return {str(key): value for key, value in self.rows.iloc[-1].items()}

    def sentence(self) -> str:
        """The backtest in one line of plain words."""
        return (
            f"fitted on {self.fitted_rows} rows, predicts the {len(self.rows)} with the most {self.held_out_by} "
            f"({self.decades:.1f} decades beyond) to {self.mean_error:.1%} on average, {self.worst_error:.1%} at worst"
        )


@dataclass(frozen=True)
class FittedLaw:
    """One law fitted to one study.

    `parameters` are in the order of the form's; `draws` holds the bootstrap's parameters, one row per resample, in the
    same order. `data` has the columns run, step, the variables, observed, predicted, used. `objective` says what was
    minimised: residual, loss, delta, its value, and how the resamples were drawn. `extrapolation` is the error of
    prediction against its distance, from fits below several thresholds: decades, mean_error, predictions.
    """

    name: str
    form: str
    title: str
    corpus: str
    split: str
    parameters: dict[str, Estimate]
    status: str
    messages: list[str]
    data: pd.DataFrame
    draws: Array
    objective: dict[str, Any]
    backtest: Backtest | None = None
    backtest_parameters: Backtest | None = None
    extrapolation: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def _form(self) -> Form:
        return FORMS[self.form]

    @property
    def formula(self) -> str:
        """The law as mathtext."""
        return self._form.formula

    @property
    def source(self) -> str:
        """Paper and equation."""
        return self._form.source

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns that the law is a function of."""
        return self._form.variables

    @property
    def best(self) -> dict[str, float]:
        """The parameters' values by name."""
        return {name: estimate.value for name, estimate in self.parameters.items()}

    @cached_property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The range of every variable over the rows that were used."""
        used = self.data[self.data["used"]]
        return {name: (float(used[name].min()), float(used[name].max())) for name in self.variables}

    def predict(self, **variables: npt.ArrayLike) -> Array:
        """The law's value where its variables take these values (arrays broadcast)."""
        return self._form.predict(self.best, self._checked(variables))

    def band(self, level: float = 0.95, **variables: npt.ArrayLike) -> tuple[Array, Array]:
        """Low and high end of the law's `level` interval, pointwise, from the bootstrap's draws."""
        arrays = self._checked(variables)
        spread = {name: array[None, ...] for name, array in arrays.items()}
        axes = (len(self.draws),) + (1,) * max((array.ndim for array in arrays.values()), default=0)
        draws = {name: self.draws[:, i].reshape(axes) for i, name in enumerate(self.parameters)}
        predicted = self._form.predict(draws, spread)
        low, high = np.quantile(predicted, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high

    def region(self, first: str, second: str, level: float = 0.95, corners: int = 90) -> Array:
        """A closed curve (corners, 2) around `level` of the draws of two parameters: where they lie together.

        An ellipse about the best values, in the logs of scales, which are known in proportion.
        """
        logs = np.array(
            [p.role == "scale" for name in (first, second) for p in self._form.parameters if p.name == name]
        )
        columns = [list(self.parameters).index(name) for name in (first, second)]
        values = np.vstack([list(self.best.values()), self.draws])[:, columns]
        values[:, logs] = np.log(values[:, logs])
        centre, draws = values[0], values[1:]
        root = np.linalg.cholesky(np.atleast_2d(np.cov(draws.T)))
        radius = np.quantile(np.linalg.norm(np.linalg.solve(root, (draws - centre).T), axis=0), level)
        turns = np.linspace(0, 2 * np.pi, corners)
        curve = centre + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1) @ root.T
        curve[:, logs] = np.exp(curve[:, logs])
        return curve

    def _checked(self, variables: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        if set(variables) != set(self.variables):
            raise TypeError(f"{self.name} is a law of {', '.join(self.variables)}, not of {', '.join(variables)}")
        arrays = np.broadcast_arrays(*(np.asarray(variables[name], float) for name in self.variables))
        return dict(zip(self.variables, arrays, strict=True))


@dataclass(frozen=True)
class Allocation:
    """How compute is best split: N_opt = k_N C^a, D_opt = k_D C^b, by one of Hoffmann's three approaches.

    `approach` is envelope, isoflop or parametric. `points` (flops, parameters, tokens, loss, used, reason) are the
    optima that the exponents were fitted to; `profiles` (flops, parameters, loss, used) are the IsoFLOP points and
    `parabolas` (flops, curvature, log_parameters, loss, low, high, reason: loss + curvature·(ln N - log_parameters)² in
    the window low..high of N; reason is empty where it was accepted). `table` has, at round budgets: flops, parameters,
    tokens, tokens_per_parameter, loss, each with _low and _high, and extrapolates (decades beyond the data). `line` and
    `draws` (R, 7) hold ln k_N, a, ln k_D, b, ln k_L, c, E: N_opt, D_opt and L = E + k_L C^c as powers of C.
    `curvature` is by how much the exponent a changes in a decade of compute (Hoffmann et al. 2022, appendix E).
    """

    approach: str
    title: str
    source: str
    status: str
    messages: list[str]
    exponents: dict[str, Estimate]
    points: pd.DataFrame
    table: pd.DataFrame
    profiles: pd.DataFrame
    parabolas: pd.DataFrame
    line: Array
    draws: Array
    curvature: Estimate | None = None

    def at(self, flops: float) -> dict[str, float]:
        """N_opt, D_opt, tokens per parameter and loss at a budget, each with _low and _high, and `extrapolates`."""
        both = np.vstack([self.line, self.draws])
        log_n, log_d, log_l = (both[:, i] + both[:, i + 1] * np.log(flops) for i in (0, 2, 4))
        found = {
            "parameters": bounded_exp(log_n),
            "tokens": bounded_exp(log_d),
            "tokens_per_parameter": bounded_exp(log_d - log_n),
            "loss": both[:, 6] + bounded_exp(log_l),
        }
        row = {"flops": flops}
        for name, values in found.items():
            low, high = np.quantile(values[1:], [0.025, 0.975])
            row |= {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
        beyond = np.log10(flops / self.points["flops"].max()), np.log10(self.points["flops"].min() / flops)
        return row | {"extrapolates": max(0.0, float(max(beyond)))}


@dataclass(frozen=True)
class Derived:
    """A number that follows from fitted laws, with the interval that follows from theirs."""

    title: str
    source: str
    estimate: Estimate


@dataclass(frozen=True)
class Recounted:
    """One exponent of a law or of an allocation, fitted to the same runs under each account of N and C.

    `title` is the law's or the approach's; estimates and status are by account, without those that gave no value.
    """

    title: str
    exponent: str
    estimates: dict[str, Estimate]
    status: dict[str, str]


@dataclass(frozen=True)
class Laws:
    """All laws of one study; `excluded` has one row per run that no law uses: run, reason. `derived` is by name.

    `accounts` is by "<law or approach>/<exponent>"; empty where the table does not record embeddings.
    """

    study: str
    laws: dict[str, FittedLaw]
    allocations: dict[str, Allocation]
    excluded: pd.DataFrame
    settings: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)
    derived: dict[str, Derived] = field(default_factory=dict)
    accounts: dict[str, Recounted] = field(default_factory=dict)
