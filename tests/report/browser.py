"""A real headless browser for the tests of the page; everything that a page says or asks for is written down."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
FLAGS = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]


@dataclass
class Opened:
    """A page on the screen, with the complaints of its console and the addresses that it asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def cells(self, table: str) -> dict[str, list[str]]:
        """The rows of a table by their heading, without the notes below it."""
        script = """rows => rows.map(row => [row.cells[0].firstChild.textContent,
            ...[...row.cells].slice(1).map(cell => cell.textContent)])"""
        return {row[0]: row[1:] for row in self.page.eval_on_selector_all(f"#{table} tbody tr", script)}

    def notes(self, table: str) -> list[str]:
        """The remarks below the headings of a table's rows."""
        return self.page.eval_on_selector_all(f"#{table} .note", "notes => notes.map(note => note.textContent)")

    def drawn(self) -> dict[str, int]:
        """How many glyphs of each kind the interactive figure holds, and how many marks the points have."""
        self.settled()
        script = """() => { const plot = Bokeh.documents.at(-1).roots()[0];
            const count = {};
            for (const renderer of plot.renderers) {
                const kind = renderer.glyph.type;
                count[kind] = (count[kind] ?? 0) + 1;
                if (kind === "Scatter") count.marks = renderer.data_source.data.x.length;
            }
            return {...count, x: plot.x_scale.type, y: plot.y_scale.type}; }"""
        return self.page.evaluate(script)

    def settled(self) -> None:
        """Wait until the interactive figure shows what was last asked for."""
        self.page.wait_for_selector("#explorer-chart[aria-busy=false] .bk-Figure")

    def screenshot(self, name: str) -> Path:
        """Keep a picture of the whole page as a test artifact."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        file = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=str(file))
        return file


@contextmanager
def started() -> Iterator[Browser]:
    """The system's Chromium, without a network."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=EXECUTABLE, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, file: Path, width: int = 1440, scheme: str = "light") -> Iterator[Opened]:
    """A file in a window of this width, with the reader's preference for light or dark."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    seen = Opened(context.new_page())
    seen.page.on("console", lambda message: seen.complaints.append(message.text) if _bad(message.type) else None)
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.goto(file.as_uri())
    seen.settled()
    seen.requests = [url for url in seen.requests if not re.match(r"data:|file:.*report\.html", url)]
    yield seen
    context.close()


def _bad(kind: str) -> bool:
    return kind in ("error", "warning")
