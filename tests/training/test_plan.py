from dataclasses import replace
from pathlib import Path

import pytest
from scalelaws.config import checked_config
from scalelaws.errors import InputError
from scalelaws.training.hardware import Hardware
from scalelaws.training.needs import needs_of
from scalelaws.training.plan import NOMINAL_RATES, check_corpus, check_plan, plan_rows, plan_summary, runs_of
from scalelaws.training.schedule import learning_rate

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
    (row,) = plan_rows([run], [needs_of(run, Hardware("CPU core"), 12, 3)], flops_per_second=1e9)
    assert row["flops"] == 6 * 13_824 * row["tokens"]
    assert row["seconds"] == pytest.approx(run.flops_total / 1e9, abs=0.1)
    assert row["flops_total"] > row["flops"]
    assert (row["devices"], row["gpus"]) == (1, 0)


def test_the_summary_names_counts_ranges_and_cost():
    text = plan_summary(runs_of(config()).values())
    assert "4 runs" in text
    assert "13.8k to 38.4k" in text
    assert "10k to 100k" in text
    assert "FLOPs" in text


def test_the_summary_writes_hours_out():
    run = runs_of(config())["2L24d-100k-s5"]
    times = 150 * 3600 * NOMINAL_RATES["CPU core"] / run.flops_total
    assert ", about 150 CPU core hours" in plan_summary([replace(run, steps=round(times * run.steps))])


def test_sizes_that_are_the_same_shape_are_refused():
    with pytest.raises(InputError, match=r"training\.parameters.*both built as 2L24d.*Space the sizes wider"):
        runs_of(config(parameters=[14_000, 14_100]))


def test_heads_too_wide_for_a_size_are_refused():
    message = r"training\.head_size: heads of 128 come nearest to N = 14k with 1L128d, of 197k"
    with pytest.raises(InputError, match=message):
        runs_of(config(head_size=128))


def test_a_run_without_steps_is_refused():
    with pytest.raises(InputError, match=r"training\.dataset_tokens"):
        runs_of(config(max_epochs=1, dataset_tokens=[1_000]))


@pytest.mark.parametrize("subset", [1000, 1024, 2048])
def test_a_subset_of_fewer_than_two_sequences_is_refused(subset):
    message = rf"training\.dataset_tokens: {subset:,} tokens hold fewer than two sequences of 1,024.*training\.context"
    with pytest.raises(InputError, match=message):
        runs_of(config(context=1024, dataset_tokens=[subset]))
    assert runs_of(config(context=1024, dataset_tokens=[2049]))


def test_a_rule_that_gives_no_positive_rate_is_refused():
    message = r"training\.learning_rate: the rule kaplan gives \d+L\d+d, of N = 19\.9B, a rate of -6\.9e-05.*porian"
    with pytest.raises(InputError, match=message):
        runs_of(config(parameters=[2e10]))
    with pytest.raises(InputError, match=r"training\.sweep\.0\.learning_rate: the rule kaplan"):
        runs_of(config(parameters=[2e10], learning_rate="porian", sweep=[{"learning_rate": "kaplan"}]))


def test_a_subset_larger_than_the_corpus_is_refused():
    with pytest.raises(InputError, match=r"training\.dataset_tokens: 100,000 tokens .* has 99,999.*at most 99,999"):
        check_corpus(runs_of(config()).values(), 99_999, "pages.train.json")


def test_a_sweep_goes_around_the_grid_and_leaves_it_as_it_was():
    runs = runs_of(config(sweep=[{"batch_tokens": [512, 1024, 2048]}, {"schedule": "constant", "tied": [True, False]}]))
    grid = runs_of(config())
    assert {name: runs[name] for name in grid} == grid  # a batch of 1,024 is the grid's own and made once
    assert len(runs) == (1 + 2 + 2) * len(grid)
    assert runs["2L24d-10k-s5-batch512"].batch_tokens == 512
    assert runs["2L24d-10k-s5-batch512"].variant == "batch512"
    untied = runs["2L24d-10k-s5-constant-untied"]
    assert (untied.schedule, untied.tied, grid["2L24d-10k-s5"].variant) == ("constant", False, "")


