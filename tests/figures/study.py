"""A study whose laws are known: observations made from them, and the laws as a fit would leave them."""

import numpy as np
import pandas as pd
from scalelaws.laws.fitted import Allocation, Backtest, Estimate, FittedLaw, Laws
from scalelaws.laws.forms import FORMS
from scalelaws.observations.table import LOSS_COLUMNS, RUN_COLUMNS, Observations, validated

SIZES = (10_000.0, 25_000.0, 65_000.0, 160_000.0, 400_000.0)
SUBSETS = (40_000.0, 130_000.0, 400_000.0, 1_300_000.0, 4_000_000.0)
BATCH = 4096.0
STEPS = 16
OOD = {
    "mathematics": (0.35, 1.0),
    "readmes": (0.6, 0.9),
    "python_code": (0.9, 0.8),
    "licences": (1.1, 0.7),
    "other_languages": (2.4, 0.6),
}
"""Offset and slope of each OOD corpus's loss against the held-out loss."""
CHINCHILLA = {"E": 1.5, "A": 100.0, "B": 800.0, "alpha": 0.35, "beta": 0.45}
GAP = {"G": 0.75, "p": 0.35, "q": 0.45}


def synthetic_observations(seed: int = 1, seeds_of_small_subsets: int = 2, noise: float = 0.01) -> Observations:
    """Five sizes by five subsets, 16 steps each, train and test of one corpus and test of five OOD corpora."""
    random = np.random.default_rng(seed)
    losses, runs = [], []
    for size in SIZES:
        for subset in SUBSETS:
            for number in range(seeds_of_small_subsets if subset <= SUBSETS[1] else 1):
                run, rows = _run(size, subset, number, noise, random)
                runs.append(run)
                losses += rows
    return validated(pd.DataFrame(losses, columns=list(LOSS_COLUMNS)), pd.DataFrame(runs, columns=list(RUN_COLUMNS)))


def _run(size: float, subset: float, seed: int, noise: float, random: np.random.Generator) -> tuple[dict, list[dict]]:
    name = f"{size / 1e3:g}k-{subset / 1e3:g}k-s{seed}"
    processed = min(4e6, subset * 30)
    steps = np.unique(np.geomspace(4, processed / BATCH, STEPS).round().astype(int))
    tokens = steps * BATCH
    p = CHINCHILLA
    wiggle = noise * random.standard_normal() * (SUBSETS[-1] / subset) ** 0.3
    epochs = tokens / subset
    # text that is repeated teaches less each time, as in Muennighoff et al. 2023
    worth = np.where(epochs > 1, subset * (1 + 2 * (1 - np.exp(-(epochs - 1) / 2))), tokens)
    gap = GAP["G"] * size ** GAP["p"] / subset ** GAP["q"] * np.log1p(epochs)
    overfit = 0.5 * gap * epochs / (3 + epochs)
    test = p["E"] + p["A"] * size ** -p["alpha"] + p["B"] * worth ** -p["beta"] + overfit + wiggle
    best = int(np.argmin(test))
    last = min(best + 4, len(steps))
    rows = []
    for i in range(last):
        point = {"run": name, "step": steps[i], "tokens": tokens[i], "flops": 6 * size * tokens[i], "result": i == best}
        values = {("documentation", "test"): test[i], ("documentation", "train"): test[i] - gap[i]}
        for corpus, (offset, slope) in OOD.items():
            values[corpus, "test"] = offset + slope * test[i] + 0.01 * random.standard_normal()
        for (corpus, split), loss in values.items():
            measured = {"loss": loss, "loss_sem": 0.012, "bits_per_byte": loss / np.log(2) / 4}
            rows.append({**point, "corpus": corpus, "split": split, **measured})
    total = tokens[last - 1]
    run = {
        **{"run": name, "family": "transformer", "parameters": size, "embedding_parameters": 5e5},
        **{"n_layer": 2, "d_model": 64, "n_head": 4, "context": 128, "vocabulary": 4096, "positions": "learned"},
        **{"train_corpus": "documentation", "dataset_tokens": subset, "seed": seed, "batch_tokens": BATCH},
        **{"learning_rate": 4e-3, "schedule": "constant", "warmup_steps": 50, "averaging": 0.1, "dropout": 0.0},
        **{"weight_decay": 0.1, "precision": "bfloat16", "status": "early_stopped", "steps": steps[last - 1]},
        **{"result_step": steps[best], "tokens": total, "flops": 6 * size * total, "flops_total": 9 * size * total},
        **{"seconds": size * total / 5e9, "hardware": "cpu"},
    }
    return run, rows


def known_law(
    name: str, form: str, corpus: str, data: pd.DataFrame, values: dict[str, float], status: str = "determined"
) -> FittedLaw:
    """A law with the given values, draws within 3% of them, and the data that it claims to fit."""
    shape = FORMS[form]
    centre = np.array([values[p.name] for p in shape.parameters])
    draws = centre * (1 + 0.03 * np.random.default_rng(0).standard_normal((200, len(centre))))
    estimates = {
        p.name: Estimate(value, *np.quantile(draws[:, i], [0.025, 0.975]), p.unit, p.symbol)
        for i, (p, value) in enumerate(zip(shape.parameters, centre, strict=True))
    }
    kept = data[["run", "step", *shape.variables]].assign(observed=data["loss"], used=data.get("used", True))
    variables = {v: kept[v].to_numpy(float) for v in shape.variables}
    kept["predicted"] = shape.predict(values, variables)
    messages = [] if status == "determined" else ["Only three sizes: the exponent cannot be told from the floor."]
    return FittedLaw(
        name=name,
        form=form,
        title=name.replace("_", " "),
        corpus=corpus,
        split="test",
        parameters=estimates,
        status=status,
        messages=messages,
        data=kept,
        draws=draws,
        objective={
            "residual": "log",
            "loss": "huber",
            "delta": 0.001,
            "value": 0.01,
            "resamples": "bootstrap over runs",
        },
    )


