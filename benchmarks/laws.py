"""How fast and how honest the fits are.

python benchmarks/laws.py speed TABLE
    One fit and 4,000 bootstrap refits of the 240 Chinchilla points, against the plain way: L-BFGS from the 4,500
    starting points of Hoffmann et al. 2022. TABLE is the digitised one: "Model Size", "Training FLOP" and "loss".
python benchmarks/laws.py coverage
    How often 95% intervals hold the truth, per law, on synthetic studies.
python benchmarks/laws.py splits
    The same for the exponent of the best size, by the envelope and the IsoFLOP minima, of few sizes.
"""

import argparse
import itertools
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import logsumexp

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from laws.cases import CASES, task
from scalelaws.laws.allocation import envelope, isoflop
from scalelaws.laws.curves import profiles
from scalelaws.laws.estimate import fit_law
from scalelaws.laws.fitted import DETERMINED
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.solver import minimise
from scalelaws.laws.starts import solve

DELTA = 1e-3
HOFFMANN = [np.arange(0, 2.5, 0.5), np.arange(0, 30, 5), np.arange(0, 30, 5), np.arange(-1, 1.5, 0.5)]
"""Grids of alpha (and beta), a, b and e of section D.2: 5 · 5 · 6 · 6 · 5 = 4,500 starts."""
FEW = 100


def plain_objective(p, log_n, log_d, log_loss, weights):
    """Huber of the log-sum-exp form and its gradient, one start at a time; p = a, b, e, alpha, beta."""
    terms = np.stack([p[0] - p[3] * log_n, p[1] - p[4] * log_d, np.full_like(log_n, p[2])])
    total = logsumexp(terms, axis=0)
    residual = total - log_loss
    size = np.abs(residual)
    inner = np.minimum(size, DELTA)
    psi = weights * np.clip(residual, -DELTA, DELTA)
    shares = np.exp(terms - total)
    gradient = [
        shares[0] @ psi,
        shares[1] @ psi,
        shares[2] @ psi,
        -(shares[0] * log_n) @ psi,
        -(shares[1] * log_d) @ psi,
    ]
    return float(weights @ (inner * (size - 0.5 * inner))), np.array(gradient)


def plain_fit(starts, *data):
    """The best of L-BFGS from every start."""
    options = {"maxiter": 10_000, "ftol": 1e-15, "gtol": 1e-12}
    fits = (minimize(plain_objective, start, data, "L-BFGS-B", jac=True, options=options) for start in starts)
    return min(fits, key=lambda fit: fit.fun)


def hoffmann_starts():
    """The 4,500 starting points as a, b, e, alpha, beta."""
    alpha, a, b, e = HOFFMANN
    return [(ai, bi, ei, al, be) for al, be, ei, ai, bi in itertools.product(alpha, alpha, e, a, b)]


def chinchilla_points(path):
    """The 240 points: all but the five highest losses."""
    table = pd.read_csv(path)
    table = table[table["loss"] < table["loss"].nlargest(5).min()]
    size = table["Model Size"].to_numpy()
    return {"parameters": size, "dataset_tokens": table["Training FLOP"].to_numpy() / 6 / size}, table[
        "loss"
    ].to_numpy()


def speed(path):
    """Time one fit and the bootstrap, ours and plain, and print the ratios."""
    x, loss = chinchilla_points(path)
    problem = Problem(FORMS["chinchilla"], x, Objective("log", DELTA))
    ours, best = timed(lambda: solve(problem, loss, np.ones(len(loss))))
    data = np.log(x["parameters"]), np.log(x["dataset_tokens"]), np.log(loss), np.ones(len(loss))
    starts = hoffmann_starts()
    plain, fit = timed(lambda: plain_fit(starts, *data))
    print(
        f"one fit         ours {ours:8.3f} s   plain {plain:8.1f} s ({len(starts)} starts)   ratio {plain / ours:,.0f}"
    )
    print(f"  objective     ours {best.objective[0]:.16g}   plain {fit.fun:.16g}")

    weights = (
        np.random.default_rng(0).multinomial(len(loss), np.full(len(loss), 1 / len(loss)), size=4000).astype(float)
    )
    start = np.repeat(best.theta, 4000, axis=0)
    ours, draws = timed(lambda: minimise(problem, start, loss, weights, tolerance=1e-9))
    few, _ = timed(lambda: [plain_fit([fit.x], *data[:3], row) for row in weights[:FEW]])
    plain = few * 4000 / FEW
    print(f"4,000 resamples ours {ours:8.3f} s   plain {plain:8.1f} s (from {FEW} of them)   ratio {plain / ours:,.0f}")
    print(f"  converged     ours {draws.converged.mean():.2%}")


