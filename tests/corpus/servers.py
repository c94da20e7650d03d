"""A web server on 127.0.0.1 whose pages a test defines, and a crawl of it in the same event loop."""

import asyncio
import json
from contextlib import asynccontextmanager

from aiohttp import web
from scalelaws.corpus.crawl import crawl, publish
from scalelaws.corpus.files import read_files


@asynccontextmanager
async def server(routes):
    """Serve `routes`, path -> handler or text, at the address that it yields; counts requests per path in .hits."""
    application = web.Application()
    hits: dict[str, int] = {}

    async def answer(request):
        hits[request.path] = hits.get(request.path, 0) + 1
        handler = routes.get(request.path)
        if handler is None:
            return web.Response(status=404)
        if isinstance(handler, str):
            kind = "text/plain" if request.path == "/robots.txt" else "text/html"
            return web.Response(text=handler, content_type=kind)
        return await handler(request)

    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", hits
    finally:
        await runner.cleanup()


def crawled(routes, paths, limits, folder, known_hosts=None):
    """Crawl `paths` of a server with `routes`: (outcome by path, pages by path, requests by path)."""

    async def run():
        async with server(routes) as (address, hits):
            await crawl([address + path for path in paths], limits, folder / "state", known_hosts)
            return address, hits

    address, hits = asyncio.run(run())
    outcomes, pages = published(folder, limits, address)
    return outcomes, pages, hits


def published(folder, limits, address):
    publish(folder / "state", folder / "pages.warc.gz", folder / "outcomes.jsonl", limits)
    lines = [json.loads(line) for line in (folder / "outcomes.jsonl").read_text().splitlines()]
    raws = read_files([folder / "pages.warc.gz"], {})
    pages = {raw.url.removeprefix(address): raw.html.decode(errors="replace") for raw in raws}
    return {line["url"].removeprefix(address): line for line in lines}, pages


async def redirect_to(request, target, status=302):
    return web.Response(status=status, headers={"Location": target})
