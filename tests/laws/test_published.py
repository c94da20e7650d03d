"""Published tables, fitted anew: at least as good an optimum as the published one, and its numbers where it is one."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scalelaws.laws.allocation import parametric
from scalelaws.laws.answers import transfer_matrix
from scalelaws.laws.curves import lowest_sizes, profiles
from scalelaws.laws.fitted import Estimate, FittedLaw
from scalelaws.laws.form import constrained
from scalelaws.laws.forms import FORMS
from scalelaws.laws.problem import Objective, Problem
from scalelaws.laws.solver import minimise
from scalelaws.laws.starts import solve
from scalelaws.laws.study import fit_laws
from scalelaws.observations.read import read_table
from scalelaws.units import PF_DAY

TABLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "published"
GEMSTONE_VOCABULARY = 50_304
needs_tables = pytest.mark.skipif(not TABLES.is_dir(), reason="the published tables are not beside this checkout")
pytestmark = needs_tables
HUBER = Objective("log", 1e-3)


def fitted(form, x, loss, objective=HUBER):
    """Parameters by name, and the objective, of a form (or its key) fitted to columns."""
    form = FORMS[form] if isinstance(form, str) else form
    loss = np.asarray(loss, float)
    problem = Problem(form, {name: np.asarray(x[name], float) for name in form.variables}, objective)
    best = solve(problem, loss, np.ones(len(loss)))
    assert best.converged[0]
    names = [parameter.name for parameter in form.parameters]
    return dict(zip(names, form.to_parameters(best.theta[0]), strict=True)), float(best.objective[0])


def predicted(form, parameters, x):
    return FORMS[form].predict(parameters, {name: np.asarray(x[name], float) for name in FORMS[form].variables})


@pytest.fixture(scope="module")
def chinchilla():
    table = pd.read_csv(TABLES / "epoch_chinchilla" / "svg_extracted_data.csv")
    table = table[table["loss"] < table["loss"].nlargest(5).min()]
    table = table.rename(columns={"Model Size": "parameters", "Training FLOP": "flops"})
    return table.assign(dataset_tokens=table["flops"] / 6 / table["parameters"])


def test_chinchilla_points_reach_the_optimum(chinchilla):
    parameters, objective = fitted("chinchilla", chinchilla, chinchilla["loss"])
    assert len(chinchilla) == 240
    assert objective <= 0.0010182740178006 * (1 + 1e-9)
    expected = {"A": 477.826, "B": 2143.417, "E": 1.817218, "alpha": 0.347310, "beta": 0.367172}
    assert parameters == pytest.approx(expected, rel=1e-5)
    assert parameters["beta"] / (parameters["alpha"] + parameters["beta"]) == pytest.approx(0.51390, abs=1e-5)


def test_chinchilla_headline_is_the_least_absolute_deviation(chinchilla):
    parameters, objective = fitted("chinchilla", chinchilla, chinchilla["loss"], Objective("log", 1e-7))
    assert objective / 1e-7 <= 1.129495
    expected = {"A": 482.0, "B": 2085.4, "E": 1.81686, "alpha": 0.34781, "beta": 0.36585}
    assert parameters == pytest.approx(expected, rel=2e-5)


def test_chinchilla_squared_loss_below_1e21(chinchilla):
    small = chinchilla[chinchilla["flops"] < 1e21]
    scaled = {"parameters": small["parameters"] / 1e6, "dataset_tokens": small["dataset_tokens"] / 1e9}
    parameters, objective = fitted("chinchilla", scaled, small["loss"], Objective("loss", None))
    assert len(small) == 217
    assert 2 * objective == pytest.approx(0.062414, abs=1e-6)
    expected = {"E": 1.905092, "A": 4.000522, "B": 1.050948, "alpha": 0.351058, "beta": 0.458742}
    assert parameters == pytest.approx(expected, rel=1e-5)


def test_chinchilla_bootstrap_has_the_published_standard_errors(chinchilla):
    form = FORMS["chinchilla"]
    x = {name: chinchilla[name].to_numpy() for name in form.variables}
    problem, loss = Problem(form, x, HUBER), chinchilla["loss"].to_numpy()
    best = solve(problem, loss, np.ones(240))
    # The published resamples, drawn as they were, so that only the solver can differ.
    drawn = np.random.RandomState(42)
    weights = np.stack([np.bincount(drawn.choice(240, size=240), minlength=240) for _ in range(4000)]).astype(float)
    draws = minimise(problem, np.repeat(best.theta, 4000, axis=0), loss, weights, tolerance=1e-9)
    assert draws.converged.all()
    parameters = form.to_parameters(draws.theta)
    expected = np.array([0.02566, 124.52, 1293.3, 0.01540, 0.02060])
    np.testing.assert_allclose(parameters.std(axis=0), expected, rtol=2e-3)
    low, high = np.quantile(parameters, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(low, [1.769, 285.2, 1042.4, 0.317, 0.331], rtol=4e-3)
    np.testing.assert_allclose(high, [1.871, 743.6, 5810.3, 0.373, 0.415], rtol=4e-3)
    assert (parameters[:, 4] / (parameters[:, 3] + parameters[:, 4])).std() == pytest.approx(0.020, abs=5e-4)


GEMSTONES = {
    "parameters": ("chinchilla", ["hot", "cool_begin", "cool_end", "hot_100b+", "hot_120b+_only", "slim_chinchilla"]),
    "width_depth_parameters": ("shape_of_width_depth_parameters_dataset", ["cool_end", "lr_ablation_hot"]),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, (_, names) in GEMSTONES.items() for name in names])
def test_gemstones_are_never_worse_than_published(kind, name):
    table = pd.read_json(TABLES / "gemstones" / "wandb_dfs" / f"wandb_df_for_fitting_{name}.jsonl", lines=True)
    table = table.rename(columns={"params_active_precise": "parameters", "tokens": "dataset_tokens"})
    fits = TABLES / "gemstones" / "published_fits"
    published = json.loads((fits / f"approach_3_{kind}_grid_search_0_{name}.json").read_text())
    parameters, objective = fitted(GEMSTONES[kind][0], table, table["final_loss"])
    assert objective <= published["loss"]["0"] * (1 + 1e-9)
    if kind == "parameters" and name in ("hot", "cool_end", "hot_100b+"):
        exponents = parameters["alpha"], parameters["beta"]
        assert exponents == pytest.approx(published["exponents"]["0"], abs=1e-3)


def test_gemstones_without_embeddings_shift_the_exponent():
    table = pd.read_json(TABLES / "gemstones" / "wandb_dfs" / "wandb_df_for_fitting_hot.jsonl", lines=True)
    size = table["params_active_precise"] - GEMSTONE_VOCABULARY * table["width"]
    x = {"parameters": size, "dataset_tokens": table["tokens"]}
    parameters, objective = fitted("chinchilla", x, table["final_loss"])
    assert objective <= 0.0017466699 * (1 + 1e-9)
    assert (parameters["alpha"], parameters["beta"]) == pytest.approx((0.28076, 0.67970), abs=1e-3)


def test_the_olmo_ladder_predicts_13b_as_published():
    table = pd.read_csv(TABLES / "olmo_ladder" / "ladder_c4.csv")
    table = table.rename(columns={"N": "parameters", "D": "dataset_tokens"})
    train, held_out = table[table["mode"] == "train"], table[table["mode"] == "eval"]
    parameters, objective = fitted("chinchilla", train, train["c4_loss_last5mean"])
    assert objective <= 3.2998573e-5
    assert predicted("chinchilla", parameters, held_out)[1] == pytest.approx(2.3443873, abs=1e-6)


@pytest.mark.parametrize(
    ("train_set", "largest", "errors"),
    [
        ("rpj", [(1.4e9, 640), (6.9e9, 20)], [0.7103, 0.7320]),
        ("c4_original", [(1.4e9, 20), (1.4e9, 80), (6.9e9, 20)], [0.7795, 1.4979, 4.2952]),
        ("rw_original", [(1.4e9, 20), (1.4e9, 320), (6.9e9, 20)], [0.5595, 0.0052, 1.6193]),
    ],
)
def test_overtrained_runs_are_predicted_to_the_published_error(train_set, largest, errors):
    table = pd.read_csv(TABLES / "gadre" / "runs.csv")
    table = table[table["train_set"] == train_set].rename(columns={"N": "parameters", "M": "tokens_per_parameter"})
    small = table[table["parameters"] < 1e9]
    at_20 = small[small["chinchilla_multiplier"] == 1]
    smallest = small[(small["parameters"] < 2e7) & (small["chinchilla_multiplier"] == 16)]
    train = pd.concat([at_20, smallest])
    parameters, _ = fitted("overtraining", train, train["loss_c4_val"], Objective("loss", None))
    for (size, multiplier), error in zip(largest, errors, strict=True):
        near = (table["parameters"] / size - 1).abs() < 0.1
        row = table[near & (table["tokens_per_parameter"].round() == multiplier)]
        found = predicted("overtraining", parameters, row)[0] / row["loss_c4_val"].iloc[0] - 1
        assert abs(100 * found) == pytest.approx(error, abs=1e-4)


def test_repeated_data_reach_the_published_objective_and_fit():
    table = pd.read_csv(TABLES / "datablations" / "runs_182_outliers_removed.csv")
    base = {"s_N": 6.255414, "s_D": 7.3049974, "s_E": 0.6254804, "alpha": 0.3526596, "beta": 0.3526596}
    tokens_each = np.exp((base["s_N"] - base["s_D"]) / base["alpha"])
    unique = table["unique_tokens_U_D"].astype(float)
    x = {
        "parameters": table["N"].astype(float),
        "needed_parameters": np.minimum(table["N"], tokens_each * unique),
        "tokens": table["tokens_total_D"].astype(float),
        "dataset_tokens": unique,
    }
    form, loss = constrained(FORMS["repeated_data"], base), table["val_loss_C4"].to_numpy()
    assert form.coordinates == ("ln_R_N", "ln_R_D")
    _, objective = fitted(form, x, loss)
    assert objective <= 0.0158259366

    def explained(rates):
        values = form.natural(
            {name: np.array(np.log(rate)) for name, rate in zip(form.coordinates, rates, strict=True)}
        )
        prediction = form.predict(values, {name: np.asarray(column) for name, column in x.items()})
        return 1 - np.square(loss - prediction).sum() / np.square(loss - loss.mean()).sum()

    assert explained((5.309743, 15.387756)) == pytest.approx(0.7722046084968, abs=1e-7)
    assert explained((1e12, 1e12)) == pytest.approx(0.4451684378760, abs=1e-7)
    assert explained((1e12, 2.9157212)) == pytest.approx(0.7354468934623, abs=1e-7)


def test_dense_routing_models_have_the_published_slope():
    table = pd.read_csv(TABLES / "routing" / "curves.csv.gz")
    dense = table[(table["router_type"] == "Dense") & (table["flop_increase"] == 1) & (table["step"] == 249000)]
    loss = dense.groupby("dense_parameter_count")["loss_validation"].mean()
    parameters, _ = fitted("power_of_parameters", {"parameters": loss.index}, loss, Objective("log", None))
    assert parameters["alpha_N"] == pytest.approx(0.07862, abs=1e-5)
    assert parameters["N_c"] == pytest.approx(3.568e13, rel=1e-3)


def test_gpt3_learning_curves_have_the_published_envelope():
    shapes = {"small": (12, 768), "medium": (24, 1024), "large": (24, 1536), "xl": (24, 2048)}
    shapes |= {"2.7b": (32, 2560), "6.7b": (32, 4096), "13b": (40, 5140), "175b": (96, 12288)}
    rows = pd.read_csv(TABLES / "gpt3_curves" / "extracted.csv").dropna(subset="val_loss")
    parameters = rows["model"].map({model: 12.0 * layers * width**2 for model, (layers, width) in shapes.items()})
    flops = 6 * parameters * rows["step"] * 1e9
    rows = rows.assign(
        run=rows["model"], track=rows["model"], parameters=parameters, flops=flops, loss=rows["val_loss"]
    )
    rows = rows.assign(fresh=True, dataset_tokens=1.0)
    found = profiles(rows, noise=0.0)
    inside = (found.flops >= 0.1 * PF_DAY) & (found.flops <= 5e3 * PF_DAY)
    _, lowest, _ = lowest_sizes(found.log_loss[:, inside])
    x = {"flops": found.flops[inside]}
    law, _ = fitted("power_of_flops", x, np.exp(lowest), Objective("log", None))
    assert law["alpha_C"] == pytest.approx(0.0480, abs=0.002)
    assert (law["C_c"] / PF_DAY) ** law["alpha_C"] == pytest.approx(2.69, rel=0.05)


def matrix_row(table, names, folder, size="N", tokens="D"):
    """Laws of transfer from the first evaluation named to the others."""
    columns = {"run": table["name"], "N": table[size], "D": table[tokens]}
    long = [pd.DataFrame({**columns, "loss": table[f"loss_{name}"], "corpus": name}) for name in names]
    pd.concat(long).to_csv(folder / "matrix.csv", index=False)
    observations = read_table(folder / "matrix.csv").observations
    return fit_laws(observations, {"fit": ["ood_transfer"], "resamples": 300}, seed=0)


def test_training_sets_transfer_differently_to_each_evaluation(tmp_path):
    table = pd.read_csv(TABLES / "gadre" / "runs.csv")
    evaluations = [name.removeprefix("loss_") for name in table if name.startswith("loss_")]
    own = {"c4_original": "c4_val", "rpj": "paloma_redpajama", "rw_original": "paloma_falcon-refinedweb"}
    found = {}
    for train_set, name in own.items():
        names = [name, *(other for other in evaluations if other != name)]
        found[train_set] = matrix_row(table[table["train_set"] == train_set], names, tmp_path)
    matrix = transfer_matrix(found).set_index(["trained_on", "corpus"])
    assert len(matrix) == 3 * 7
    same_text = matrix.loc[("c4_original", "paloma_c4_en")]
    assert same_text["slope"] == pytest.approx(1, abs=0.02)
    assert same_text["offset"] == pytest.approx(0, abs=0.05)
    german = matrix.xs("val_de-en_100", level="corpus")
    assert (german["slope_low"] > 1.2).all()
    assert not german["constant_offset"].any()
    code = matrix.xs("paloma_dolma_100_programing_languages", level="corpus")["slope"]
    assert code["rpj"] < code[["c4_original", "rw_original"]].min(), (
        "only rpj holds code, so only there does it keep pace"
    )


def test_routing_models_gain_more_on_lambada_than_on_held_out_text(tmp_path):
    table = pd.read_csv(TABLES / "routing" / "curves.csv.gz")
    dense = table[(table["router_type"] == "Dense") & (table["flop_increase"] == 1) & (table["step"] == 249000)]
    dense = dense.assign(name=dense["hyper_id"], tokens=130e9)
    names = ["validation", "c4", "curation_corpus", "lambada", "pile", "wikitext103"]
    laws = matrix_row(dense, names, tmp_path, "dense_parameter_count", "tokens")
    slopes = transfer_matrix({"routing": laws}).set_index("corpus")
    assert len(slopes) == 5
    assert slopes.loc["lambada", "slope_low"] > 1.5
    assert slopes.loc["curation_corpus", "constant_offset"]
    assert not slopes.loc["c4", "constant_offset"]


def test_the_closed_form_gives_the_published_optimal_sizes():
    """Hoffmann's rounded and unrounded constants, and Epoch's, at Gopher's budget of 5.76e23 FLOPs."""
    constants = {
        32e9: {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
        40e9: {
            "E": np.exp(0.5267228),
            "A": np.exp(6.0073404),
            "B": np.exp(6.0179186),
            "alpha": 0.33917084,
            "beta": 0.2849083,
        },
        72e9: {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658},
    }
    for expected, values in constants.items():
        names = [parameter.name for parameter in FORMS["chinchilla"].parameters]
        estimates = {name: Estimate(values[name], values[name], values[name], "", name) for name in names}
        draws = np.array([[values[name] for name in names]] * 2)
        data = pd.DataFrame({"used": [True], "parameters": 1.0, "dataset_tokens": 1.0})
        law = FittedLaw("c", "chinchilla", "", "", "", estimates, "determined", [], data, draws, {})
        row = parametric(law, (1e20, 1e24)).at(5.76e23)
        assert row["parameters"] == pytest.approx(expected, rel=0.03)
        assert row["loss"] == pytest.approx(
            float(law.predict(parameters=row["parameters"], dataset_tokens=row["tokens"]))
        )