def test_an_entry_of_a_sweep_may_have_a_grid_of_its_own():
    entry = {"parameters": [14_000], "dataset_tokens": [30_000], "context": [32, 64]}
    added = set(runs_of(config(sweep=[entry]))) - set(runs_of(config()))
    assert added == {"2L24d-30k-s5-context32", "2L24d-30k-s5"}


def test_families_and_shapes_are_told_by_the_names_of_their_shapes():
    families = {"family": ["transformer", "universal", "lstm"], "recurrence": 3}
    runs = runs_of(config(parameters=[38_000], dataset_tokens=[10_000], sweep=[families, {"aspect_ratio": [4, 64]}]))
    assert set(runs) == {
        "2L40d-10k-s5", "universal-3x1L56d-10k-s5", "lstm-2L48d-10k-s5", "6L24d-10k-s5", "1L56d-10k-s5",
    }  # fmt: skip
    universal, lstm = runs["universal-3x1L56d-10k-s5"], runs["lstm-2L48d-10k-s5"]
    assert universal.flops == 3 * 6 * universal.parameters * universal.tokens
    assert (lstm.positions, lstm.n_head, lstm.recurrence) == ("none", 0, 1)


def test_rules_reach_the_runs():
    rules = {"batch_tokens": "step_law", "learning_rate": "porian", "beta2": {"half_life_tokens": 1e4}}
    run = runs_of(config(**rules))["2L24d-100k-s5"]
    assert run.batch_tokens == 640  # 0.58 · 200,000^0.571 = 617, ten sequences of 64
    assert run.learning_rate == pytest.approx(3.7 * 13_824**-0.36)
    assert run.beta2 == 0.5 ** (640 / 1e4)


@pytest.mark.parametrize("schedule", ["cosine", "constant", "wsd"])
def test_a_run_says_the_warm_up_that_it_makes(schedule):
    runs = runs_of(config(schedule=schedule, warmup_steps=30))
    long = runs["2L24d-100k-s5"]
    assert (long.steps, long.warmup_steps) == (195, 30)
    short = runs_of(config(schedule=schedule, warmup_steps=30, max_epochs=4))["2L24d-10k-s5"]
    assert (short.steps, short.warmup_steps) == (39, 19)
    rates = [[learning_rate(step, 39, 1.0, schedule, warmup) for step in range(1, 40)] for warmup in (30, 19)]
    assert rates[0] == rates[1]


def test_runs_that_come_out_with_the_same_warm_up_are_made_once():
    runs = runs_of(config(warmup_steps=500, sweep=[{"warmup_steps": [50, 1000]}]))
    assert {run.warmup_steps for run in runs.values()} == {97, 50}
    assert len(runs) == 4 + 4


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"sweep": [{"contxt": 4}]}, r"training\.sweep\.0: top level: unknown key 'contxt'. Did you mean 'context'\?"),
        ({"sweep": [{"batch_tokens": [100]}]}, r"training\.sweep\.0\.batch_tokens: 100 is not a whole number"),
        ({"sweep": [{}]}, r"training\.sweep\.0: \{\} should be non-empty"),
        ({"sweep": [{"schedule": []}]}, r"training\.sweep\.0\.schedule: \[\] should be non-empty"),
        ({"sweep": [{"schedule": ["linear"]}]}, r"training\.sweep\.0: schedule: 'linear' is not a choice"),
        ({"sweep": [{"repeats": {"seeds": 2}}]}, r"training\.sweep\.0: 'repeats'"),
        ({"parametrization": "mup"}, r"training\.learning_rate: with mup the rate follows the width by itself"),
        ({"parametrization": "mup", "learning_rate": 0.01, "optimizer": "adafactor"}, r"mup's rates are for Adam"),
        ({"batch_tokens": "best"}, r"training\.batch_tokens: 'best' is not"),
    ],
)
def test_a_wrong_setting_gets_one_line(training, message):
    with pytest.raises(InputError, match=message):
        config(**training)


PAIRED = {
    "role": "train",
    "sources": [{"kind": "files", "paths": ["q.jsonl"], "source_field": "q", "target_field": "a"}],
}


