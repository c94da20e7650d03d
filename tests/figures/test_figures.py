"""Every figure shows the data and laws that it claims to show, labelled, within its frame, or says why it cannot."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from scalelaws.figures.curves import learning_curves
from scalelaws.figures.draw import kinds
from scalelaws.figures.numbers import numbers_of
from scalelaws.figures.registry import FIGURES, Material, NotDrawableError, figure
from scalelaws.figures.style import UNDETERMINED_COLOUR
from scalelaws.figures.words import law_label
from scalelaws.laws.fitted import UNDETERMINED, Derived, Estimate, Laws
from scalelaws.laws.kaplan import DataLaw, contradiction
from scalelaws.laws.study import fit_laws
from scalelaws.observations.read import read_table
from scalelaws.observations.table import Observations

from .study import OOD, SIZES, STEPS, SUBSETS, synthetic_observations
from .varied import BATCHES, CONTEXTS, FEED_FORWARD, RATES, SHAPES
from .varied import SIZES as VARIED_SIZES

FROM_VARIED = {
    *("loss_vs_least_compute", "loss_vs_parameters_and_steps", "stopping_bound", "batch_scan", "critical_batch"),
    *("learning_rates", "schedule_horizon", "shape", "families", "context", "depth_and_transfer", "training_corpora"),
    *("least_compute_split", "loss_at_fixed_steps"),
}
"""Figures of what the usual study does not vary."""
NAMES = [kind.name for kind in kinds()]
USUAL = [name for name in NAMES if name not in FROM_VARIED]
RUNS = len(SIZES) * (len(SUBSETS) + 2)
LOGARITHMIC = dict.fromkeys(NAMES, "xy") | {
    "ood_loss_vs_test_loss": "",
    "ood_offsets": "",
    "gap_matrix": "",
    "backtest": "",
    "coverage": "",
    "reconciled_exponents": "",
    "cleaning_steps": "",
    "extrapolation_error": "y",
    "residuals": "x",
    "shape": "x",
}
POWERS = {
    f"measured_{name}_{what}": Derived(name, "", Estimate(value, 0.9 * value, 1.1 * value, "", "p"))
    for name, powers in {"parameters": (0.5, 0.1), "batch_tokens": (0.2, 3.0), "steps": (0.3, 0.5)}.items()
    for what, value in zip(("exponent", "factor"), powers, strict=True)
}
"""What grows with C_min, as a study with a measured critical batch derives it."""
WITHOUT_Y_LABEL = {"ood_offsets", "gap_matrix", "reconciled_exponents", "cleaning_steps"}
FEW_POINTS = {
    "envelope",
    "seed_noise",
    "backtest",
    "growing_compute",
    "cleaning_steps",
    "gap_matrix",
    "contradiction",
    "isoflop",
}
FEW_POINTS |= {
    "suboptimal_sizes",
    "extrapolation_error",
    "interval_vs_runs",
    "frontier_curvature",
    "least_compute_split",
}
FEW_POINTS |= {"reconciled_exponents", "learning_rates", "training_corpora", "schedule_horizon"}


@pytest.fixture(scope="module")
def drawn(material, varied):
    """Each figure, drawn once when it is first asked for, from the study that has what it needs."""
    done = {}

    measured = replace(varied, laws=replace(varied.laws, derived=POWERS))
    chosen = dict.fromkeys(FROM_VARIED, varied) | {"least_compute_split": measured}

    def once(name):
        if name not in done:
            done[name] = FIGURES[name].draw(chosen.get(name, material))
        return done[name]

    return once


@pytest.fixture(autouse=True)
def house_style(style):
    pass


def draw(name, observations, laws):
    return FIGURES[name].draw(Material(observations, laws))


def panels(sheet):
    return [ax for ax in sheet.axes if ax.get_label() != "<colorbar>"]


def numbers(sheet, mark, series=""):
    table = numbers_of(sheet)
    return table[(table["mark"] == mark) & table["series"].str.contains(series, regex=False)]


def in_panel(sheet, words):
    table = numbers_of(sheet)
    return table[table["panel"].str.contains(words, regex=False)]


def texts(sheet):
    legends = [text.get_text() for legend in sheet.legends for text in legend.get_texts()]
    return legends + [text.get_text() for ax in sheet.axes for text in [*ax.texts, ax.title, ax._left_title]]


@pytest.mark.parametrize("name", NAMES)
def test_axes_are_labelled_with_units_and_scaled_as_the_papers_scale_them(name, drawn):
    for ax in panels(drawn(name)):
        assert ax.get_xlabel()
        assert ax.get_ylabel() or name in WITHOUT_Y_LABEL
        assert ax.get_xscale() == ("log" if "x" in LOGARITHMIC[name] else "linear")
        assert ax.get_yscale() == ("log" if "y" in LOGARITHMIC[name] else "linear")
        for label in (ax.get_xlabel(), ax.get_ylabel()):
            if "oss" in label and not any(word in label for word in ("Excess", "over", "(%)", "reach", "lowest")):
                assert "nats/token" in label


@pytest.mark.parametrize("name", NAMES)
def test_nothing_sticks_out_and_nothing_is_too_small_to_read(name, drawn):
    sheet = drawn(name)
    FigureCanvasAgg(sheet).draw()
    width, height = sheet.get_size_inches()
    box = sheet.get_tightbbox()
    assert box.x0 > -0.02
    assert box.y0 > -0.02
    assert box.x1 < width + 0.02
    assert box.y1 < height + 0.02
    shown = [text for text in sheet.findobj(lambda a: hasattr(a, "get_fontsize")) if text.get_visible()]
    assert min(text.get_fontsize() for text in shown) >= 6


@pytest.mark.parametrize("name", NAMES)
def test_panels_are_filled_by_numbers_that_are_finite_and_in_view(name, drawn):
    sheet = drawn(name)
    for ax in panels(sheet):
        seen = [line for line in ax.lines if line.get_gid() and line.get_linestyle() == "None"] or ax.lines
        assert sum(len(line.get_xdata()) for line in seen) >= 5 or name in FEW_POINTS
        (left, right), (bottom, top) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
        for line in seen:
            x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
            if line.get_gid():
                assert np.isfinite(x).any() and np.isfinite(y).any()
                inside = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
                assert inside[np.isfinite(x) & np.isfinite(y)].all()


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("loss_vs_parameters", "loss_of_parameters"),
        ("loss_vs_dataset_tokens", "loss_of_dataset_tokens"),
        ("loss_vs_compute", "loss_of_flops"),
    ],
)
def test_a_law_of_one_variable_is_drawn_with_its_band_over_its_data(name, law, drawn, laws):
    fitted = laws.laws[law]
    (variable,) = fitted.variables
    sheet = drawn(name)
    line = numbers(sheet, "line", "law").dropna(subset="y")
    np.testing.assert_allclose(line["y"], fitted.predict(**{variable: line["x"]}))
    low, high = fitted.ranges[variable]
    solid = line[line["series"] == "law"]
    assert solid["x"].min() == pytest.approx(low)
    assert solid["x"].max() == pytest.approx(high)
    assert line["x"].max() == pytest.approx(4 * high)
    shade = numbers(sheet, "band")
    expected = fitted.band(0.95, **{variable: shade["x"]})
    np.testing.assert_allclose(shade[["low", "high"]], np.c_[expected])
    assert law_label(fitted) in texts(sheet)


@pytest.mark.parametrize("name", ["loss_vs_parameters", "loss_vs_dataset_tokens"])
def test_every_run_is_a_point_and_those_outside_the_fit_are_named_so(name, drawn, observations, laws):
    points = numbers(drawn(name), "points")
    assert len(points) == RUNS
    outside = points["series"].str.contains("not in the fit")
    law = laws.laws["loss_of" + name.removeprefix("loss_vs")]
    assert (~outside).sum() == law.data["used"].sum()
    assert sorted(points["y"]) == pytest.approx(sorted(observations.results("documentation")["loss"]))


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("loss_vs_parameters_and_data", "loss_of_parameters_and_data_kaplan"),
        ("loss_vs_parameters_and_data_chinchilla", "loss_of_parameters_and_data_chinchilla"),
        ("generalization_gap", "gap_of_parameters_and_data"),
        ("memory", "memory_of_parameters_and_data"),
    ],
)
def test_a_law_of_size_and_data_is_a_curve_for_each_size(name, law, drawn, laws):
    fitted = laws.laws[law]
    sheet = drawn(name)
    for size in SIZES:
        line = numbers(sheet, "line", f"law at N = {size / 1000:g}k").dropna(subset="y")
        np.testing.assert_allclose(line["y"], fitted.predict(parameters=size, dataset_tokens=line["x"]))
    runs = RUNS - len(SIZES) if "gap" in law or "memory" in law else RUNS  # gaps are of subsets that are repeated
    assert len(numbers(sheet, "points")) == len(fitted.data) == runs
    assert law_label(fitted) in texts(sheet)


def test_learning_curves_show_the_runs_on_the_most_data_step_by_step(drawn, observations):
    curves = observations.curves("documentation")
    expected = curves[curves["dataset_tokens"] == SUBSETS[-1]]
    for column, lines in (("tokens", "Tokens processed"), ("flops", "Compute")):
        shown = in_panel(drawn("learning_curves"), lines)
        drawn_there = shown[shown["mark"] == "line"]
        assert len(drawn_there) == len(expected) <= STEPS * len(SIZES)
        assert sorted(drawn_there["y"]) == pytest.approx(sorted(expected["loss"]))
        assert sorted(drawn_there["x"]) == pytest.approx(sorted(expected[column]))
        assert shown["series"].str.endswith("result").sum() == len(SIZES)


def test_compute_shows_every_learning_curve_up_to_its_result(drawn, observations):
    curves = observations.curves("documentation")
    best = curves["run"].map(curves[curves["result"]].set_index("run")["step"])
    lines = numbers(drawn("loss_vs_compute"), "line", "k-")
    assert len(lines) == (curves["step"] <= best).sum()


def test_early_stopping_is_seen_where_the_held_out_loss_turns(drawn):
    sheet = drawn("train_and_test_curves")
    held_out = numbers(sheet, "line", "D = 40k, held out")
    result = numbers(sheet, "points", "D = 40k, result")
    assert held_out["y"].iloc[-1] > held_out["y"].min() == result["y"].item()
    assert len(numbers(sheet, "points", "result")) == len(SUBSETS)
    assert len(numbers(sheet, "line", "D = 40k, train")) == len(held_out)


def test_losses_at_fixed_steps_are_of_one_batch_size_and_fall_with_steps_and_with_size(drawn):
    points = numbers(drawn("loss_at_fixed_steps"), "points", "S = ")
    table = points.pivot(index="series", columns="x", values="y").dropna()
    assert len(table) >= 2
    assert (np.diff(table.sort_values(table.columns[0], ascending=False), axis=0) < 0).all(), "with steps"
    assert (np.diff(table) < 0).all(), "with size"


def test_seed_noise_is_the_standard_deviation_of_each_repeated_cell(drawn, observations):
    points = numbers(drawn("seed_noise"), "points")
    cells = observations.results("documentation").groupby(["parameters", "dataset_tokens"])["loss"]
    assert sorted(points["y"]) == pytest.approx(sorted(cells.std().dropna()))


def test_optimal_allocation_shows_three_approaches_in_both_panels(drawn, laws):
    sheet = drawn("optimal_allocation")
    for panel, share in zip(panels(sheet), ("parameters", "tokens"), strict=True):
        table = numbers_of(sheet)
        here = table[table["panel"].str.startswith(panel.get_ylabel())]
        for allocation in laws.allocations.values():
            band = here[(here["mark"] == "band") & here["series"].str.startswith(allocation.title)]
            np.testing.assert_allclose(band["low"], allocation.table[f"{share}_low"])
    for allocation in laws.allocations.values():
        assert any(text.startswith(allocation.title) and "$a$ = " in text for text in texts(sheet))


def test_where_no_budget_has_a_best_size_no_panel_stays_empty(material):
    nothing = {
        name: replace(way, status=UNDETERMINED, points=way.points.assign(used=False))
        for name, way in material.laws.allocations.items()
    }
    poorer = replace(material, laws=replace(material.laws, allocations=nothing))
    with pytest.raises(NotDrawableError):
        FIGURES["optimal_allocation"].draw(poorer)
    for name in ("isoflop", "envelope"):
        assert len([ax for ax in FIGURES[name].draw(poorer).axes if ax.get_xlabel()]) == 1, name


def test_isoflop_profiles_show_every_budget_and_its_minimum(drawn, laws):
    isoflop = laws.allocations["isoflop"]
    sheet = drawn("isoflop")
    minima = numbers(sheet, "points", "minimum")
    above = in_panel(sheet, "against Parameters")
    assert (above["mark"] == "points").sum() == len(isoflop.profiles) + len(minima)
    below = numbers(sheet, "points", "optima")
    assert len(below) == 2 * isoflop.points["used"].sum()
    accepted = isoflop.parabolas[isoflop.parabolas["reason"] == ""]
    assert sorted(minima["x"]) == pytest.approx(sorted(np.exp(accepted["log_parameters"])))
    for name, parabola in numbers(sheet, "line", "parabola").groupby("series"):
        best = minima[minima["series"] == name.replace("parabola", "minimum")]
        assert parabola["y"].min() == pytest.approx(best["y"].item(), rel=1e-3)


def test_a_parabola_passes_through_the_profile_that_it_was_fitted_to(drawn, laws):
    profiles = laws.allocations["isoflop"].profiles
    lines = numbers(drawn("isoflop"), "line", "parabola")
    for budget, rows in profiles[profiles["used"]].groupby("flops"):
        curve = lines[lines["series"] == f"C = {budget:.3g}, parabola"]
        fitted = np.interp(np.log(rows["parameters"]), np.log(curve["x"]), curve["y"])
        np.testing.assert_allclose(fitted, rows["loss"], rtol=0.02)


def test_ood_figures_show_every_corpus(drawn, observations):
    for name in ("ood_loss_vs_parameters", "ood_loss_vs_test_loss", "ood_offsets"):
        table = numbers_of(drawn(name))
        for corpus in OOD:
            assert table["series"].str.startswith(corpus.replace("_", " ")).any()
    ends = numbers(drawn("ood_loss_vs_test_loss"), "points", "readmes")
    assert sorted(ends["y"]) == pytest.approx(sorted(observations.results("readmes")["loss"]))


def test_ood_slopes_are_those_of_the_lines(drawn, laws):
    slopes = numbers(drawn("ood_offsets"), "interval of x", "readmes")
    slope = laws.laws["ood_transfer:readmes"].parameters["slope"]
    assert (slope.low, slope.high) in [pytest.approx((row.low, row.high)) for row in slopes.itertuples()]


def test_backtest_shows_every_prediction_of_every_law_that_was_held_to_account(drawn, laws):
    points = numbers(drawn("backtest"), "points")
    tested = [
        law for law in laws.laws.values() if law.backtest and law.corpus == "documentation" and "gap" not in law.form
    ]
    assert tested
    assert set(points["series"]) == {law.title for law in tested}
    assert len(points) == sum(len(law.backtest.rows) for law in tested)


def test_residuals_are_measured_over_law(drawn, laws):
    law = laws.laws["loss_of_parameters_and_data_kaplan"]
    upper = panels(drawn("residuals"))[0]
    drawn_values = np.concatenate([line.get_ydata() for line in upper.lines if line.get_gid()])
    expected = 100 * (law.data["observed"] / law.data["predicted"] - 1)
    assert sorted(drawn_values) == pytest.approx(sorted(expected))


def test_the_least_compute_and_the_steps_grow_by_the_powers_that_were_measured(drawn):
    sheet = drawn("least_compute_split")
    for name in ("parameters", "steps"):
        line = numbers(sheet, "line", name).dropna(subset="y")
        power, factor = (POWERS[f"measured_{name}_{what}"].estimate.value for what in ("exponent", "factor"))
        np.testing.assert_allclose(line["y"], factor * line["x"] ** power)


def test_growing_compute_is_shared_out_in_full(material, varied):
    measured = replace(varied, laws=replace(varied.laws, derived=POWERS))
    for name, study, factors in (("usual", material, 2), ("measured", measured, 3)):
        sheet = FIGURES["growing_compute"].draw(study)
        edges = in_panel(sheet, "Growth").query("mark == 'line'").groupby("series")["y"].max()
        assert len(edges) >= factors, name
        assert edges.max() == pytest.approx(1e4, rel=0.05)


def test_the_laws_cross_where_kaplans_formula_says(drawn, laws):
    star = numbers(drawn("contradiction"), "points", "crossing")
    compute, data = laws.laws["loss_of_flops"].best, laws.laws["loss_of_dataset_tokens"].best
    line = next(each.line for each in laws.allocations.values() if each.status == "determined")
    growth = line[3], np.exp(line[2])
    where, loss = contradiction((compute["alpha_C"], compute["C_c"]), (data["alpha_D"], data["D_c"]), growth)
    if len(star):
        assert (star["x"].item(), star["y"].item()) == pytest.approx((where, loss))
    else:
        assert where < compute_range(laws)[1] or where > 1e9 * compute_range(laws)[1]


def compute_range(laws):
    return laws.laws["loss_of_flops"].ranges["flops"]


def test_contours_lie_where_the_law_has_that_loss(drawn, laws):
    law = laws.laws["loss_of_parameters_and_data_chinchilla"]
    lines = numbers(drawn("parametric_contours"), "line", "L = ")
    tokens = lines["x"] / (6 * lines["y"])
    there = law.predict(parameters=lines["y"], dataset_tokens=tokens)
    np.testing.assert_allclose(there, lines["series"].str.removeprefix("L = ").astype(float), rtol=2e-3)
    assert len(numbers(drawn("parametric_contours"), "points")) == len(law.data)


def test_slices_show_every_run_and_the_law_at_one_budget(drawn, laws):
    law = laws.laws["loss_of_parameters_and_data_chinchilla"]
    sheet = drawn("parametric_slices")
    runs = numbers(sheet, "points")
    assert (~runs["series"].str.contains("best size")).sum() == len(law.data)
    for name, line in numbers(sheet, "line", "law").dropna(subset="y").groupby("series"):
        budget = float(name.removeprefix("C = ").split(",")[0])
        expected = law.predict(parameters=line["x"], dataset_tokens=budget / (6 * line["x"]))
        np.testing.assert_allclose(line["y"], expected, rtol=0.01)


def test_the_gap_matrix_holds_each_corpus_offset_slope_and_exponent(drawn, observations, laws):
    cells = numbers(drawn("gap_matrix"), "cell")
    assert len(cells) == 3 * (2 + len(OOD))
    slopes = cells[cells["series"] == "Slope λ"]["low"].dropna()
    fitted = [laws.laws[f"ood_transfer:{corpus}"].best["slope"] for corpus in OOD]
    assert sorted(slopes) == pytest.approx(sorted([1.0, *fitted]))


def test_stopping_is_compared_with_the_bound_of_the_laws(drawn, varied):
    points = numbers(drawn("stopping_bound"), "points")
    stopped = varied.observations.runs.query("status == 'early_stopped'")
    assert sorted(points["y"]) == sorted(stopped["result_step"])
    data, steps = (varied.laws.laws[f"loss_of_parameters_and_{word}"].best for word in ("data_kaplan", "steps"))
    law = DataLaw(*(data[name] for name in ("alpha_N", "alpha_D", "N_c", "D_c")))
    bound = law.earliest_stop(stopped["parameters"], stopped["dataset_tokens"], steps["S_c"], steps["alpha_S"])
    assert sorted(points["x"]) == pytest.approx(sorted(bound))


def test_a_scan_of_batches_has_a_point_for_each_batch_and_loss(drawn):
    points = numbers(drawn("batch_scan"), "points")
    assert len(points) >= 2 * len(BATCHES)
    for _, scan in points.groupby("series"):
        ordered = scan.sort_values("x")
        assert ordered["y"].is_monotonic_decreasing, "more steps, fewer tokens"
        batches = sorted(ordered["y"] / ordered["x"])
        assert all(min(abs(batch / known - 1) for known in BATCHES) < 1e-6 for batch in batches)


def test_families_shapes_rates_and_corpora_show_the_runs_that_differ_in_them(drawn):
    families = numbers(drawn("families"), "points")
    assert set(families["series"]) == {"lstm", "transformer"}
    assert (families["series"] == "lstm").sum() == 2 * len(VARIED_SIZES)
    aspects = in_panel(drawn("shape"), "Aspect ratio").query("mark == 'points'")
    assert aspects["x"].nunique() == len({width / layers for layers, width in SHAPES})
    assert in_panel(drawn("shape"), "Feed-forward").query("mark == 'points'")["x"].nunique() == len(FEED_FORWARD)
    assert set(numbers(drawn("context"), "points")["x"]) == set(CONTEXTS)
    assert set(numbers(drawn("learning_rates"), "points")["x"]) == set(RATES)
    assert set(numbers(drawn("training_corpora"), "points")["series"]) == {"documentation, D = 32M", "news, D = 32M"}


def test_figures_of_the_grid_leave_out_what_a_sweep_changed(varied):
    runs = varied.observations.runs
    swept = runs.assign(variant=np.where(runs["run"].str.startswith("lstm"), "lstm", ""))
    study = replace(varied, observations=replace(varied.observations, runs=swept))
    shown = numbers(FIGURES["loss_vs_parameters"].draw(study), "points")
    assert len(shown) == len(varied.observations.of_variants().results("documentation")) - len(VARIED_SIZES)
    assert "lstm" in set(numbers(FIGURES["families"].draw(study), "points")["series"])


def test_cleaning_shows_the_share_that_every_step_kept(drawn):
    bars = numbers(drawn("cleaning_steps"), "bar")
    assert list(bars["x"]) == [80.0, 75.0]


def test_coverage_is_a_share_that_grows_with_the_level(drawn):
    for _, rows in numbers(drawn("coverage"), "points").groupby("series"):
        assert rows["y"].between(0, 100).all()
        assert rows["y"].iloc[-1] > rows["y"].iloc[0]


def test_sample_efficiency_reads_tokens_off_the_curves(drawn, observations):
    points = numbers(drawn("sample_efficiency"), "points")
    curves = observations.curves("documentation")
    for row in points.itertuples():
        target = float(row.series.removeprefix("L = ").split()[0])
        size = curves[np.isclose(curves["parameters"], row.x)]
        before = size[size["tokens"] <= row.y * (1 + 1e-9)]
        after = size[(size["tokens"] >= row.y * (1 - 1e-9)) & (size["tokens"] <= size["dataset_tokens"] * 1.01)]
        assert before["loss"].max() >= target >= after["loss"].min() * (1 - 1e-6)


def test_an_undetermined_law_is_grey_dotted_and_labelled_so(observations, laws):
    doubtful = replace(laws.laws["loss_of_parameters"], status="undetermined")
    sheet = draw("loss_vs_parameters", observations, with_laws(laws, loss_of_parameters=doubtful))
    line = next(line for line in panels(sheet)[0].lines if line.get_gid() == "law")
    assert to_hex(line.get_color()) == UNDETERMINED_COLOUR
    assert line.get_linestyle() == ":"
    assert not len(numbers(sheet, "band"))
    assert any(text.startswith("Not determined") for text in texts(sheet))


def test_a_law_that_could_not_be_fitted_is_named_with_its_reason(observations, laws):
    missing = replace(
        laws.laws["loss_of_parameters"], parameters={}, status="undetermined", messages=["only 2 different sizes N"]
    )
    sheet = draw("loss_vs_parameters", observations, with_laws(laws, loss_of_parameters=missing))
    assert not len(numbers(sheet, "band"))
    assert any("only 2 different sizes N" in text for text in texts(sheet))


@pytest.mark.parametrize("name", NAMES)
def test_without_laws_a_figure_shows_the_data_or_says_what_it_lacks(name, observations):
    nothing = Laws("empty", {}, {}, observations.runs.iloc[:0].assign(reason=""), {})
    try:
        sheet = draw(name, observations, nothing)
    except NotDrawableError as reason:
        assert len(str(reason)) > 20
    else:
        assert len(numbers_of(sheet))


@pytest.mark.parametrize(
    ("sizes", "subsets"),
    [(SIZES[:1], SUBSETS), (SIZES, SUBSETS[-1:]), (SIZES[:2], SUBSETS[:2])],
    ids=["N", "D", "both"],
)
def test_a_study_of_few_sizes_or_subsets_gets_the_figures_that_it_can_have(sizes, subsets):
    few = synthetic_observations(sizes, subsets)
    laws = fit_laws(few, {"resamples": 50}, seed=1)
    drawn = 0
    for name in NAMES:
        try:
            drawn += len(numbers_of(draw(name, few, laws))) > 0
        except NotDrawableError as reason:
            assert len(str(reason)) > 20
    assert 5 < drawn < len(NAMES)


@pytest.mark.parametrize("curves", [False, True], ids=["runs", "curves"])
def test_a_bare_table_of_sizes_data_and_losses_gets_figures_or_reasons(curves, observations, tmp_path):
    rows = observations.curves("documentation")[::3] if curves else observations.results("documentation")
    columns = ["run", "step", "parameters", "tokens", "loss"] if curves else ["parameters", "dataset_tokens", "loss"]
    rows[columns].rename(columns={"tokens": "dataset_tokens"}).to_csv(tmp_path / "bare.csv", index=False)
    bare = read_table(tmp_path / "bare.csv").observations
    laws = fit_laws(bare, {"resamples": 50}, seed=1)
    reasons = []
    for name in NAMES:
        try:
            assert len(numbers_of(draw(name, bare, laws)))
        except NotDrawableError as reason:
            reasons.append(str(reason))
    assert 8 < len(NAMES) - len(reasons) < len(NAMES)
    assert all(len(reason) > 20 for reason in reasons)


@pytest.mark.parametrize(
    ("names", "keep", "reason"),
    [
        (["ood_loss_vs_parameters", "ood_loss_vs_test_loss", "ood_offsets"], "corpus == 'documentation'", "no out-of-"),
        (["train_and_test_curves"], "split == 'test'", "loss on training text"),
        (["learning_curves", "train_and_test_curves"], "result", "one step only"),
        (["seed_noise"], "run.str.endswith('s0')", "two seeds"),
    ],
)
def test_missing_data_are_a_reason_and_no_error(names, keep, reason, observations, laws):
    losses = observations.losses.query(keep, engine="python")
    poorer = Observations(losses, observations.runs[observations.runs["run"].isin(losses["run"])])
    for name in names:
        with pytest.raises(NotDrawableError, match=reason):
            draw(name, poorer, laws)


def test_two_figures_cannot_share_a_name():
    with pytest.raises(ValueError, match="learning_curves"):
        figure("Title", "Caption.")(learning_curves)


def with_laws(laws, **changed):
    return replace(laws, laws={**laws.laws, **changed})
