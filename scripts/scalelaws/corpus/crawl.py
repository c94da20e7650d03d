"""The crawler: many URLs at once, politely, with a line in a log for each, and a WARC file at the end.

It resumes: pages are appended to a WARC file in a state folder, then logged with their place in it, so after a kill
only URLs without a line are fetched. The final files are in the order of the URLs, whatever the order of arrival.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from scalelaws.corpus.fetch import LONGEST_WAIT, Fetcher, Limits, Outcome
from scalelaws.corpus.frontier import Frontier, Visit
from scalelaws.corpus.warc import Response, info_record, response_record
from scalelaws.io import atomic_path
from scalelaws.workers import Show, silent

ABANDON_AFTER = 5
"""Visits in a row without an answer after which a host is given up for this crawl."""
UNASKED = {"url": "", "outcome": "", "status": 0, "final_url": "", "bytes": 0, "attempts": 0, "date": ""}
"""What the line of a URL that was never asked for says, beside its outcome."""
FIXED_DATE = "1970-01-01T00:00:00Z"


async def crawl(
    urls: Iterable[str],
    limits: Limits,
    state: Path,
    known_hosts: Mapping[str, tuple[str, int]] | None = None,
    show: Show = silent,
) -> None:
    """Fetch the canonical `urls` into the folder `state`, leaving out those that its log already has.

    `known_hosts` gives addresses (IP, port) of hosts that are this crawl's own; their pages bear a fixed date.
    """
    state.mkdir(parents=True, exist_ok=True)
    done = {line["url"] for line in _resumed_log(state)}
    wanted = sorted(set(urls))
    frontier = Frontier((url for url in wanted if url not in done), limits.per_host)
    with (state / "pages.warc").open("ab") as pages, (state / "log.jsonl").open("ab") as log:
        async with Fetcher(limits, known_hosts or {}) as fetcher:
            await _Crawl(frontier, fetcher, limits, pages, log, len(wanted), show).run()


def publish(state: Path, warc: Path, outcomes: Path, limits: Limits) -> dict[str, int]:
    """Write a finished crawl's WARC file and its list of outcomes, ordered by URL. Returns the count per outcome."""
    lines = sorted(_resumed_log(state), key=lambda line: line["url"])
    counts: dict[str, int] = {}
    first = min((line["date"] for line in lines if line["date"]), default=FIXED_DATE)
    with atomic_path(warc) as temporary, (state / "pages.warc").open("rb") as pages, temporary.open("wb") as out:
        out.write(info_record({"software": "scalelaws", **{k: str(v) for k, v in asdict(limits).items()}}, first))
        for line in lines:
            counts[line["outcome"]] = counts.get(line["outcome"], 0) + 1
            if line["outcome"] == "fetched":
                pages.seek(line["offset"])
                out.write(pages.read(line["length"]))
    with atomic_path(outcomes) as temporary, temporary.open("w") as file:
        file.writelines(map(outcome_line, lines))
    return dict(sorted(counts.items()))


def outcome_line(facts: Mapping[str, Any]) -> str:
    """The line that says what became of a URL."""
    return json.dumps({key: facts.get(key, default) for key, default in UNASKED.items()}) + "\n"


