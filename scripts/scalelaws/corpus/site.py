"""A static web site of the installed packages' documentation, and the server that shows it to the crawler.

Pages look like pages: navigation, side bar, header, footer and links stand around the text, for extraction to remove.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

from aiohttp import web

from scalelaws.corpus.docstrings import module_page
from scalelaws.corpus.pinned import Package, is_test
from scalelaws.corpus.readmes import readme_page
from scalelaws.workers import Show, ordered_map, silent

HOST = "installed-docs.localhost"
"""The name under which pages are recorded, whatever the port that they were served on (.localhost: RFC 6761)."""

FIXED_HEADERS = {"Date": "Thu, 01 Jan 1970 00:00:00 GMT", "Server": "installed-docs"}
"""Nothing that a server says may depend on the day: what is scraped is the same bit for bit."""

ROBOTS = "User-agent: *\nDisallow: /search\nDisallow: /_sources/\n"
NEIGHBOURS = 20

LAYOUT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title} — {package} {version} documentation</title>
<meta name="generator" content="installed-docs">
<link rel="stylesheet" href="/_static/site.css">
</head>
<body>
<header class="site-header"><a class="logo" href="/">Installed documentation</a>
<form action="/search"><input type="search" name="q" placeholder="Search"><button>Go</button></form></header>
<nav class="breadcrumb" aria-label="breadcrumb"><ol><li><a href="/">Packages</a></li>
<li><a href="/{package}/">{package} {version}</a></li><li>{title}</li></ol></nav>
<div class="layout">
<aside class="sidebar"><nav aria-label="modules"><h2>Modules</h2><ul>
{neighbours}
</ul></nav></aside>
<main role="main"><article>
{article}
</article></main>
</div>
<nav class="pager">{previous} {following}</nav>
<footer class="site-footer"><p>{package} {version}. Copyright by its authors, see the licence of the package.</p>
<ul><li><a href="/">All packages</a></li><li><a href="/search">Search</a></li>
<li><a href="/_sources/{package}/{title}">Page source</a></li></ul></footer>
</body>
</html>
"""


@dataclass(frozen=True)
class Page:
    """One page before its furniture: the package's name and version, the page's name, and its article as HTML."""

    package: str
    version: str
    name: str
    article: str

    @property
    def path(self) -> str:
        """Where the page stands in the site."""
        return f"{self.package}/{self.name}.html"


def build_site(pages: Iterable[Page], folder: Path) -> list[str]:
    """Write pages, which come grouped by package, as a static site. Returns the URLs of the pages, sorted."""
    urls = []
    for package, group in groupby(pages, key=lambda page: page.package):
        (folder / package).mkdir(parents=True)
        siblings = list(group)
        for place, page in enumerate(siblings):
            (folder / page.path).write_text(_laid_out(page, place, siblings), encoding="utf-8")
            urls.append(f"http://{HOST}/{page.path}")
    (folder / "robots.txt").write_text(ROBOTS)
    return sorted(urls)


def site_urls(folder: Path) -> list[str]:
    """The URLs of the pages of a site that `build_site` wrote, sorted."""
    return sorted(f"http://{HOST}/{page.relative_to(folder).as_posix()}" for page in folder.rglob("*.html"))


def docstring_pages(packages: list[Package], processes: int, show: Show = silent) -> Iterator[Page]:
    """A page for each documented module of the packages, tests left out, read in several processes."""
    modules = [
        (package.name, package.version, name, path)
        for package in packages
        for name, path in package.with_suffix(".py")
        if not is_test(name)
    ]
    for done, ((package, version, name, _), article) in enumerate(ordered_map(_article, modules, processes), 1):
        show(done, len(modules), "reading docstrings")
        if isinstance(article, str):
            yield Page(package, version, _module(name), article)


def readme_pages(packages: list[Package], processes: int, show: Show = silent) -> Iterator[Page]:
    """A page for each package's long description, rendered in several processes."""
    for done, (package, article) in enumerate(ordered_map(readme_page, packages, processes), 1):
        show(done, len(packages), "rendering descriptions")
        if isinstance(article, str):
            yield Page(package.name, package.version, "readme", article)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[int]:
    """Serve a site on 127.0.0.1, on the free port that it yields."""

    async def answer(request: web.Request) -> web.Response:
        path = (folder / request.path.strip("/")).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            return web.Response(status=404, text="Not found", headers=FIXED_HEADERS)
        kind = "text/plain" if path.suffix == ".txt" else "text/html"
        return web.Response(body=path.read_bytes(), content_type=kind, charset="utf-8", headers=FIXED_HEADERS)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _article(module: tuple[str, str, str, Path]) -> str | None:
    *_, name, path = module
    return module_page(path.read_bytes(), _module(name))


def _module(relative: str) -> str:
    return relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _laid_out(page: Page, place: int, siblings: list[Page]) -> str:
    first = max(0, min(place - NEIGHBOURS // 2, len(siblings) - NEIGHBOURS))
    neighbours = "\n".join(f"<li>{_link(sibling)}</li>" for sibling in siblings[first : first + NEIGHBOURS])
    return LAYOUT.format(
        title=escape(page.name),
        package=escape(page.package),
        version=escape(page.version),
        article=page.article,
        neighbours=neighbours,
        previous=_link(siblings[place - 1], "Previous: ") if place else "",
        following=_link(siblings[place + 1], "Next: ") if place + 1 < len(siblings) else "",
    )


def _link(page: Page, prefix: str = "") -> str:
    return f'<a href="/{escape(page.path)}">{prefix}{escape(page.name)}</a>'
