"""What an optimal design is worth: intervals of laws fitted to synthetic studies whose truth is known.

python benchmarks/design.py
    Per budget: runs are made up at the truth with normal noise in ln L, the law is fitted, many times over. Printed is,
    per quantity, half the width of the interval that holds 95% of the fits, for plain grids of the same cost and number
    of runs, IsoFLOP profiles (Hoffmann et al. 2022, approach 2), and the design; the truth differs from the prior.
"""

import argparse

import numpy as np
from scalelaws.laws.budget import CHINCHILLA, QUANTITIES, Design, best_design, expected_errors, optimum, plain_grid
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.starts import refit, solve

RUNS = 25
TRUTHS = {
    "prior": CHINCHILLA,
    "other": {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},  # Hoffmann et al. 2022, rounded
}
BUDGETS = {1e19: (1e6, 3e8), 1e20: (3e6, 1e9), 1e21: (1e7, 3e9)}


def isoflop(budget, law):
    """Five budgets a factor 3 apart, each with five sizes around its optimum, a factor 2 apart."""
    shares = 3.0 ** np.arange(5)
    flops = np.repeat(budget / 5 * shares / shares.sum(), 5)
    sizes = np.array([optimum(law, c)[0] for c in flops]) * np.tile(2.0 ** np.arange(-2, 3), 5)
    return Design(sizes, flops / 6 / sizes)


def spread(design, truth, noise, target, studies, rng):
    """Half the width of the central 95% of each quantity over fits to `studies` studies of the design."""
    x = {"parameters": design.parameters, "dataset_tokens": design.tokens}
    exact = FORMS["chinchilla"].predict(truth, x)
    observed = exact * np.exp(noise * rng.standard_normal((studies, len(exact))))
    problem = Problem(FORMS["chinchilla"], x, Objective("log", None))
    start = solve(problem, exact, np.ones(len(exact))).theta
    fits = refit(problem, np.repeat(start, studies, axis=0), observed, np.ones(observed.shape))
    named = {
        p.name: column
        for p, column in zip(problem.form.parameters, problem.form.to_parameters(fits.theta).T, strict=True)
    }
    n, d = optimum(truth, target)
    values = {
        "E": named["E"],
        "alpha": named["alpha"],
        "beta": named["beta"],
        "a": named["beta"] / (named["alpha"] + named["beta"]),
        "loss": np.log(FORMS["chinchilla"].predict(named, {"parameters": n, "dataset_tokens": d})),
    }
    return {name: np.diff(np.quantile(value, [0.025, 0.975]))[0] / 2 for name, value in values.items()}


def line(name, found, best=None):
    """One row of the table; `best` are the values that the ratio is taken to."""
    ratio = "" if best is None else f"{np.exp(np.mean([np.log(found[q] / best[q]) for q in QUANTITIES])):8.2f}"
    print(f"  {name:34}" + "".join(f"{found[q]:9.4f}" for q in QUANTITIES) + ratio, flush=True)


def compare(budget, sizes, truth, noise, studies):
    """Print the intervals of every design at one budget and truth."""
    target, rng = 10 * budget, np.random.default_rng(0)
    ours = best_design(budget, RUNS, target, sizes, 1e13)
    simulated = spread(ours, truth, noise, target, studies, rng)
    print(f"  {'':34}" + "".join(f"{q:>9}" for q in QUANTITIES) + "  ÷ design")
    line("design, simulated", simulated)
    line("design, as its Jacobian expects", expected_errors(ours, truth, noise, target))
    for span in (10, 30, 100):
        grid = plain_grid(budget, (5, 5), (span, span))
        ratios = grid.tokens / grid.parameters
        name = f"grid, N and D over {span}× ({ratios.min():.2g}–{ratios.max():.3g} D/N)"
        line(name, spread(grid, truth, noise, target, studies, rng), simulated)
    line("IsoFLOP profiles", spread(isoflop(budget, CHINCHILLA), truth, noise, target, studies, rng), simulated)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--noise", type=float, default=0.005, help="standard deviation of ln L from run to run")
    options = parser.parse_args()
    for budget, sizes in BUDGETS.items():
        for name, truth in TRUTHS.items():
            print(f"{budget:.0e} FLOPs, {RUNS} runs, noise {options.noise:g}, truth: {name}")
            compare(budget, sizes, truth, options.noise, options.studies)