class _Crawl:
    """One crawl under way: keeps `limits.connections` visits going and writes down what becomes of them."""

    def __init__(
        self,
        frontier: Frontier,
        fetcher: Fetcher,
        limits: Limits,
        pages: BinaryIO,
        log: BinaryIO,
        total: int,
        show: Show,
    ) -> None:
        self.frontier = frontier
        self.fetcher = fetcher
        self.limits = limits
        self.pages = pages
        self.log = log
        self.total = total
        self.show = show
        self.active = 0
        self.fetched_bytes = 0
        self.changed = asyncio.Event()
        self.jitter = random.Random(0)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while self.frontier.pending:
                self.changed.clear()
                while self.active < self.limits.connections and (visit := self.frontier.next(time.monotonic())):
                    self.active += 1
                    group.create_task(self._visit(visit))
                full = self.active >= self.limits.connections
                patience = None if full else self.frontier.wait(time.monotonic())
                try:
                    async with asyncio.timeout(patience):
                        await self.changed.wait()
                except TimeoutError:
                    continue

    async def _visit(self, visit: Visit) -> None:
        if self.frontier.abandoned(visit, ABANDON_AFTER):
            self._settle(visit, Outcome("host_abandoned", visit.address, reachable=False))
        elif not self.fetcher.has_met(visit.address):
            wait = await self.fetcher.meet(visit.address)
            self.frontier.put_off(visit, time.monotonic(), wait)
        else:
            visit.attempts += 1
            self.frontier.started(visit, time.monotonic(), self.fetcher.crawl_delay(visit.address))
            self.changed.set()
            self._settle(visit, await self.fetcher.fetch(visit.address))
        self.active -= 1
        self.changed.set()

    def _settle(self, visit: Visit, outcome: Outcome) -> None:
        """Write down what became of a visit, or let it go on: elsewhere, or later."""
        if outcome.reason == "redirect" and visit.redirects == self.limits.max_redirects:
            outcome = Outcome("too_many_redirects", outcome.url)
        wait = outcome.retry_after
        if wait is not None and wait > LONGEST_WAIT:
            self.frontier.close(visit)
            wait = None
        if outcome.reason == "redirect":
            self.frontier.moved(visit, outcome.url)
        elif wait is not None and visit.attempts < self.limits.attempts:
            backoff = self.limits.backoff * 2 ** (visit.attempts - 1) * self.jitter.uniform(0.75, 1.25)
            self.frontier.retry(visit, time.monotonic(), min(max(backoff, wait), LONGEST_WAIT))
        else:
            self._write(visit, outcome)
            self.frontier.finished(visit, time.monotonic(), reachable=outcome.reachable, rest=wait or 0.0)

    def _write(self, visit: Visit, outcome: Outcome) -> None:
        """The page goes to disk before the line that says so: a line is a promise that the page is there."""
        place = {"offset": 0, "length": 0}
        date = ""
        if outcome.reason == "fetched":
            own = visit.url.split("/")[2] in self.fetcher.known_hosts
            date = FIXED_DATE if own else datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            record = response_record(Response(outcome.url, outcome.status, outcome.headers, outcome.body, date))
            place = {"offset": self.pages.tell(), "length": len(record)}
            self.pages.write(record)
            self.pages.flush()
        line = {
            "url": visit.url,
            "outcome": outcome.reason,
            "status": outcome.status,
            "final_url": outcome.url,
            "bytes": len(outcome.body),
            "attempts": visit.attempts,
            "date": date,
        }
        self.log.write(json.dumps(line | place).encode() + b"\n")
        self.log.flush()
        self.fetched_bytes += len(outcome.body)
        done = self.total - self.frontier.pending + 1
        self.show(done, self.total, f"{self.fetched_bytes / 1e6:.1f} MB fetched")


def _resumed_log(state: Path) -> list[dict[str, Any]]:
    """The lines of a crawl's log whose pages are whole; whatever a kill left half written after them is cut off."""
    log, pages = state / "log.jsonl", state / "pages.warc"
    if not log.exists():
        pages.unlink(missing_ok=True)
        return []
    stored = pages.stat().st_size if pages.exists() else 0
    lines: list[dict[str, Any]] = []
    whole = end = 0
    with log.open("rb") as file:
        for raw in file:
            line = json.loads(raw) if raw.endswith(b"\n") else None
            if line is None or line["offset"] + line["length"] > stored:
                break
            whole += len(raw)
            end = max(end, line["offset"] + line["length"])
            lines.append(line)
    os.truncate(log, whole)
    if pages.exists():
        os.truncate(pages, end)
    return lines