def test_an_encoder_decoders_halves_are_varied_by_its_share_of_layers():
    raw = {
        "study": "test",
        "corpora": {"pairs": PAIRED},
        "tokenizer": {"vocabulary": 512},
        "training": {
            "family": "encoder_decoder", "parameters": [90_000], "dataset_tokens": [10_000], "context": 64,
            "batch_tokens": 1024, "max_tokens": 20_000, "sweep": [{"encoder_share": [0.25, 0.75]}],
        },
    }  # fmt: skip
    runs = runs_of(checked_config(raw, SCHEMA, "test.yaml"))
    assert list(runs) == [
        "encoder_decoder-2+2L40d-10k-s0", "encoder_decoder-1+3L40d-10k-s0", "encoder_decoder-3+1L40d-10k-s0",
    ]  # fmt: skip
    assert [run.encoder_layers for run in runs.values()] == [2, 1, 3]
    assert [run.variant for run in runs.values()] == ["", "share0.25", "share0.75"]
    assert all(run.shape.parameters == run.parameters for run in runs.values())


def of_family(family, sources, **training):
    raw = {"study": "test", "corpora": {"pages": {"role": "train", "sources": sources}}}
    grid = {"parameters": [90_000], "dataset_tokens": [10_000], "max_tokens": 20_000, "context": 64}
    return checked_config(
        raw | {"training": {**grid, "batch_tokens": 1024, "family": family, **training}}, SCHEMA, "test.yaml"
    )


def test_an_encoder_decoder_that_is_given_no_pairs_is_refused_and_texts_of_pairs_serve_any_family():
    texts = [{"kind": "files", "paths": ["a.txt"]}]
    with pytest.raises(
        InputError, match=r"corpora\.pages\.sources\.1: the family encoder_decoder learns pairs .* Give it"
    ):
        runs_of(of_family("encoder_decoder", PAIRED["sources"] + texts))
    assert runs_of(of_family("encoder_decoder", PAIRED["sources"]))
    assert runs_of(of_family("encoder_decoder", [{"kind": "installed-docs", "content": "translations"}]))
    assert runs_of(of_family("transformer", PAIRED["sources"] + texts))


def test_losses_of_targets_alone_are_not_put_beside_those_of_whole_texts():
    with pytest.raises(
        InputError, match=r"training\.sweep: losses of encoder_decoder.*those of transformer\. Make a study"
    ):
        runs_of(of_family("transformer", PAIRED["sources"], sweep=[{"family": "encoder_decoder"}]))


def test_pairs_that_only_a_foreign_corpus_has_are_refused():
    config = of_family("transformer", [{"kind": "files", "paths": ["a.txt"]}])
    config["corpora"]["faq"] = {**of_family("transformer", PAIRED["sources"])["corpora"]["pages"], "role": "ood"}
    with pytest.raises(InputError, match=r"corpora\.faq\.sources: it has pairs of texts, and what separates them"):
        runs_of(config)
    config["corpora"]["pages"]["sources"] = PAIRED["sources"]
    assert runs_of(config)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"parameters,tokens,loss\n1e6,1e8,3\n", "the column 'run' is missing"),
        (b"run,family\n", "the column 'parameters' is missing"),
        (b"", "the column 'run' is missing"),
        (b"\xff\xfe", "not readable as CSV"),
    ],
)
def test_a_file_that_is_no_plan_is_told(tmp_path, content, problem):
    (tmp_path / "plan.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"plan.csv: {problem}. Name a plan that was made by: snakemake"):
        check_plan(tmp_path / "plan.csv")


def test_a_plan_without_runs_is_told_and_one_with_runs_is_right(tmp_path):
    run = runs_of(config())["2L24d-10k-s5"]
    (row,) = plan_rows([run], [needs_of(run, Hardware("CPU core"), 12, 3)], None)
    header, values = ",".join(row), ",".join(map(str, row.values()))
    (tmp_path / "plan.csv").write_text(f"{header}\n")
    with pytest.raises(InputError, match="it has no runs"):
        check_plan(tmp_path / "plan.csv")
    (tmp_path / "plan.csv").write_text(f"{header}\n{values}\n")
    check_plan(tmp_path / "plan.csv")
