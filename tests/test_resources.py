"""A job that was killed for want of memory or time is tried again with more; small corpora are made side by side."""

from types import SimpleNamespace

from scalelaws.resources import devices_given, for_training_text, growing


def test_a_first_attempt_asks_for_what_was_said():
    assert growing(700)({}, threads=4, attempt=1) == 700
    assert growing(700, per_thread=200)({}, threads=4, attempt=1) == 1500


def test_every_further_attempt_asks_for_twice_as_much():
    asked = growing(700, per_thread=200)
    assert [asked({}, threads=2, attempt=attempt) for attempt in (1, 2, 3)] == [1100, 2200, 4400]


def test_an_amount_may_be_the_job_s_own():
    asked = growing(lambda wildcards: 10 * len(wildcards))
    assert [asked("run", threads=2, attempt=attempt) for attempt in (1, 2)] == [30, 60]


def test_only_the_corpus_that_is_trained_on_takes_many_threads():
    asked = for_training_text(16, "web")
    assert [asked(SimpleNamespace(corpus=name)) for name in ("web", "books")] == [16, 1]


def test_every_gpu_of_a_node_gets_a_process_however_few_cores_were_given():
    assert devices_given(gpus=8, nodes=1, threads=2) == 8
    assert devices_given(gpus=32, nodes=4, threads=2) == 8
    assert devices_given(gpus=0, nodes=1, threads=2) == 2


def test_no_attempt_asks_for_more_than_a_job_may_take():
    asked = growing(700, most=lambda wildcards: 1000)
    assert [asked({}, threads=1, attempt=attempt) for attempt in (1, 2, 3)] == [700, 1000, 1000]
    assert growing(700)({}, threads=1, attempt=6) == 2800
