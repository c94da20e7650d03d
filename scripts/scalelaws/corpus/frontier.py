"""What to fetch next: URLs by host, so that no host gets more, or faster, requests than is polite."""

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from yarl import URL


@dataclass
class Visit:
    """A URL to fetch, the address that redirects have led to, how many did, and how often that address was tried."""

    url: str
    address: str
    redirects: int = 0
    attempts: int = 0


@dataclass
class _Host:
    waiting: deque[Visit] = field(default_factory=deque)
    active: int = 0
    ready_at: float = 0.0
    scheduled: bool = False
    starting: Visit | None = None
    failures: int = 0
    closed: bool = False


class Frontier:
    """Gives out visits: at most `per_host` at a time to one host, starts at least its delay apart, hosts in turn.

    Time is passed in, in seconds of any one clock.
    """

    def __init__(self, urls: Iterable[str], per_host: int) -> None:
        self.per_host = per_host
        self.pending = 0
        self._hosts: dict[str, _Host] = {}
        self._heap: list[tuple[float, str]] = []
        for url in urls:
            self._hosts.setdefault(host_of(url), _Host()).waiting.append(Visit(url, url))
            self.pending += 1
        for name in self._hosts:
            self._schedule(name)

    def next(self, now: float) -> Visit | None:
        """A visit that may start now, or None."""
        while self._heap and self._heap[0][0] <= now:
            _, name = heapq.heappop(self._heap)
            host = self._hosts[name]
            host.scheduled = False
            if host.ready_at > now:  # a retry put the host off after it was scheduled
                self._schedule(name)
                continue
            host.active += 1
            host.starting = host.waiting.popleft()  # until it has, and the host's next turn is known, no other does
            return host.starting
        return None

    def wait(self, now: float) -> float | None:
        """Seconds until a host is ready, or None while all wait for visits that are under way."""
        return max(self._heap[0][0] - now, 0.0) if self._heap else None

    def started(self, visit: Visit, now: float, delay: float) -> None:
        """The visit's request goes out now; the host's next one may follow after `delay` seconds."""
        self._rest(visit, now + delay)
        self._schedule(host_of(visit.address))

    def put_off(self, visit: Visit, now: float, delay: float) -> None:
        """The visit could not start, for its host was asked something else: it is the next after `delay` seconds."""
        name = host_of(visit.address)
        self._hosts[name].active -= 1
        self._hosts[name].waiting.appendleft(visit)
        self._rest(visit, now + delay)
        self._schedule(name)

    def finished(self, visit: Visit, now: float, *, reachable: bool, rest: float = 0.0) -> None:
        """The visit is over for good; `reachable`: whether its host answered; `rest`: seconds that it asked for."""
        self._rest(visit, now + rest)
        self._left(visit, reachable)
        self.pending -= 1

    def moved(self, visit: Visit, address: str) -> None:
        """The visit was sent on to another address: it is the next of that one's host, at that host's pace."""
        self._left(visit, reachable=True)
        visit.address, visit.redirects, visit.attempts = address, visit.redirects + 1, 0
        name = host_of(address)
        self._hosts.setdefault(name, _Host()).waiting.appendleft(visit)
        self._schedule(name)

    def retry(self, visit: Visit, now: float, after: float) -> None:
        """Try the visit again, once its whole host was left in peace for `after` seconds."""
        name = host_of(visit.address)
        host = self._hosts[name]
        host.active -= 1
        host.waiting.append(visit)
        self._rest(visit, now + after)
        self._schedule(name)

    def close(self, visit: Visit) -> None:
        """The visit's host is not to be asked again."""
        self._hosts[host_of(visit.address)].closed = True

    def abandoned(self, visit: Visit, limit: int) -> bool:
        """Whether the visit's host is closed, or failed to answer `limit` visits in a row."""
        host = self._hosts[host_of(visit.address)]
        return host.closed or host.failures >= limit

    def _rest(self, visit: Visit, until: float) -> None:
        """The visit's host is asked nothing until then."""
        host = self._hosts[host_of(visit.address)]
        host.ready_at = max(host.ready_at, until)
        if host.starting is visit:
            host.starting = None

    def _left(self, visit: Visit, reachable: bool) -> None:
        name = host_of(visit.address)
        host = self._hosts[name]
        host.active -= 1
        host.failures = 0 if reachable else host.failures + 1
        self._schedule(name)

    def _schedule(self, name: str) -> None:
        host = self._hosts[name]
        if host.waiting and not host.scheduled and host.starting is None and host.active < self.per_host:
            host.scheduled = True
            heapq.heappush(self._heap, (host.ready_at, name))


def host_of(url: str) -> str:
    """The host and port of a URL, as robots.txt and politeness count them."""
    return URL(url).authority
