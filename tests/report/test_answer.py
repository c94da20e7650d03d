"""The answer says in words what the laws say in numbers, and does not hide what they cannot say."""

from dataclasses import replace

import pytest
from scalelaws.figures.words import number
from scalelaws.laws.fitted import Estimate
from scalelaws.laws.joint import JOINT_FORMS
from scalelaws.report.answer import findings, prediction, summary, warnings

BEST = "loss_of_parameters_and_data_chinchilla"
KAPLAN = "loss_of_parameters_and_data_kaplan"


def with_law(laws, name, **changes):
    return replace(laws, laws={**laws.laws, name: replace(laws.laws[name], **changes)})


def with_best(laws, name):
    """The laws, of which that of N and D fits exactly."""
    law = laws.laws[name]
    exact, test = law.data.assign(predicted=law.data["observed"]), replace(law.backtest, fit_error=0.0)
    return with_law(laws, name, status="determined", data=exact, backtest=test)


def with_error(laws, error):
    laws = with_best(laws, BEST)
    test = laws.laws[BEST].backtest
    rows = test.rows.assign(observed=4.0, predicted=4.0 * (1 + error), relative_error=error)
    return with_law(laws, BEST, backtest=replace(test, rows=rows))


def test_the_summary_counts_what_was_trained(observations):
    sentence = summary(observations)
    for part in ("35 runs", "5 sizes N from 10k to 400k", "5 subsets D from 40k to 4M", "“documentation”"):
        assert part in sentence
    one = replace(observations, runs=observations.runs[observations.runs["dataset_tokens"] == 4e6])
    assert "one subset D of 4M tokens" in summary(one)


def test_what_a_trunk_cost_is_counted_once(observations):
    branches = observations.runs.assign(
        first_step=observations.runs["steps"] // 2, steps=observations.runs["steps"] // 2 * 2
    )
    spent = number(observations.runs["flops"].sum() / 2, 2)
    assert f"{spent} FLOPs in all" in summary(replace(observations, runs=branches))


def test_a_power_is_told_as_the_effect_of_ten_times_more(observations, laws):
    alpha = Estimate(0.1, 0.09, 0.11, "", r"\alpha_N")
    known = with_law(laws, "loss_of_parameters", parameters={"alpha_N": alpha})
    sentence = next(s for s in findings(observations, known) if s.startswith("Ten times more parameters"))
    assert "by 20.6 [18.7, 22.4] percent" in sentence


@pytest.mark.parametrize(("error", "met", "words"), [(0.0123, True, "1.2%, within"), (-0.0456, False, "4.6%, outside")])
def test_the_backtest_is_judged_by_three_percent(laws, error, met, words):
    sentence, verdict = prediction(with_error(laws, error))
    assert verdict is met
    assert words in sentence
    assert "measured 4.000" in sentence


def test_the_verdict_is_on_the_form_that_fits_the_other_runs_more_closely(laws):
    for title, name in (("Kaplan", KAPLAN), ("Chinchilla", BEST)):
        assert f"runs of the most compute, L(N,D), {title} predicts" in prediction(with_best(laws, name))[0]


def test_a_law_of_size_alone_is_told_with_its_data_and_that_of_both_without_limits(observations, laws):
    lines = findings(observations, with_best(laws, KAPLAN))
    assert next(line for line in lines if line.startswith("Ten times more parameters")).endswith(
        "percent, on 4M tokens."
    )
    assert any(line.startswith("With endless data, ten times more parameters") for line in lines)
    assert not any(line.startswith("With endless data") for line in findings(observations, laws))


def test_a_floor_above_a_measured_loss_is_not_told(observations, laws):
    high = Estimate(3.0, 2.9, 99.0, "nats/token", "E")
    best = with_best(laws, BEST)
    impossible = with_law(best, BEST, parameters={**laws.laws[BEST].parameters, "E": high})
    assert any("neither size nor data" in line for line in findings(observations, best))
    for none in (impossible, with_best(laws, KAPLAN)):
        assert not any("neither size nor data" in line for line in findings(observations, none))


def test_a_floor_of_nothing_is_told_in_words(observations, laws):
    floor = Estimate(4.8e-8, 4.8e-8, 4.8e-8, "nats/token", "E")
    without = with_law(with_best(laws, BEST), BEST, parameters={**laws.laws[BEST].parameters, "E": floor})
    assert any("beyond the reach" in line for line in findings(observations, without))


def test_without_a_backtest_there_is_no_verdict(laws):
    without = laws
    for form in JOINT_FORMS:
        without = with_law(without, f"loss_of_parameters_and_data_{form}", backtest=None)
    assert prediction(without)[1] is None


def test_an_undetermined_law_is_a_warning_and_no_finding(observations, laws):
    doubtful = with_law(laws, "gap_of_parameters_and_data", status="undetermined", messages=["only 2 sizes N"])
    assert any("do not determine" in line and "Gap(N,D)" in line for line in warnings(observations, doubtful))
    assert len(findings(observations, doubtful)) == len(findings(observations, laws)) - 1


def test_runs_that_no_law_uses_are_counted_with_the_reason(observations, laws):
    excluded = observations.runs[["run"]].head(2).assign(reason="the run diverged")
    lines = warnings(observations, replace(laws, excluded=excluded))
    assert "No law uses 2 of the 35 runs: the run diverged." in lines


def test_the_claim_of_a_constant_offset_is_judged_corpus_by_corpus(observations, laws):
    sentence = next(line for line in findings(observations, laws) if "offset" in line)
    assert "may be constant on mathematics (slope" in sentence and "); it is not constant on" in sentence
    for corpus in ("licences", "readmes", "python code", "other languages"):
        assert f"{corpus} (" in sentence
