import pytest
from hypothesis import given
from hypothesis import strategies as st
from scalelaws.models.shapes import Shape
from scalelaws.training.rates import peak_rate, second_moment_decay, tokens_per_batch, warmup_steps

GPT2 = Shape(12, 768, 12, 1024, 50257)  # N 84.9M
SMALL = Shape(2, 24, 1, 128, 4096)


@pytest.mark.parametrize(
    ("rule", "rate"),
    [
        (0.004, 0.004),
        ({"times_width": 0.4}, 0.4 / 768),
        ({"times_width": 0.4, "at_batch_tokens": 1024}, 2 * 0.4 / 768),
        ({"times_width": 0.4, "at_batch_tokens": 16_384}, 0.4 / 768 / 2),
        ("kaplan", 0.0006921),
        ("porian", 0.005173),
        ("step_law", 0.00285),
    ],
)
def test_rates_follow_their_rule(rule, rate):
    assert peak_rate(rule, GPT2, 2e9, 4096) == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(("rule", "batch"), [(4096, 4096), ("porian", 288 * 1024), ("step_law", 112 * 1024)])
def test_batches_follow_their_rule_in_whole_sequences(rule, batch):
    assert tokens_per_batch(rule, GPT2, 2e9) == batch


@given(st.floats(1e6, 1e13))
def test_a_batch_by_rule_is_near_it_and_goes_through_in_equal_parts(tokens):
    best, sequences = 0.58 * tokens**0.571 / 128, tokens_per_batch("step_law", SMALL, tokens) // 128
    assert abs(sequences - best) <= max(0.5, best / 16)
    largest_power_of_two = sequences & -sequences
    assert sequences // largest_power_of_two <= 16


def test_a_batch_is_at_least_one_sequence():
    assert tokens_per_batch("step_law", GPT2, 1000) == 1024


def test_a_warm_up_takes_updates_or_tokens():
    assert [warmup_steps(100, batch) for batch in (512, 1024)] == [100, 100]
    assert [warmup_steps({"tokens": 102_400}, batch) for batch in (512, 1024, 4096)] == [200, 100, 25]


def test_a_mean_square_gradient_forgets_half_in_its_half_life():
    assert second_moment_decay(0.99, 512) == 0.99
    assert second_moment_decay({"half_life_tokens": 1e6}, 1e6) == 0.5
    steps = 40
    assert second_moment_decay({"half_life_tokens": 1e6}, 1e6 / steps) ** steps == pytest.approx(0.5)
