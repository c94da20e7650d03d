"""One page over HTTP within limits: robots.txt, redirects, time, size, and a name for everything that can go wrong."""

import asyncio
import email.utils
import ssl
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from protego import Protego
from yarl import URL

from scalelaws.corpus import content
from scalelaws.corpus.addresses import KnownHosts, RefusedAddressError, public_socket
from scalelaws.corpus.robots import own_part, parsed
from scalelaws.corpus.urls import canonical_url

PAGE_TYPES = ("text/html", "application/xhtml+xml", "text/plain")
ACCEPTED = "text/html,application/xhtml+xml;q=0.9,text/plain;q=0.5"
REDIRECTS = {301, 302, 303, 307, 308}
TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
ROBOTS_BYTES = 512_000
"""How much of a robots.txt is read (RFC 9309 asks for 500 KiB at least)."""
LONGEST_CRAWL_DELAY = 30.0
LONGEST_WAIT = 600.0
"""Seconds that a further try is put off at most; a host that asks for more (Retry-After) is not asked again."""
PART = 1 << 16
"""Bytes of a body, as they come, that are unpacked at a time."""


@dataclass(frozen=True)
class Limits:
    """How a crawl behaves towards hosts, and what it bears from them. Seconds and bytes."""

    user_agent: str
    connections: int
    per_host: int
    delay: float
    connect_seconds: float
    idle_seconds: float
    total_seconds: float
    max_bytes: int
    max_redirects: int
    attempts: int
    backoff: float
    allow_private: bool


@dataclass(frozen=True)
class Outcome:
    """What happened to a URL: `fetched`, or the reason why not. `retry_after` is set where another try may help."""

    reason: str
    url: str
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    retry_after: float | None = None
    reachable: bool = True


