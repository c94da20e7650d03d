import pytest
from scalelaws.models.shapes import Shape
from scalelaws.training.rates import peak_rate, second_moment_decay, tokens_per_batch, warmup_steps

GPT2 = Shape(12, 768, 12, 1024, 50257)  # N 84.9M


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


@pytest.mark.parametrize(("rule", "batch"), [(4096, 4096), ("porian", 278 * 1024), ("step_law", 116 * 1024)])
def test_batches_follow_their_rule_in_whole_sequences(rule, batch):
    assert tokens_per_batch(rule, GPT2, 2e9) == batch


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
