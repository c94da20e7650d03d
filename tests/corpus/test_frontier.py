from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus.frontier import Frontier, host_of


@given(
    urls=st.lists(st.builds("http://h{}.example/{}".format, st.integers(0, 3), st.integers(0, 30)), unique=True),
    per_host=st.integers(1, 3),
    delay=st.sampled_from([0.0, 1.0]),
    choices=st.lists(st.integers(0, 10), min_size=200, max_size=200),
)
@settings(deadline=None, max_examples=60)
def test_each_url_is_visited_once_and_no_host_more_often_than_is_polite(urls, per_host, delay, choices):
    frontier = Frontier(urls, per_host)
    now, active, started, finished = 0.0, [], {}, []
    draw = iter(choices * 10)
    while frontier.pending:
        visit = frontier.next(now)
        if visit:
            host = host_of(visit.url)
            assert now - started.get(host, -delay) >= delay
            started[host] = now
            active.append(visit)
            assert max(Counter(host_of(v.url) for v in active).values()) <= per_host
            frontier.started(visit, now, delay)
        elif active:
            visit = active.pop(next(draw) % len(active))
            finished.append(visit.url)
            frontier.finished(visit, reachable=True)
        else:
            wait = frontier.wait(now)
            assert wait is not None, "URLs are pending, but none will ever be ready"
            now += wait
    assert sorted(finished) == sorted(urls)


def test_a_retry_puts_the_whole_host_off():
    frontier = Frontier(["http://a/1", "http://a/2", "http://b/1"], per_host=2)
    first = frontier.next(0.0)
    frontier.started(first, 0.0, 0.0)
    frontier.retry(first, 0.0, after=10.0)
    others = {frontier.next(0.0).url}
    assert others == {"http://b/1"}
    assert frontier.next(9.9) is None
    assert {frontier.next(10.0).url} <= {"http://a/1", "http://a/2"}


def test_a_visit_that_is_sent_on_is_the_next_of_its_new_host_at_that_hosts_pace():
    frontier = Frontier(["http://a/1", "http://b/1", "http://b/2"], per_host=1)
    visits = [frontier.next(0.0), frontier.next(0.0)]
    sent, other = sorted(visits, key=lambda visit: visit.url)
    for visit in visits:
        frontier.started(visit, 0.0, delay=10.0)
    frontier.moved(sent, "http://b/moved")
    frontier.finished(other, reachable=True)
    assert frontier.next(9.9) is None and frontier.pending == 2
    assert frontier.next(10.0) is sent and sent.url == "http://a/1" and sent.address == "http://b/moved"
    frontier.started(sent, 10.0, delay=10.0)
    frontier.finished(sent, reachable=True)
    assert frontier.next(20.0).url == "http://b/2"


def test_a_host_that_answers_nothing_is_abandoned():
    urls = [f"http://a/{n}" for n in range(4)]
    frontier = Frontier(urls, per_host=1)
    for n in range(4):
        visit = frontier.next(0.0)
        assert frontier.abandoned(visit, 3) == (n >= 3)
        frontier.started(visit, 0.0, 0.0)
        frontier.finished(visit, reachable=False)