class Fetcher:
    """Fetches pages in one HTTP session that keeps no cookies, remembering each host's robots.txt.

    `types` are the content types that count as a page; None takes any.
    """

    def __init__(
        self,
        limits: Limits,
        known_hosts: Mapping[str, tuple[str, int]],
        types: Collection[str] | None = PAGE_TYPES,
    ) -> None:
        self.limits = limits
        self.known_hosts = known_hosts
        self.types = types
        self._robots: dict[str, str | None] = {}
        self._tries = Counter[str]()

    async def __aenter__(self) -> "Fetcher":
        limits = self.limits
        connector = aiohttp.TCPConnector(
            resolver=KnownHosts(self.known_hosts),
            socket_factory=None if limits.allow_private else public_socket(self.known_hosts),
            limit=limits.connections,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={
                "User-Agent": limits.user_agent,
                "Accept": ACCEPTED if self.types else "*/*",
                "Accept-Encoding": content.ACCEPTED,
            },
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=limits.connect_seconds, sock_read=limits.idle_seconds
            ),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def has_met(self, url: str) -> bool:
        """Whether it is known what the robots.txt of the URL's host says, or that it cannot be reached."""
        return _origin(url) in self._robots

    async def meet(self, url: str) -> float:
        """Ask once for the robots.txt of the URL's host, if it is not known yet; one at a time for a host.

        Gives the seconds until that host may be asked again: for a page, or for its robots.txt another time.
        """
        name = _origin(url)
        if name not in self._robots:
            self._tries[name] += 1
            text, wait = await self._read_robots(f"{name}/robots.txt", self._tries[name])
            if wait is not None:
                return wait
            self._robots[name] = text
            del self._tries[name]
        return self.crawl_delay(url)

    async def make_known(self, url: str) -> None:
        """Ask for the robots.txt of the URL's host until it is known."""
        while not self.has_met(url):
            await asyncio.sleep(await self.meet(url))

    def crawl_delay(self, url: str) -> float:
        """Seconds that the URL's host, which is known, wants between requests: its robots.txt's wish, or the limit if
        that is longer.
        """
        rules = self._rules(url)
        wish = rules.crawl_delay(self.limits.user_agent) if rules else None
        return max(self.limits.delay, min(wish or 0.0, LONGEST_CRAWL_DELAY))

    async def sitemaps(self, url: str) -> list[str]:
        """The sitemaps that the robots.txt of the URL's host names."""
        await self.make_known(url)
        rules = self._rules(url)
        return list(rules.sitemaps) if rules else []

    async def fetch(self, url: str) -> Outcome:
        """Ask once for a URL, whose host is known, where robots.txt and the address rules allow it.

        A redirect is not followed, since another request has to wait its turn: it is the outcome `redirect`, and its
        `url` is where it leads.
        """
        try:
            async with asyncio.timeout(self.limits.total_seconds):
                return await self._asked(url)
        except TimeoutError:
            return Outcome("timed_out", url, retry_after=0.0, reachable=False)

    async def _asked(self, url: str) -> Outcome:
        try:
            rules = self._rules(url)
            if rules is None:
                return Outcome("robots_unreachable", url, reachable=False)
            if not rules.can_fetch(url, self.limits.user_agent):
                return Outcome("robots_disallowed", url)
            return await self._get(url)
        except Exception as error:  # whatever a server says, it costs no other page
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise
            return _failed(url, error)

    async def _get(self, url: str) -> Outcome:
        async with self._session.get(url, allow_redirects=False) as response:
            headers = [(_text(name), _text(value)) for name, value in response.raw_headers]
            if response.status in REDIRECTS and "Location" in response.headers:
                target = canonical_url(str(response.url.join(URL(response.headers["Location"]))))
                return Outcome("redirect", target) if target else Outcome("bad_redirect", url)
            if response.status != 200:
                retry = _retry_after(response.headers) if response.status in TRANSIENT_STATUS else None
                return Outcome(f"status_{response.status}", url, response.status, retry_after=retry)
            if self.types and response.content_type not in self.types:
                return Outcome("not_a_page", url, response.status)
            if int(response.headers.get("Content-Length", 0)) > self.limits.max_bytes:
                return Outcome("too_large", url, response.status)
            body, more = await _body(response, self.limits.max_bytes)
            if more:
                return Outcome("too_large", url, response.status)
            return Outcome("fetched", url, response.status, headers, body)

    def _rules(self, url: str) -> Protego | None:
        """The rules of a known host: everything is allowed without any, nothing while it cannot be reached."""
        text = self._robots[_origin(url)]
        return None if text is None else parsed(text)

    async def _read_robots(self, url: str, attempt: int) -> tuple[str | None, float | None]:
        """The part of a robots.txt that is for this crawler, None if it cannot be reached; or after how many seconds
        to try again.
        """
        wait = self.limits.backoff * 2 ** (attempt - 1)
        try:
            async with asyncio.timeout(self.limits.total_seconds):
                async with self._session.get(url, max_redirects=self.limits.max_redirects) as response:
                    if response.status < 500 and response.status != 429:
                        text = (await _body(response, ROBOTS_BYTES))[0] if response.status == 200 else b""
                        return own_part(text.decode("utf-8", "replace"), self.limits.user_agent), None
                    wait = max(wait, _retry_after(response.headers))
        except Exception as error:  # whatever a server says, it costs no other host
            if isinstance(_cause(error), RefusedAddressError):
                # Of a host that is refused itself, the page will say why; another's may have led inside.
                ours = getattr(error, "host", None) == URL(url).raw_host
                return ("" if ours else None), None
        if attempt >= self.limits.attempts or wait > LONGEST_WAIT:
            return None, None
        return None, max(wait, self.limits.delay)


def _origin(url: str) -> str:
    return str(URL(url).origin())


async def _body(response: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """The unpacked body, at most `most` bytes of it, and whether there is more."""
    encoding = response.headers.get("Content-Encoding", "")
    return await content.unpacked(response.content.iter_chunked(PART), encoding, most)


def _text(header: bytes) -> str:
    """A header's name or value, in whichever of the two encodings that are in use it is written."""
    try:
        return header.decode()
    except UnicodeDecodeError:
        return header.decode("latin-1")


def _failed(url: str, error: Exception) -> Outcome:
    if isinstance(_cause(error), RefusedAddressError):
        return Outcome("private_address", url, reachable=False)
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return Outcome("bad_certificate", url, reachable=False)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Outcome("host_not_found", url, retry_after=0.0, reachable=False)
    if isinstance(error, TimeoutError):
        return Outcome("timed_out", url, retry_after=0.0, reachable=False)
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return Outcome("connection_failed", url, retry_after=0.0, reachable=False)
    if isinstance(error, (aiohttp.ClientPayloadError, content.BrokenContentError)):
        return Outcome("broken_body", url, retry_after=0.0)
    return Outcome("broken_response", url)


def _cause(error: BaseException) -> BaseException:
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error


def _retry_after(headers: Mapping[str, Any]) -> float:
    """Seconds that a Retry-After header asks for, which gives them or a date; 0 without one."""
    value = str(headers.get("Retry-After", "0")).strip()
    try:
        if value.isdecimal():
            return float(value)
        return max((email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return 0.0
