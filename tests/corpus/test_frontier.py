import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus.frontier import Frontier, host_of


@given(
    urls=st.lists(st.builds("http://h{}.example/{}".format, st.integers(0, 3), st.integers(0, 30)), unique=True),
    per_host=st.integers(1, 3),
    delay=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=100)
def test_each_url_is_visited_once_and_no_host_more_often_than_is_polite(urls, per_host, delay, seed):
    """Visits start, or are put off, and end, go on elsewhere or are tried again, in any order."""
    frontier = Frontier(urls, per_host)
    now, active, starting, asked, finished = 0.0, [], [], {}, []
    draw = random.Random(seed)
    while frontier.pending:
        visit = frontier.next(now)
        if visit:
            host = host_of(visit.address)
            assert host not in {host_of(other.address) for other in starting}
            starting.append(visit)
            assert max(Counter(host_of(v.address) for v in active + starting).values()) <= per_host
        elif starting and (draw.randrange(2) or not active):
            visit = starting.pop(draw.randrange(len(starting)))
            host = host_of(visit.address)
            assert now - asked.get(host, -delay) >= delay
            asked[host] = now
            if visit.attempts == 0 and draw.randrange(3) == 0:
                frontier.put_off(visit, now, delay)
            else:
                visit.attempts += 1
                frontier.started(visit, now, delay)
                active.append(visit)
        elif active:
            visit = active.pop(draw.randrange(len(active)))
            match draw.randrange(5):
                case 0 if visit.redirects < 3:
                    frontier.moved(visit, f"http://h{draw.randrange(6)}.example/moved")
                case 1 if visit.attempts < 3:
                    frontier.retry(visit, now, delay)
                case _:
                    finished.append(visit.url)
                    frontier.finished(visit, now, reachable=True, rest=delay * (draw.randrange(2)))
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
    frontier.finished(other, 0.0, reachable=True)
    assert frontier.next(9.9) is None and frontier.pending == 2
    assert frontier.next(10.0) is sent and sent.url == "http://a/1" and sent.address == "http://b/moved"
    frontier.started(sent, 10.0, delay=10.0)
    frontier.finished(sent, 10.0, reachable=True)
    assert frontier.next(20.0).url == "http://b/2"


def test_a_host_that_answers_nothing_is_abandoned():
    urls = [f"http://a/{n}" for n in range(4)]
    frontier = Frontier(urls, per_host=1)
    for n in range(4):
        visit = frontier.next(0.0)
        assert frontier.abandoned(visit, 3) == (n >= 3)
        frontier.started(visit, 0.0, 0.0)
        frontier.finished(visit, 0.0, reachable=False)
