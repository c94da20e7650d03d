import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.workers import AHEAD, Failure, ordered_map, sure


def _double(item):
    time.sleep(0.001 * (item % 3))
    return 2 * item


@given(st.integers(0, 100), st.integers(1, 3))
@settings(deadline=None, max_examples=8)
def test_results_come_in_the_order_of_the_items(count, processes):
    assert list(ordered_map(_double, range(count), processes)) == [(n, 2 * n) for n in range(count)]


def _sleep_on_seven(item):
    if item == 7:
        time.sleep(60)
    return item


def test_an_item_that_takes_too_long_costs_only_itself():
    started = time.monotonic()
    results = dict(ordered_map(_sleep_on_seven, range(40), 2, seconds=2))
    assert results.pop(7) == Failure("timed_out")
    assert results == {n: n for n in range(40) if n != 7}
    assert time.monotonic() - started < 40


def _die_on_seven(item):
    if item == 7:
        os._exit(1)
    return item


def test_an_item_that_kills_its_process_costs_only_itself():
    results = dict(ordered_map(_die_on_seven, range(40), 2))
    assert results.pop(7) == Failure("crashed")
    assert results == {n: n for n in range(40) if n != 7}


def _fill_memory_on_seven(item):
    return len(bytearray(2 << 30 if item == 7 else 1000)) and item


def test_an_item_that_asks_for_too_much_memory_costs_only_itself():
    results = dict(ordered_map(_fill_memory_on_seven, range(40), 2, memory=1 << 30))
    assert results.pop(7) == Failure("out_of_memory")
    assert results == {n: n for n in range(40) if n != 7}


KEPT = []


def _keep_much_in_all(item):
    KEPT.append(bytearray(400 << 20))
    return item


def test_what_others_have_left_in_a_process_is_no_items_fault():
    results = dict(ordered_map(_keep_much_in_all, range(6), 1, memory=1 << 30))
    assert results == {n: n for n in range(6)}


def _process(_):
    return os.getpid()


def test_a_process_is_replaced_after_its_lifetime():
    processes = [process for _, process in ordered_map(_process, range(20), 2, lifetime=4)]
    assert max(map(processes.count, processes)) <= 4 and len(set(processes)) >= 5


def test_where_no_result_may_be_missing_a_failure_is_an_error():
    with pytest.raises(RuntimeError, match="a worker process crashed at 7"):
        list(sure(ordered_map(_die_on_seven, range(40), 2)))


def _fail(item):
    raise KeyError("the culprit")


def test_a_mistake_in_the_function_is_raised_with_its_traceback():
    with pytest.raises(RuntimeError, match="the culprit"):
        list(ordered_map(_fail, range(3), 2))


def test_only_a_window_of_the_items_is_read_ahead():
    drawn = []

    def items():
        for n in range(10_000):
            drawn.append(n)
            yield n

    results = ordered_map(_double, items(), 2)
    next(results)
    assert len(drawn) <= 2 * AHEAD + 1
    results.close()
