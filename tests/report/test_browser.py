"""The page in a real browser: it works, answers as the library does, and can be read by everyone on any screen."""

import re

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from scalelaws.laws.answers import predictions, splits
from scalelaws.laws.fitted import Laws
from scalelaws.laws.summary import COUNTED, number
from scalelaws.report.calculator import GPUS
from scalelaws.report.page import write_report

from . import CONFIG, write_study
from .browser import EXECUTABLE, opened, started

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium or Chrome on this machine to open the page in")
PAIR = "loss_of_parameters_and_data_"


@pytest.fixture(scope="module")
def browser():
    with started() as running:
        yield running


@pytest.fixture(scope="module")
def wide(browser, study):
    """The page on a desk, for the tests that only read it or put it back as it was."""
    with opened(browser, study / "report.html") as seen:
        yield seen


def printed(values, name):
    unit = name if name in COUNTED else ""
    value, low, high = (number(part, unit) for part in values)
    return f"{value} ({low} – {high})"


def test_the_page_opens_without_a_word_of_complaint_and_asks_for_nothing(wide):
    assert wide.complaints == []
    assert wide.requests == []
    assert "Scaling laws of" in wide.page.title()


def test_the_browser_would_notice_a_complaint_and_a_request(browser, study, page):
    broken = study / "broken.html"
    broken.write_text(page.replace("</body>", '<img src="https://example.org/a.png" alt="">\n</body>'))
    with opened(browser, broken) as seen:
        assert seen.complaints
    broken.unlink()


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_in_light_and_dark(browser, study, width, scheme):
    with opened(browser, study / "report.html", width, scheme) as seen:
        assert seen.complaints == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        background = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 22, 26)"}[scheme]
        for view in range(seen.page.locator("[name=view] option").count()):
            seen.page.select_option("[name=view]", str(view))
            seen.settled()
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
            assert seen.page.evaluate("document.getElementById('explorer-form').scrollWidth") <= width
        shots = [seen.screenshot(f"report-top-{width}-{scheme}")]
        for part in ("calculator", "explorer-form"):
            seen.page.evaluate(f"document.getElementById('{part}').scrollIntoView()")
            shots.append(seen.screenshot(f"report-{part}-{width}-{scheme}"))
        for shot in shots:
            with Image.open(shot) as picture:
                assert picture.width == width
                assert len(np.unique(np.asarray(picture.convert("L")))) > 30, "an empty page"


@pytest.mark.parametrize("flops", ["1e13", "3.7e15", "2e11"])
def test_a_budget_is_split_as_the_command_line_splits_it(wide, laws, flops):
    wide.page.fill("[name=flops]", flops)
    expected = {
        answer.law: [printed(values, name) for name, values in answer.values.items()]
        for answer in splits(laws, float(flops))
    }
    assert wide.cells("split") == expected


def test_a_far_budget_and_an_undetermined_law_carry_a_warning(wide, laws):
    wide.page.fill("[name=flops]", "1e25")
    far = [each.title for each in laws.allocations.values() if each.exponents]
    assert sum("decades beyond the data" in note for note in wide.notes("split")) == len(far)


def test_gpu_hours_are_flops_at_the_peak_rate_times_the_utilization(wide, laws):
    wide.page.select_option("[name=given]", "hours")
    wide.page.select_option("[name=gpu]", "NVIDIA A100")
    wide.page.fill("[name=hours]", "2.5")
    wide.page.fill("[name=utilization]", "40")
    flops = 2.5 * 3600 * GPUS["NVIDIA A100"] * 0.4
    assert wide.page.text_content("#budget-said") == f"That is {flops:.4g} FLOPs."
    answer = splits(laws, flops)[0]
    assert wide.cells("split")[answer.law][0] == printed(answer.values["parameters"], "parameters")
    wide.page.select_option("[name=given]", "flops")


def test_nonsense_is_answered_with_what_to_write(wide):
    for text in ("many", "-3", ""):
        wide.page.fill("[name=flops]", text)
        assert "such as 1e21" in wide.page.text_content("#budget-said")
        assert wide.cells("split") == {}
    wide.page.fill("[name=flops]", "1,000G")
    assert wide.cells("split") == {}
    wide.page.fill("[name=flops]", "1e13")


def ask(seen, **given):
    """Fill in two quantities; the rows by law, as texts of N, D, C and L."""
    for place, (name, value) in zip(("first", "second"), given.items(), strict=True):
        seen.page.select_option(f"[name={place}]", name)
        seen.page.fill(f"[name={place}-value]", f"{value!r}")
    return seen.cells("pair")


def central(text):
    """The number before the interval, as printed: 3.05M is 3.05e6."""
    found = re.match(r"([\d.e+-]+)([kMB]?)", text)
    return float(found[1]) * {"": 1, "k": 1e3, "M": 1e6, "B": 1e9}[found[2]]


def test_size_and_data_give_the_loss_that_the_command_line_predicts(wide, laws):
    given = {"parameters": 2e6, "tokens": 3e7}
    rows = ask(wide, N=given["parameters"], D=given["tokens"])
    expected = {answer.law: printed(answer.values["loss"], "loss") for answer in predictions(laws, given)}
    assert len(rows) >= 2
    for title, (_, _, compute, loss) in rows.items():
        assert loss == expected[title]
        assert central(compute) == pytest.approx(6 * 2e6 * 3e7, rel=1e-3)


