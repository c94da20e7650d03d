import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.training.batches import batch, seen_starts


@settings(max_examples=50, deadline=None)
@given(st.integers(20, 400), st.integers(2, 9), st.integers(1, 12), st.integers(0, 5))
def test_every_epoch_sees_every_sequence_once(tokens, context, sequences, seed):
    ids = np.arange(tokens, dtype=np.uint16)
    per_epoch = (tokens - 1) // context
    steps = -(-3 * per_epoch // sequences)
    seen = np.concatenate([batch(ids, s, sequences * context, context, seed)[0][:, 0] for s in range(1, steps + 1)])
    for epoch in range(3):
        assert sorted(seen[epoch * per_epoch : (epoch + 1) * per_epoch] // context) == list(range(per_epoch))


def test_targets_are_the_next_tokens():
    ids = np.random.default_rng(0).integers(0, 60_000, 1000).astype(np.uint16)
    inputs, targets = batch(ids, 3, 80, 10, seed=1)
    assert inputs.shape == targets.shape == (8, 10)
    assert inputs.dtype == np.int64
    assert (inputs[:, 1:] == targets[:, :-1]).all()


def test_a_batch_depends_on_seed_and_step_alone():
    ids = np.arange(1000, dtype=np.uint16)
    first = batch(ids, 7, 80, 10, seed=1)[0]
    batch(ids, 50, 80, 10, seed=2)
    assert (batch(ids, 7, 80, 10, seed=1)[0] == first).all()
    assert (batch(ids, 7, 80, 10, seed=2)[0] != first).any()
    assert (batch(ids, 8, 80, 10, seed=1)[0] != first).any()


@settings(max_examples=50, deadline=None)
@given(st.integers(20, 400), st.integers(2, 9), st.integers(1, 500), st.integers(1, 30), st.integers(0, 5))
def test_windows_of_the_text_a_run_has_seen_are_sequences_it_was_trained_on(tokens, context, steps, count, seed):
    ids = np.arange(tokens, dtype=np.uint16)
    trained_on = {batch(ids, step, context, context, seed)[0][0, 0] for step in range(1, steps + 1)}
    starts = seen_starts(tokens, steps * context, count, context, seed)
    assert set(starts) <= trained_on
    assert len(set(starts)) == min(count, len(trained_on))


def test_windows_are_spread_over_all_that_was_seen_and_after_an_epoch_are_the_same_for_every_seed():
    starts = seen_starts(10_001, processed=5_000, count=50, context=10, seed=1)
    assert np.histogram(starts, bins=5, range=(0, 10_000))[0].min() >= 7
    assert (starts != seen_starts(10_001, 5_000, 50, 10, seed=2)).any()
    assert (seen_starts(10_001, 10_000, 50, 10, seed=1) == seen_starts(10_001, 30_000, 50, 10, seed=2)).all()
