"""A study of a table of finished runs: laws, figures and report, and nothing to train."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
import yaml
from scalelaws.io import read_json

from .start import planned, snakemake

CHINCHILLA = "loss_of_parameters_and_data_chinchilla"
STUDY = {
    "study": "brought",
    "table": {"path": "mine.csv", "where": "loss < 6"},
    "laws": {"resamples": 200, "fit": [CHINCHILLA, "loss_of_flops"]},
    "figures": {"formats": []},
}


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(1)
    n, d = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(1e9, 1e11, 6)))
    loss = (1.8 + 480 / n**0.35 + 2000 / d**0.37) * np.exp(0.004 * rng.standard_normal(36))
    table = pd.DataFrame({"Model Size": n, "D": d, "val_loss": loss}).rename(columns={"val_loss": "loss"})
    pd.concat([table, table.head(1).assign(loss=7.0)]).to_csv(tmp_path / "mine.csv", index=False)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return tmp_path


def test_a_table_becomes_laws_figures_and_a_report(folder):
    rules = planned(folder, "--", "report")
    assert set(rules) == {"import_table", "fit", "plot_figures", "write_report", "report"}
    printed = snakemake(folder, "--", "report")
    assert "parameters: column 'Model Size'" in printed
    results = folder / "results" / "brought"
    law = read_json(results / "laws.json")["laws"][CHINCHILLA]
    assert law["status"] == "determined"
    assert law["parameters"]["alpha"]["low"] <= 0.35 <= law["parameters"]["alpha"]["high"]
    assert sum(law["data"]["used"]) == 36
    page = (results / "report.html").read_text()
    assert "L(N,D), Chinchilla" in page
    assert 'id="corpora"' not in page
    assert planned(folder, "--", "report") == {}
    (folder / "mine.csv").write_text((folder / "mine.csv").read_text().replace("7.0", "7.5"))
    assert planned(folder, "--", "report")["fit"] == 1


def test_a_table_may_be_given_by_its_url(folder):
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = {"path": f"http://127.0.0.1:{server.server_port}/mine.csv", "where": "loss < 6"}
        (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, "table": there}))
        snakemake(folder, "--", "runs")
        server.shutdown()
    assert len(pd.read_parquet(folder / "results/brought/runs.parquet")) == 36


def test_a_table_that_is_not_there_is_one_line(folder):
    (folder / "mine.csv").unlink()
    done = snakemake(folder, "--", "report", check=False)
    assert "study.yaml: table.path: mine.csv: there is no such file. Name an existing table, or its URL." in done
    assert "Traceback" not in done


def test_a_setting_that_matplotlib_does_not_have_is_one_line(folder):
    (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, "figures": {"settings": {"font.siz": 9}}}))
    done = snakemake(folder, "--dry-run", "--", "report", check=False)
    assert "figures.settings: matplotlib has no setting 'font.siz'. Did you mean 'font.size'?" in done
    assert "Traceback" not in done


def test_a_style_that_is_not_there_is_one_line(folder):
    (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, "figures": {"style": "mine.mplstyle"}}))
    done = snakemake(folder, "--", "report", check=False)
    assert "study.yaml: figures.style: mine.mplstyle: there is no such file. Name an existing one." in done
    assert "Traceback" not in done