def coverage(studies, resamples, cases):
    """Print, per case and parameter, the share of studies whose 95% interval holds the truth, and bias over spread."""
    print(f"{studies} studies each, {resamples} resamples; share of 95% intervals that hold the truth, (bias / spread)")
    for name, case in CASES.items():
        if cases not in name:
            continue
        began = time.perf_counter()
        # Each case has noise of its own: with common seeds one unlucky draw would show in all of them.
        first = zlib.crc32(name.encode())
        tasks = (replace(task(case, first + i), tested=False) for i in range(studies))
        fits = [fit_law(given, resamples, first + i, 0.2).parameters for i, given in enumerate(tasks)]
        fits = [fit for fit in fits if fit]
        words = []
        for key, truth in case.truth.items():
            held = np.mean([fit[key].contains(truth) for fit in fits])
            values = np.array([fit[key].value for fit in fits])
            if key in {p.name for p in FORMS[case.form].parameters if p.role == "scale"}:
                values, truth = np.log(values), np.log(truth)
            words.append(f"{key} {held:.1%} ({(np.median(values) - truth) / values.std():+.2f})")
        print(f"{name:26} {'  '.join(words)}   [{time.perf_counter() - began:.0f} s]", flush=True)


def splits(studies, resamples):
    """Print, per approach and number of sizes, how many studies it determines, and the share whose interval holds the
    truth: of tables of final losses, each with noise of its own, and of learning curves, each with one shift."""
    alpha, beta, noise = 0.34, 0.28, 0.005
    truth = beta / (alpha + beta)
    print(f"{studies} studies each, {resamples} resamples; the exponent is {truth:.3f}")
    for subsets, sizes in itertools.product((6, 25), (4, 5, 6, 10)):
        n, d = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, sizes), np.geomspace(1e9, 1e12, subsets)))
        rows = pd.DataFrame({"parameters": n, "dataset_tokens": d, "flops": 6 * n * d, "fresh": True})
        rows = rows.assign(run=[f"{i}" for i in range(len(n))], track=rows["parameters"].astype(str))
        exact, curve = 1.69 + 406.4 / n**alpha + 410.7 / d**beta, np.unique(n, return_inverse=True)[1]
        found = {envelope: [], isoflop: []}
        for seed in range(studies):
            drawn = np.random.default_rng(seed).standard_normal(len(n))
            drawn = drawn[curve] if subsets > 6 else drawn
            given = profiles(rows.assign(loss=exact * np.exp(noise * drawn)), noise)
            for approach, estimates in found.items():
                split = approach(given, resamples, seed)
                estimates += [split.exponents["parameters"]] if split.status == DETERMINED else []
        what = "curves" if subsets > 6 else "final losses"
        for approach, estimates in found.items():
            held = f"{np.mean([each.contains(truth) for each in estimates]):.0%}" if estimates else ""
            middle = f"{np.mean([each.value for each in estimates]):.3f}" if estimates else ""
            print(
                f"{sizes:>3} sizes, {what:12} {approach.__name__:8} determined {len(estimates):>4}  {held:>4}  {middle}"
            )


def timed(work):
    """Seconds that `work` takes (best of three where it is short), and what it returns."""
    seconds = []
    while len(seconds) < 3 and sum(seconds) < 5:
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
    return min(seconds), result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="what")
    commands.add_parser("speed").add_argument("table")
    options = commands.add_parser("coverage")
    options.add_argument("--studies", type=int, default=300)
    options.add_argument("--resamples", type=int, default=500)
    options.add_argument("--cases", default="", help="only those whose name holds this")
    options = commands.add_parser("splits")
    options.add_argument("--studies", type=int, default=60)
    options.add_argument("--resamples", type=int, default=200)
    chosen = parser.parse_args()
    if chosen.what == "speed":
        speed(chosen.table)
    elif chosen.what == "splits":
        splits(chosen.studies, chosen.resamples)
    else:
        coverage(chosen.studies, chosen.resamples, chosen.cases)
