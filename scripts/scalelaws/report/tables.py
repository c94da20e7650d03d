"""The report's tables as plain rows: laws, allocations, runs against their plan, jobs, artifacts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from scalelaws.figures.select import readable_title
from scalelaws.figures.words import estimate_value, number, percent, with_interval
from scalelaws.laws.accounting import ACCOUNTS
from scalelaws.laws.fitted import DETERMINED, Allocation, Backtest, FittedLaw, Laws, Recounted
from scalelaws.observations.table import Observations
from scalelaws.report.formulas import formula_image, symbol_html
from scalelaws.units import readable

MOST_FILES_NAMED = 12
HIDDEN = ("logs", "benchmarks", "checkpoints")
ALLOCATED = ("parameters", "tokens", "tokens_per_parameter", "loss")


def law_rows(laws: Laws, corpus: str, others: bool = False) -> list[dict[str, Any]]:
    """One row per law of `corpus`, or of the `others`: what it says, how it was fitted, and how well it predicts."""
    return [_law_row(law) for law in laws.laws.values() if (law.corpus != corpus) == others]


def allocation_rows(laws: Laws) -> list[dict[str, Any]]:
    """One row per approach: title, source, exponents, status, messages, and its table of budgets as text."""
    return [_allocation_row(allocation) for allocation in laws.allocations.values()]


def account_rows(laws: Laws) -> list[dict[str, Any]]:
    """One row per exponent that what is counted may change: its law, its symbol, its value of each account."""
    return [
        {
            "title": found.title,
            "symbol": symbol_html(next(iter(found.estimates.values())).symbol),
            "values": [_counted(found, account) for account in ACCOUNTS],
        }
        for found in laws.accounts.values()
    ]


def derived_rows(laws: Laws) -> list[dict[str, Any]]:
    """One row per number that follows from the laws."""
    return [
        {
            "title": found.title,
            "symbol": symbol_html(found.estimate.symbol),
            "text": estimate_value(found.estimate),
            "unit": found.estimate.unit,
            "source": found.source,
        }
        for found in laws.derived.values()
    ]


def cost_rows(observations: Observations, plan: pd.DataFrame) -> list[dict[str, str]]:
    """One row per planned run: what was planned and what it took; a run that is not in the table shows blanks."""
    done = observations.runs.set_index("run")
    rows = []
    for planned in plan.itertuples():
        actual = done.loc[planned.run] if planned.run in done.index else None
        row = {"run": str(planned.run), "N": readable(planned.parameters), "D": readable(planned.dataset_tokens)}
        for column in ("tokens", "flops", "seconds"):
            row[f"planned_{column}"] = _amount(column, getattr(planned, column))
            row[column] = "" if actual is None else _amount(column, actual[column])
        row["status"] = "not run" if actual is None else str(actual["status"]).replace("_", " ")
        rows.append(row)
    return rows


def cost_totals(observations: Observations, plan: pd.DataFrame, study: Path) -> list[dict[str, str]]:
    """The plan against what it cost, in sum: runs, tokens, FLOPs, hours of training, the highest memory, disk."""
    runs, folder = observations.runs, study / "runs"
    rows = [{"what": "Runs", "planned": f"{len(plan)}", "actual": f"{len(runs)}"}]
    titles = {"tokens": "Tokens processed", "flops": "FLOPs (6·N·tokens)", "seconds": "Training time"}
    for column, title in titles.items():
        planned, actual = _amount(column, plan[column].sum()), _amount(column, runs[column].sum())
        rows.append({"what": title, "planned": planned, "actual": actual})
    everything = _amount("flops", runs["flops_total"].sum())
    rows.append({"what": "FLOPs with embedding, attention and evaluation", "planned": "", "actual": everything})
    if "devices" not in plan:  # a plan of an earlier version
        return rows
    given = runs.merge(plan[["run", "devices", "gpus"]], on="run")
    for title, devices in (("Core hours", lambda t: t["devices"] - t["gpus"]), ("GPU hours", lambda t: t["gpus"])):
        planned, actual = ((table["seconds"] * devices(table)).sum() / 3600 for table in (plan, given))
        if planned:
            rows.append({"what": title, "planned": number(planned), "actual": number(actual)})
    jobs = benchmark_tables(study / "benchmarks")
    memory = max((table["max_rss"].max() for rule, table in jobs.items() if rule == "train"), default=float("nan"))
    rows.append(
        {
            "what": "Memory of the largest training",
            "planned": f"{plan['memory_mb'].max():,.0f} MB",
            "actual": f"{memory:,.0f} MB" if memory == memory else "",
        }
    )
    disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    disk_text = size_text(disk) if folder.is_dir() else ""
    rows.append({"what": "Disk", "planned": size_text(plan["disk_mb"].sum() * 1e6), "actual": disk_text})
    return rows


def job_rows(benchmarks: Path) -> list[dict[str, str]]:
    """One row per rule from Snakemake's measurements: jobs, times, highest memory."""
    rows = []
    for rule, table in benchmark_tables(benchmarks).items():
        seconds, memory = table["s"].sum(), table["max_rss"].max()
        cpu = table["cpu_time"].sum() if "cpu_time" in table else float("nan")
        rows.append(
            {
                "rule": rule,
                "jobs": f"{len(table)}",
                "seconds": duration(seconds),
                "cpu": duration(cpu) if cpu == cpu else "",
                "memory": f"{memory:,.0f} MB" if memory == memory else "",
                "order": seconds,
            }
        )
    return sorted(rows, key=lambda row: -row.pop("order"))


