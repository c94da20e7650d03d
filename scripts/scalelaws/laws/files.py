"""Laws on disk: a JSON that people and programs read, and beside it the bootstrap's draws."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalelaws.io import atomic_path, read_json, write_json
from scalelaws.laws.answers import ranking
from scalelaws.laws.fitted import Allocation, Backtest, Derived, Estimate, FittedLaw, Laws, Recounted
from scalelaws.laws.whole import whole


def write_laws(
    laws: Laws, json_path: str | Path, draws_path: str | Path, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write laws as JSON and their draws as npz (laws/<name> and allocations/<approach>), each atomically."""
    document = {
        "study": laws.study,
        "laws": {name: _law(law) for name, law in laws.laws.items()},
        "allocations": {name: _allocation(found) for name, found in laws.allocations.items()},
        "ranking": _columns(ranking(laws)),
        "derived": {name: asdict(found) for name, found in laws.derived.items()},
        "accounts": {name: asdict(found) for name, found in laws.accounts.items()},
        "excluded": _columns(laws.excluded),
        "settings": laws.settings,
        "provenance": dict(provenance or laws.provenance),
    }
    arrays = {f"laws/{name}": law.draws for name, law in laws.laws.items()}
    arrays |= {f"allocations/{name}": found.draws for name, found in laws.allocations.items()}
    with atomic_path(draws_path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    write_json(json_path, document)


def read_laws(json_path: str | Path, draws_path: str | Path) -> Laws:
    """The laws that `write_laws` wrote; files of before there were accounts have none. InputError for damaged ones."""
    with whole(json_path):
        document = read_json(json_path)
        needed = {f"laws/{name}": len(law["parameters"]) for name, law in document["laws"].items()}
        needed |= {f"allocations/{name}": len(found["line"]) for name, found in document["allocations"].items()}
    with whole(draws_path):
        draws = _read_draws(draws_path, needed)
    with whole(json_path):
        laws = {name: _read_law(name, law, draws[f"laws/{name}"]) for name, law in document["laws"].items()}
        allocations = {
            name: _read_allocation(name, found, draws[f"allocations/{name}"])
            for name, found in document["allocations"].items()
        }
        derived = {name: _read_derived(found) for name, found in document["derived"].items()}
        accounts = {name: _read_recounted(found) for name, found in document.get("accounts", {}).items()}
        excluded = pd.DataFrame(document["excluded"])
        settings, provenance = document["settings"], document["provenance"]
        return Laws(document["study"], laws, allocations, excluded, settings, provenance, derived, accounts)


def _read_draws(path: str | Path, needed: Mapping[str, int]) -> dict[str, np.ndarray]:
    """The draws by name. Raises LookupError where there are fewer columns than are `needed` of each."""
    with np.load(path) as stored:
        draws = {name: stored[name] for name in needed}
    for name, columns in needed.items():
        if columns and draws[name].shape[1:] < (columns,):
            raise LookupError(f"{name} is of another law")
    return draws


def _law(law: FittedLaw) -> dict[str, Any]:
    return {
        "title": law.title,
        "form": law.form,
        "formula": law.formula,
        "source": law.source,
        "variables": list(law.variables),
        "corpus": law.corpus,
        "split": law.split,
        "status": law.status,
        "messages": law.messages,
        "parameters": _estimates(law.parameters),
        "objective": law.objective,
        "backtest": _backtest(law.backtest),
        "backtest_parameters": _backtest(law.backtest_parameters),
        "extrapolation": _columns(law.extrapolation),
        "data": _columns(law.data),
    }


def _read_law(name: str, law: Mapping[str, Any], draws: np.ndarray) -> FittedLaw:
    return FittedLaw(
        name=name,
        form=law["form"],
        title=law["title"],
        corpus=law["corpus"],
        split=law["split"],
        parameters=_read_estimates(law["parameters"]),
        status=law["status"],
        messages=law["messages"],
        data=pd.DataFrame(law["data"]),
        draws=draws,
        objective=law["objective"],
        backtest=_read_backtest(law["backtest"]),
        backtest_parameters=_read_backtest(law["backtest_parameters"]),
        extrapolation=pd.DataFrame(law["extrapolation"]),
    )


def _allocation(found: Allocation) -> dict[str, Any]:
    return {
        "title": found.title,
        "source": found.source,
        "status": found.status,
        "messages": found.messages,
        "exponents": _estimates(found.exponents),
        "curvature": asdict(found.curvature) if found.curvature else None,
        "line": found.line.tolist(),
        **{name: _columns(getattr(found, name)) for name in FRAMES},
    }


def _read_allocation(approach: str, found: Mapping[str, Any], draws: np.ndarray) -> Allocation:
    return Allocation(
        approach=approach,
        title=found["title"],
        source=found["source"],
        status=found["status"],
        messages=found["messages"],
        exponents=_read_estimates(found["exponents"]),
        points=pd.DataFrame(found["points"]),
        table=pd.DataFrame(found["table"]),
        profiles=pd.DataFrame(found["profiles"]),
        parabolas=pd.DataFrame(found["parabolas"]),
        line=np.array(found["line"]),
        draws=draws,
        curvature=Estimate(**found["curvature"]) if found["curvature"] else None,
    )


FRAMES = ("points", "table", "profiles", "parabolas")


def _estimates(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: asdict(estimate) for name, estimate in estimates.items()}


def _read_estimates(estimates: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: Estimate(**estimate) for name, estimate in estimates.items()}


def _read_derived(found: Mapping[str, Any]) -> Derived:
    return Derived(found["title"], found["source"], Estimate(**found["estimate"]))


def _read_recounted(found: Mapping[str, Any]) -> Recounted:
    return Recounted(found["title"], found["exponent"], _read_estimates(found["estimates"]), found["status"])


def _backtest(backtest: Backtest | None) -> dict[str, Any] | None:
    if backtest is None:
        return None
    return {
        "held_out_by": backtest.held_out_by,
        "summary": backtest.sentence(),
        "mean_error": backtest.mean_error,
        "worst_error": backtest.worst_error,
        "decades": backtest.decades,
        "fit_error": backtest.fit_error,
        "fitted_rows": backtest.fitted_rows,
        "rows": _columns(backtest.rows),
    }


def _read_backtest(backtest: Mapping[str, Any] | None) -> Backtest | None:
    if backtest is None:
        return None
    rows = pd.DataFrame(backtest["rows"])
    return Backtest(backtest["held_out_by"], rows, backtest["fitted_rows"], backtest["decades"], backtest["fit_error"])


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): frame[name].tolist() for name in frame}
