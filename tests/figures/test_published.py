"""The papers' own tables, with nothing trained, give the papers' figures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scalelaws.figures.draw import kinds
from scalelaws.figures.numbers import numbers_of
from scalelaws.figures.registry import Material
from scalelaws.laws.study import fit_laws
from scalelaws.observations.read import read_table

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "published"
GPT3 = {
    **{"small": (12, 768), "medium": (24, 1024), "large": (24, 1536), "xl": (24, 2048), "2.7b": (32, 2560)},
    **{"6.7b": (32, 4096), "13b": (40, 5140), "175b": (96, 12288)},
}
"""Layers and width of each model (Brown et al. 2020, table 2.1)."""

pytestmark = [
    pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published tables are not beside this repository"),
    pytest.mark.usefixtures("style"),
]


def study(path, fit, **reading):
    observations = read_table(path, **reading).observations
    return Material(observations, fit_laws(observations, {"resamples": 100, "fit": fit}, seed=1))


@pytest.fixture(scope="module")
def chinchilla():
    columns = {"parameters": "Model Size", "flops": "Training FLOP"}
    table = PUBLISHED / "epoch_chinchilla" / "svg_extracted_data.csv"
    return study(
        table, ["loss_of_flops", "loss_of_parameters_and_data_chinchilla"], columns=columns, where="loss < 3.44"
    )


@pytest.fixture(scope="module")
def gpt3(tmp_path_factory):
    rows = pd.read_csv(PUBLISHED / "gpt3_curves" / "extracted.csv").dropna(subset="val_loss")
    rows = rows.sort_values(["model", "step"])
    rows = rows[rows.groupby("model").cumcount() % 25 == 0]
    sizes = {model: 12 * layers * width**2 for model, (layers, width) in GPT3.items()}
    table = pd.DataFrame({"run": rows["model"], "parameters": rows["model"].map(sizes), "loss": rows["val_loss"]})
    table = table.assign(dataset_tokens=rows["step"] * 1e9, step=rows.groupby("model").cumcount() + 1)
    file = tmp_path_factory.mktemp("gpt3") / "gpt3.csv"
    table.to_csv(file, index=False)
    return study(file, ["loss_of_flops"])


def numbers(name, material):
    (kind,) = (kind for kind in kinds() if kind.name == name)
    return numbers_of(kind.draw(material))


def test_chinchilla_three_approaches_agree_on_half(chinchilla):
    table = numbers("optimal_allocation", chinchilla)
    for series in ("Envelope of learning curves", "IsoFLOP minima", "Parametric law"):
        line = table[table["panel"].str.contains("parameters") & table["series"].str.startswith(f"{series}, extra")]
        line = line[line["mark"] == "line"]
        slope = np.polyfit(np.log(line["x"]), np.log(line["y"]), 1)[0]
        assert 0.42 < slope < 0.58, series


def test_chinchilla_has_isoflop_profiles_with_their_minima(chinchilla):
    table = numbers("isoflop", chinchilla)
    assert table["series"].str.endswith("parabola").any()
    minima = table[table["series"].str.endswith("minimum")]
    assert len(minima) >= 6
    assert minima["x"].corr(minima["y"], method="spearman") < -0.95, "larger best sizes have lower losses"


def test_chinchilla_contours_and_slices_show_all_240_runs(chinchilla):
    contours = numbers("parametric_contours", chinchilla)
    assert (contours["mark"] == "points").sum() == 240
    frontier = contours[contours["series"] == "frontier"]
    slope = np.polyfit(np.log(frontier["x"]), np.log(frontier["y"]), 1)[0]
    assert slope == pytest.approx(0.5139, abs=1e-3)
    slices = numbers("parametric_slices", chinchilla)
    runs = slices[(slices["mark"] == "points") & ~slices["series"].str.contains("best size")]
    assert len(runs) == 240


def test_gpt3_curves_have_an_envelope_and_a_law_of_compute(gpt3):
    curves = numbers("learning_curves", gpt3)
    assert curves.loc[curves["mark"] == "line", "series"].nunique() == len(GPT3)
    law = numbers("loss_vs_compute", gpt3).query("series == 'law' and mark == 'line'")
    slope = np.polyfit(np.log(law["x"]), np.log(law["y"]), 1)[0]
    assert -slope == pytest.approx(0.05, abs=0.012)
    points = numbers("envelope", gpt3)
    assert (points["series"] == "envelope").sum() >= 3


def test_gemstones_show_their_22_shapes():
    table = PUBLISHED / "gemstones" / "wandb_dfs" / "wandb_df_for_fitting_hot.jsonl"
    drawn = numbers("shape", study(table, ["loss_of_parameters"]))
    aspect = drawn[drawn["panel"].str.contains("Aspect")]
    assert len(aspect) == 22
    assert aspect["x"].max() / aspect["x"].min() > 20


def test_gadre_has_a_matrix_of_seven_other_texts(tmp_path):
    rows = pd.read_csv(PUBLISHED / "gadre" / "runs.csv")
    rows[rows["train_set"] == "c4_original"].to_csv(tmp_path / "gadre.csv", index=False)
    material = study(tmp_path / "gadre.csv", ["ood_transfer"])
    slopes = numbers("gap_matrix", material).query("series.str.startswith('Slope')", engine="python")["low"].dropna()
    assert len(slopes) == 1 + 7
    lines = numbers("ood_loss_vs_test_loss", material)
    points = lines[lines["mark"] == "points"].groupby("series").size()
    assert len(points) == 7


def test_dense_routing_baselines_have_five_other_texts(tmp_path):
    rows = pd.read_csv(PUBLISHED / "routing" / "curves.csv.gz")
    dense = rows[(rows["router_type"] == "Dense") & (rows["flop_increase"] == 1) & (rows["step"] == 249_000)]
    losses = [column for column in dense if column.startswith("loss_")]
    table = dense[["dense_parameter_count", *losses]].assign(tokens=130e9)
    table.to_csv(tmp_path / "routing.csv", index=False)
    material = study(tmp_path / "routing.csv", ["loss_of_parameters", "ood_loss", "ood_transfer"])
    drawn = numbers("ood_loss_vs_parameters", material)
    points = drawn[drawn["mark"] == "points"].groupby("series").size()
    assert sorted(points) == sorted(table[losses].notna().sum())
    law = numbers("loss_vs_parameters", material).query("series == 'law' and mark == 'line'")
    assert np.polyfit(np.log(law["x"]), np.log(law["y"]), 1)[0] == pytest.approx(-0.0786, abs=2e-3)
