"""The answer says in words what the laws say in numbers, and does not hide what they cannot say."""

from dataclasses import replace

import pytest
from scalelaws.laws.fitted import Estimate
from scalelaws.report.answer import findings, prediction, summary, warnings

BEST = "loss_of_parameters_and_data_chinchilla"


def with_law(laws, name, **changes):
    return replace(laws, laws={**laws.laws, name: replace(laws.laws[name], **changes)})


def with_error(laws, error):
    law = laws.laws[BEST]
    rows = law.backtest.rows.assign(observed=4.0, predicted=4.0 * (1 + error), relative_error=error)
    return with_law(laws, BEST, backtest=replace(law.backtest, rows=rows))


def test_the_summary_counts_what_was_trained(observations):
    sentence = summary(observations)
    for part in ("35 runs", "5 sizes N from 10k to 400k", "5 subsets D from 40k to 4M", "“documentation”"):
        assert part in sentence
    one = replace(observations, runs=observations.runs[observations.runs["dataset_tokens"] == 4e6])
    assert "one subset D of 4M tokens" in summary(one)


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


def test_the_verdict_is_on_the_form_that_fits_more_closely(laws):
    kaplan = laws.laws["loss_of_parameters_and_data_kaplan"]
    exact = with_law(laws, kaplan.name, data=kaplan.data.assign(predicted=kaplan.data["observed"]))
    assert "runs of the most compute, L(N,D), Kaplan predicts" in prediction(exact)[0]
    assert "runs of the most compute, L(N,D), Chinchilla predicts" in prediction(laws)[0]


def test_a_floor_of_nothing_is_told_in_words(observations, laws):
    floor = Estimate(4.8e-8, 4.8e-8, 4.8e-8, "nats/token", "E")
    without = with_law(laws, BEST, parameters={**laws.laws[BEST].parameters, "E": floor})
    assert any("beyond the reach" in line for line in findings(observations, without))


def test_without_a_backtest_there_is_no_verdict(laws):
    without = laws
    for name in (BEST, "loss_of_parameters_and_data_kaplan"):
        without = with_law(without, name, backtest=None)
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
    assert "is constant on mathematics; it is not constant on" in sentence
    for corpus in ("licences", "readmes", "python code", "other languages"):
        assert f"{corpus} (" in sentence
