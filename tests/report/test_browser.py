"""The page in a real browser: no console error, no request, no sideways scrolling, on a phone and on a desk."""

import html
import json
import re
import shutil
import subprocess

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
PROBE = """<script>addEventListener("load", () => {
const root = document.documentElement, images = [...document.images].filter(image => image.loading !== "lazy");
parent.document.title = JSON.stringify({width: innerWidth, content: root.scrollWidth, tall: root.scrollHeight,
broken: images.filter(image => !image.naturalWidth).length, background: getComputedStyle(document.body).backgroundColor,
requests: performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith("data:"))});
});</script></body>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine to open the page in")


def browse(text, folder, *flags):
    """Open a page; gives its DOM after loading, and what the browser logged."""
    folder.mkdir(exist_ok=True)
    (folder / "report.html").write_text(text, encoding="utf-8")
    command = [BROWSER, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, "--dump-dom"]
    address = (folder / "report.html").as_uri()
    done = subprocess.run([*command, address], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, done.stderr


def probe(page, folder, width, *flags):
    """What the page measures of itself in a frame of this width, its ban on scripts lifted for this one.

    A frame, because the browser's own window cannot be as narrow as a phone.
    """
    inner = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("</body>", PROBE)
    dom, _ = browse(
        f'<iframe style="border: 0; width: {width}px; height: 900px" srcdoc="{html.escape(inner)}"></iframe>',
        folder,
        *flags,
    )
    return json.loads(html.unescape(re.search("<title>(.*?)</title>", dom)[1]))


def test_the_page_opens_without_a_word_of_complaint(page, tmp_path):
    dom, log = browse(page, tmp_path)
    assert "CONSOLE" not in log
    assert "Scaling laws of" in dom


def test_the_browser_would_complain_of_a_request(page, tmp_path):
    _, log = browse(page.replace("</body>", '<img src="https://example.org/a.png" alt=""></body>'), tmp_path)
    assert "CONSOLE" in log


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_fits_the_screen_and_asks_for_nothing(page, tmp_path, width):
    seen = probe(page, tmp_path, width)
    assert seen["width"] == width
    assert seen["requests"] == []
    assert seen["content"] <= seen["width"]
    assert seen["tall"] > 2000
    assert seen["broken"] == 0


def test_it_follows_the_reader_into_the_dark(page, tmp_path):
    light = probe(page, tmp_path / "light", 800)
    dark = probe(page, tmp_path / "dark", 800, "--blink-settings=preferredColorScheme=0")
    assert light["background"] == "rgb(255, 255, 255)"
    assert dark["background"] == "rgb(20, 22, 26)"