def straight_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """α and x_c of y = (x_c / x)^α by least squares on logarithms."""
    slope, intercept = np.polyfit(np.log(x), np.log(y), 1)
    return -slope, float(np.exp(intercept / -slope))


def synthetic_laws(observations: Observations, status: str = "determined") -> Laws:
    """The laws of `synthetic_observations`, without running a fit."""
    corpus = observations.train_corpus
    results = observations.results(corpus)
    largest = results["dataset_tokens"] == SUBSETS[-1]
    laws = {}

    def add(name: str, form: str, on: str, data: pd.DataFrame, values: dict[str, float]) -> FittedLaw:
        laws[name] = known_law(name, form, on, data, values, status)
        return laws[name]

    for letter, variable, used in (
        ("N", "parameters", largest),
        ("D", "dataset_tokens", results["parameters"] == SIZES[-1]),
    ):
        alpha, scale = straight_line(results[used][variable].to_numpy(), results[used]["loss"].to_numpy())
        values = {f"alpha_{letter}": alpha, f"{letter}_c": scale}
        add(f"loss_of_{variable}", f"power_of_{variable}", corpus, results.assign(used=used), values)
    envelope = observations.curves(corpus).sort_values("flops")
    envelope = envelope[envelope["loss"] == envelope["loss"].cummin()]
    alpha, scale = straight_line(envelope["flops"].to_numpy(), envelope["loss"].to_numpy())
    add("loss_of_compute", "power_of_flops", corpus, envelope, {"alpha_C": alpha, "C_c": scale})
    chinchilla = add("loss_of_parameters_and_data_chinchilla", "chinchilla", corpus, results, CHINCHILLA)
    kaplan = {"alpha_N": 0.16, "alpha_D": 0.2, "N_c": 3e8, "D_c": 2.5e8}
    add("loss_of_parameters_and_data_kaplan", "kaplan", corpus, results, kaplan)
    gap = results.assign(loss=results["loss"] - observations.results(corpus, "train")["loss"])
    add("gap_of_parameters_and_data", "gap_power", corpus, gap, GAP)
    for name, (offset, slope) in OOD.items():
        ood = observations.results(name)
        alpha, scale = straight_line(ood[largest]["parameters"].to_numpy(), ood[largest]["loss"].to_numpy())
        values = {"alpha_N": alpha, "N_c": scale}
        add(f"ood_loss_of_parameters_{name}", "power_of_parameters", name, ood.assign(used=largest), values)
        line = ood.assign(loss=results["loss"])
        law = add(f"ood_line_{name}", "transfer_line", name, line, {"slope": slope, "offset": offset})
        law.data["observed"] = ood["loss"]
    held = chinchilla.data[chinchilla.data["parameters"] == SIZES[-1]].drop(columns=["used"])
    held = held.assign(relative_error=held["predicted"] / held["observed"] - 1)
    laws["loss_of_parameters_and_data_chinchilla"] = _with(chinchilla, Backtest("flops", held.tail(3), 25, 0.4))
    return Laws("synthetic", laws, {a: _allocation(a) for a in ("envelope", "isoflop", "parametric")}, _none(), {}, {})


def _with(law: FittedLaw, backtest: Backtest) -> FittedLaw:
    from dataclasses import replace

    return replace(law, backtest=backtest)


def _none() -> pd.DataFrame:
    return pd.DataFrame({"run": [], "reason": []})


def _allocation(approach: str) -> Allocation:
    a = {"envelope": 0.5, "isoflop": 0.48, "parametric": 0.46}[approach]
    budgets = np.geomspace(1e10, 1e13, 7)
    parameters = 0.15 * budgets**a
    frame = pd.DataFrame(
        {"flops": budgets, "parameters": parameters, "tokens": budgets / 6 / parameters, "loss": 30 * budgets**-0.07}
    )
    table = frame.assign(tokens_per_parameter=frame["tokens"] / frame["parameters"], extrapolates=0.0)
    for column in ("parameters", "tokens", "loss"):
        table[f"{column}_low"], table[f"{column}_high"] = table[column] * 0.8, table[column] * 1.25
    profiles, parabolas = [], []
    for row in frame.itertuples():
        centre = np.log(row.parameters)
        for size in np.geomspace(row.parameters / 8, row.parameters * 8, 5):
            loss = row.loss + 0.05 * (np.log(size) - centre) ** 2
            profiles.append({"flops": row.flops, "parameters": size, "loss": loss, "used": True})
        window = {"low": row.parameters / 8, "high": row.parameters * 8, "reason": ""}
        parabolas.append({"flops": row.flops, "curvature": 0.05, "log_parameters": centre, "loss": row.loss, **window})
    empty = approach != "isoflop"
    return Allocation(
        approach=approach,
        title=f"Approach {approach}",
        source="Hoffmann et al. 2022, section 3",
        status="determined",
        messages=[],
        exponents={
            "parameters": Estimate(a, a - 0.03, a + 0.03, "", "a"),
            "tokens": Estimate(1 - a, 0.97 - a, 1.03 - a, "", "b"),
        },
        points=frame.assign(used=True, reason="")
        if approach != "parametric"
        else frame.iloc[:0].assign(used=[], reason=[]),
        table=table,
        profiles=pd.DataFrame(profiles).iloc[:0] if empty else pd.DataFrame(profiles),
        parabolas=pd.DataFrame(parabolas).iloc[:0] if empty else pd.DataFrame(parabolas),
        draws=np.zeros((0, 2)),
    )
