"""What the package's documentation shows a notebook works as it is written."""

import textwrap

import numpy as np
import pandas as pd
import scalelaws.laws


def test_the_documented_example_runs(tmp_path, monkeypatch):
    n, d = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(1e9, 1e11, 6)))
    noise = np.exp(0.003 * np.random.default_rng(1).standard_normal(36))
    table = pd.DataFrame({"N": n, "D": d, "loss": (1.8 + 480 / n**0.35 + 2000 / d**0.37) * noise})
    table.to_csv(tmp_path / "runs.csv", index=False)
    monkeypatch.chdir(tmp_path)
    indented = [line for line in scalelaws.laws.__doc__.splitlines() if line.startswith("    ") or not line]
    example = textwrap.dedent("\n".join(indented)).replace('"resamples": 1000', '"resamples": 200')
    names = {}
    exec(compile(example, "example", "exec"), names)
    assert names["law"].status == "determined"
    assert names["law"].parameters["alpha"].contains(0.35)
