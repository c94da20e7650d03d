from pathlib import Path

import pytest
from scalelaws.config import checked_config
from scalelaws.errors import InputError
from scalelaws.models.shapes import Shape
from scalelaws.training.plan import check_corpus, minutes_of, peak_rate, plan_rows, plan_summary, runs_of

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml"


def config(**training):
    raw = {
        "study": "test",
        "seed": 5,
        "corpora": {"pages": {"role": "train", "sources": [{"kind": "installed-docs", "content": "docstrings"}]}},
        "tokenizer": {"vocabulary": 512},
        "training": {
            "parameters": [14_000, 37_000],
            "dataset_tokens": [10_000, 100_000],
            "context": 64,
            "batch_tokens": 1024,
            "max_tokens": 200_000,
            **training,
        },
    }
    return checked_config(raw, SCHEMA, "test.yaml")


def test_every_cell_of_the_grid_is_a_run_with_a_readable_name():
    runs = runs_of(config(repeats={"seeds": 2, "dataset_tokens": [10_000]}))
    assert list(runs) == [
        "2L24d-10k-s5", "2L24d-10k-s6", "2L24d-100k-s5", "2L40d-10k-s5", "2L40d-10k-s6", "2L40d-100k-s5",
    ]  # fmt: skip
    assert all(name == run.run for name, run in runs.items())


def test_adding_a_size_or_a_subset_leaves_the_other_runs_as_they_were():
    before = runs_of(config())
    wider = runs_of(config(parameters=[14_000, 37_000, 197_000], dataset_tokens=[10_000, 50_000, 100_000]))
    assert {name: wider[name] for name in before} == before
    assert len(wider) == 9


def test_limits_on_tokens_and_epochs_are_kept():
    runs = runs_of(config(max_epochs=3))
    assert runs["2L24d-10k-s5"].tokens <= 3 * 10_000
    assert runs["2L24d-100k-s5"].tokens == 199_680  # the whole batches in max_tokens


def test_a_plan_row_holds_the_costs():
    run = runs_of(config())["2L24d-100k-s5"]
    (row,) = plan_rows([run], flops_per_second=1e9)
    assert row["flops"] == 6 * 13_824 * row["tokens"]
    assert row["seconds"] == pytest.approx(run.flops_total / 1e9, abs=0.1)
    assert row["flops_total"] > row["flops"]


def test_the_summary_names_counts_ranges_and_cost():
    text = plan_summary(runs_of(config()).values())
    assert "4 runs" in text
    assert "13.8k to 38.4k" in text
    assert "10k to 100k" in text
    assert "FLOPs" in text


def test_longer_runs_are_allowed_more_time():
    runs = runs_of(config())
    assert minutes_of(runs["2L24d-10k-s5"]) >= 10
    assert minutes_of(runs_of(config(max_tokens=2e9))["2L40d-10k-s5"]) > minutes_of(runs["2L40d-10k-s5"])


@pytest.mark.parametrize(
    ("rule", "rate"),
    [(0.004, 0.004), ({"times_width": 0.4}, 0.4 / 768), ("kaplan", 0.0006921)],
)
def test_rates_follow_their_rule(rule, rate):
    assert peak_rate(rule, Shape(12, 768, 12, 1024, 50257)) == pytest.approx(rate, rel=1e-3)


def test_sizes_that_are_the_same_shape_are_refused():
    with pytest.raises(InputError, match=r"training\.parameters.*both built as 2L24d.*Space the sizes wider"):
        runs_of(config(parameters=[14_000, 14_100]))


def test_a_run_without_steps_is_refused():
    with pytest.raises(InputError, match=r"training\.dataset_tokens"):
        runs_of(config(max_epochs=1, dataset_tokens=[1_000]))


def test_a_subset_larger_than_the_corpus_is_refused():
    with pytest.raises(InputError, match=r"training\.dataset_tokens: 100,000 tokens .* has 99,999.*at most 99,999"):
        check_corpus(runs_of(config()).values(), 99_999, "pages.train.json")
