"""The loss at every position in the context: what models make of the text that they have read so far."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalelaws.figures.registry import NotDrawableError
from scalelaws.figures.select import on_shared_data
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.starts import solve
from scalelaws.observations.table import Observations

Array = npt.NDArray[np.float64]
MODEL = ["family", "parameters"]
FEWEST_POSITIONS = 8
"""What the three parameters of a law of position are fitted to at least."""
FORM = FORMS["power_of_position_with_floor"]


def losses_of_models(observations: Observations) -> pd.DataFrame:
    """Held-out loss of each family's sizes at each position; columns family, parameters, position, loss, loss_sem.

    Of the runs on the largest subset D that most sizes have; seeds are averaged, but as all of them are evaluated on
    the same windows, their standard error stays that of one. Raises NotDrawableError where there are none.
    """
    if observations.positions is None:
        raise NotDrawableError("the table has one mean loss over all positions of a context, none by position")
    results = on_shared_data(observations.results(observations.train_corpus))
    if (_family(results) == "encoder_decoder").any():
        raise NotDrawableError("an encoder-decoder's tokens see their own pair alone, wherever they stand in a window")
    models = results[["run", "parameters"]].assign(family=_family(results))
    held_out = (observations.positions["corpus"] == observations.train_corpus) & (
        observations.positions["split"] == "test"
    )
    rows = observations.positions[held_out].merge(models, on="run")
    if rows.empty:
        raise NotDrawableError("no run on the most data has its loss by position")
    return rows.groupby([*MODEL, "position"], as_index=False)[["loss", "loss_sem"]].mean()


def binned(losses: pd.DataFrame) -> pd.DataFrame:
    """The mean loss over positions that lie within a factor of 2; `position` is their geometric mean.

    A context of 2^k tokens ends where a bin does.
    """
    bins = np.ceil(np.log2(losses["position"]) - 1e-9).rename("bin")
    groups = losses.assign(position=np.log(losses["position"])).groupby([*MODEL, bins])
    means = groups[["position", "loss"]].mean().reset_index()
    return means.assign(position=np.exp(means["position"]))


def fitted_losses(losses: pd.DataFrame, at: Array) -> Array | None:
    """The loss of one model `at` positions by L(T) = E + (T_0/T)^α (Kaplan et al. 2020, figure 20).

    Fitted to every position by least squares over standard errors; None where there are too few.
    """
    if len(losses) < FEWEST_POSITIONS:
        return None
    errors = losses["loss_sem"].to_numpy(float)
    scale = errors if (errors > 0).all() else 1.0
    problem = Problem(FORM, {"position": losses["position"].to_numpy(float)}, Objective("loss", None), scale)
    best = solve(problem, losses["loss"].to_numpy(float), np.ones(len(losses)))
    # Not by its parameters: of a loss that does not fall, α is zero and T_0 no number.
    return Problem(FORM, {"position": at}, problem.objective).fitted(best.theta)[0]


def _family(results: pd.DataFrame) -> pd.Series:
    """The family of each run, of a Universal Transformer with how often it goes through its layers."""
    if "recurrence" not in results:
        return results["family"]
    times = results["recurrence"]
    return results["family"].where(~(times > 1), results["family"] + " ×" + times.astype(str))