def benchmark_tables(benchmarks: Path) -> dict[str, pd.DataFrame]:
    """Snakemake's measurements by rule (<rule>.tsv, <rule>/*.tsv), one row per job."""
    rules: dict[str, list[Path]] = {}
    for file in sorted(benchmarks.rglob("*.tsv")):
        rules.setdefault(file.relative_to(benchmarks).parts[0].removesuffix(".tsv"), []).append(file)
    return {
        rule: pd.concat([pd.read_csv(file, sep="\t", na_values=["-", "NA"]) for file in files], ignore_index=True)
        for rule, files in rules.items()
    }


def artifact_rows(study: Path) -> list[dict[str, str]]:
    """Every file of the study by path and size; a folder of many files is one row. Logs, timings and
    checkpoints are left out."""
    rows = []
    for folder in [study, *sorted(path for path in study.rglob("*") if path.is_dir())]:
        inside = folder.relative_to(study)
        if inside.parts and (inside.parts[0] in HIDDEN or any(part.startswith(".") for part in inside.parts)):
            continue
        files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
        files = [file for file in files if file != study / "report.html"]
        if len(files) > MOST_FILES_NAMED and folder != study:
            total = sum(file.stat().st_size for file in files)
            rows.append({"path": f"{inside.as_posix()}/", "size": size_text(total), "note": f"{len(files)} files"})
        else:
            rows += [
                {"path": file.relative_to(study).as_posix(), "size": size_text(file.stat().st_size), "note": ""}
                for file in files
            ]
    return rows


def duration(seconds: float) -> str:
    """Seconds as people say them: 8.2 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02} min"


def size_text(size: float) -> str:
    """Bytes in decimal units: 830 B, 12 kB, 3.4 MB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            return f"{size:.0f} {unit}" if size >= 99.5 or unit == "B" else f"{size:.2g} {unit}"
        size /= 1000
    raise AssertionError


def _law_row(law: FittedLaw) -> dict[str, Any]:
    return {
        "name": law.name,
        "title": readable_title(law),
        "formula": formula_image(law.formula, f"{law.title}: {law.formula}"),
        "source": law.source,
        "parameters": [
            {
                "symbol": symbol_html(estimate.symbol),
                "text": estimate_value(estimate),
                "unit": estimate.unit,
            }
            for estimate in law.parameters.values()
        ],
        "determined": law.status == DETERMINED,
        "messages": law.messages,
        "objective": _objective(law.objective),
        "rows": f"{int(law.data['used'].sum())} of {len(law.data)}",
        "backtest": _backtest(law.backtest),
        "backtest_parameters": _backtest(law.backtest_parameters),
    }


def _allocation_row(allocation: Allocation) -> dict[str, Any]:
    budgets = []
    for row in allocation.table.to_dict("records"):
        cells = {name: with_interval(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ALLOCATED}
        beyond = float(row["extrapolates"])
        budgets.append({"flops": number(row["flops"], 2), **cells, "beyond": f"{beyond:.1f}" if beyond >= 0.05 else ""})
    return {
        "title": allocation.title,
        "source": allocation.source,
        "exponents": [
            {"symbol": symbol_html(estimate.symbol), "text": with_interval(estimate.value, estimate.low, estimate.high)}
            for estimate in allocation.exponents.values()
        ],
        "determined": allocation.status == DETERMINED,
        "messages": allocation.messages,
        "budgets": budgets,
    }


def _counted(found: Recounted, account: str) -> str:
    if account not in found.estimates:
        return "not fitted"
    doubt = "" if found.status[account] == DETERMINED else ", not determined"
    return f"{estimate_value(found.estimates[account])}{doubt}"


def _amount(column: str, value: float) -> str:
    if column == "seconds":
        return duration(float(value))
    return number(float(value), 3) if column == "flops" else readable(float(value))


def _backtest(backtest: Backtest | None) -> str:
    if backtest is None:
        return ""
    if len(backtest.rows) == 1:
        return f"{percent(backtest.worst_error)} (1 row)"
    return f"{percent(backtest.mean_error)} mean, {percent(backtest.worst_error)} worst ({len(backtest.rows)} rows)"


def _objective(objective: Mapping[str, Any]) -> str:
    """How a law was fitted, in words: Huber (δ = 0.001) on ln loss, 1.07×10⁻⁴; how the intervals were made."""
    residual = {"log": "ln loss", "loss": "the value itself"}[objective["residual"]]
    delta = objective["delta"]
    loss = "Least squares" if delta is None else f"Huber (δ = {number(delta, 1 if delta < 1 else 3)})"
    value = f", {number(objective['value'])}" if "value" in objective else ""
    interval = f"; intervals from {objective['resampling']}" if "resampling" in objective else ""
    return f"{loss} on {residual}{value}{interval}"