@pytest.mark.parametrize("known", [("N", "C"), ("D", "C"), ("N", "L"), ("D", "L"), ("C", "L")])
def test_any_two_give_the_others_on_the_same_law(wide, laws, known):
    start = {"N": 200_000.0, "D": 2_000_000.0}
    for name in ("kaplan", "chinchilla"):
        law = laws.laws[PAIR + name]
        start["C"] = 6 * start["N"] * start["D"]
        start["L"] = float(law.predict(parameters=start["N"], dataset_tokens=start["D"]))
        rows = ask(wide, **{key: start[key] for key in known})
        found = [[central(text) for text in cells] for title, cells in rows.items() if title.startswith(law.title)]
        assert len(found) == (2 if known == ("C", "L") else 1)
        best = min(found, key=lambda cells: abs(np.log(cells[0] / start["N"])))
        assert best == pytest.approx([start[key] for key in "NDCL"], rel=6e-3)
        for size, data, compute, loss in found:
            assert float(law.predict(parameters=size, dataset_tokens=data)) == pytest.approx(loss, rel=3e-3)
            assert compute == pytest.approx(6 * size * data, rel=1e-2)


def test_a_loss_below_every_floor_is_said_to_be_out_of_reach(wide):
    ask(wide, N=200_000.0, L=0.2)
    assert any("cannot be reached" in note for note in wide.notes("pair"))


def test_the_same_quantity_twice_is_refused(wide):
    wide.page.select_option("[name=first]", "N")
    wide.page.select_option("[name=second]", "N")
    assert wide.page.text_content("#pair-said") == "Choose two different quantities."
    wide.page.select_option("[name=second]", "L")


def test_every_run_is_a_mark_and_groups_can_be_switched_off(wide, observations):
    runs = len(observations.results("documentation"))
    assert wide.drawn()["marks"] == runs
    first = wide.page.locator("#explorer-groups input").first
    group = first.get_attribute("data-group")
    first.uncheck()
    less = (observations.results("documentation")["dataset_tokens"] == 40_000).sum()
    assert group == "D = 40k"
    assert wide.drawn()["marks"] == runs - less
    first.check()
    assert wide.drawn()["marks"] == runs


def test_laws_scales_and_views_can_be_switched(wide):
    before = wide.drawn()
    assert (before["x"], before["y"], before["VArea"]) == ("LogScale", "LogScale", 1)
    wide.page.select_option("[name=law]", label="L(N,D), Kaplan")
    assert wide.drawn()["VArea"] == 5
    wide.page.select_option("[name=law]", label="No law")
    assert "VArea" not in wide.drawn()
    wide.page.select_option("[name=x-scale]", "linear")
    assert (wide.drawn()["x"], wide.drawn()["y"]) == ("LinearScale", "LogScale")
    for view in wide.page.locator("[name=view] option").all_text_contents():
        wide.page.select_option("[name=view]", label=view)
        axes = wide.page.locator("[name=axis] option").all_text_contents()
        for axis in axes:
            if len(axes) > 1:
                wide.page.select_option("[name=axis]", label=axis)
            assert wide.drawn()["marks"] > 3, (view, axis)
    wide.page.select_option("[name=view]", "0")
    assert wide.complaints == []


def test_a_mark_says_which_run_it_is(wide, observations):
    wide.page.select_option("[name=view]", "0")
    wide.settled()
    wide.page.locator("#explorer-chart").scroll_into_view_if_needed()
    place = wide.page.evaluate("""() => { const plot = Bokeh.documents.at(-1).roots()[0];
        const view = Bokeh.index.get_by_id(plot.id), frame = view.frame;
        const source = plot.renderers.at(-1).data_source.data;
        const box = view.canvas_view.el.getBoundingClientRect();
        return [box.x + frame.x_scale.compute(source.x[0]), box.y + frame.y_scale.compute(source.y[0])]; }""")
    wide.page.mouse.move(*place)
    tip = wide.page.locator(".bk-tooltip-content").first
    tip.wait_for(state="visible", timeout=5000)
    assert re.search(r"N = \S+, D = \S+, C = .* FLOPs, L = [\d.]+ nats/token", tip.inner_text())


def test_every_control_can_be_reached_and_used_by_keyboard(wide):
    wide.page.focus("[name=view]")
    wide.page.keyboard.press("ArrowDown")
    assert wide.page.input_value("[name=view]") == "1"
    wide.page.keyboard.press("ArrowUp")
    wide.page.focus("#explorer-groups input")
    wide.page.keyboard.press("Space")
    assert not wide.page.is_checked("#explorer-groups input >> nth=0")
    wide.page.keyboard.press("Space")
    assert wide.page.is_checked("#explorer-groups input >> nth=0")


def test_a_study_that_determines_nothing_still_has_a_page(browser, observations, tmp_path):
    write_study(tmp_path)
    nothing = Laws("empty", {}, {}, observations.runs.iloc[:0].assign(reason=""), {})
    write_report(tmp_path / "report.html", observations, nothing, None, [], CONFIG, {})
    with opened(browser, tmp_path / "report.html") as seen:
        assert seen.complaints == []
        assert "These runs determine no law." in seen.page.inner_text("#answer")
        assert seen.drawn()["marks"] == len(observations.results("documentation"))
        assert not seen.page.query_selector("#calculator")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_an_accessibility_checker_finds_nothing_serious(browser, study, scheme, width):
    with opened(browser, study / "report.html", width, scheme) as seen:
        for summary in seen.page.locator("details").all():
            summary.evaluate("element => { element.open = true; }")
        found = Axe().run(seen.page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:120]) for each in found if each["impact"] != "minor"] == []


def test_it_can_be_printed(wide):
    wide.page.emulate_media(media="print")
    assert wide.page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert wide.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    wide.page.emulate_media(media="screen")
