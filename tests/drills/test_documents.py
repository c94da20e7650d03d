"""A corpus stage that is killed again and again, or whose files are damaged, ends with the same documents."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from scalelaws.io import file_digest

ROOT = Path(__file__).parents[2]
STUDY = {
    "study": "killed",
    "corpora": {
        "web": {
            "role": "train",
            "sources": [{"kind": "files", "paths": ["pages/*.html"]}],
            "clean": {"language_confidence": 0, "boilerplate": {"min_pages": 20}},
        },
        "crawled": {
            "role": "ood",
            "sources": [{"kind": "urls", "path": "links.txt", "allow_private": True, "crawl": {"delay": 0.05}}],
            "clean": {"language_confidence": 0},
        },
    },
    "tokenizer": {"vocabulary": 512},
    "training": {"parameters": [1_600], "dataset_tokens": [4_000], "max_tokens": 4_000, "batch_tokens": 1_024},
}
KILLS = 4


def make_pages(folder: Path, pages: range) -> None:
    """Pages of different words, among them copies of earlier ones with a word more."""
    folder.mkdir(parents=True)
    for page in pages:
        draw = random.Random(page - page % 3 if page % 3 == 1 else page)
        words = ["the", "of", "and", "that", "this", "have", "with", "was", "there", "which"]
        names = ["".join(draw.choices("abcdefghijklmnop", k=6)) for _ in range(60)]
        said = [" ".join(draw.choices(words + names, k=14)).capitalize() + "." for _ in range(25)]
        said += ["One more."] if page % 3 == 1 else []
        body = "".join(f"<p>{' '.join(said[n : n + 5])}</p>" for n in range(0, len(said), 5))
        (folder / f"{page:04}.html").write_text(f"<html><head><title>{page}</title></head><body>{body}</body></html>")


def start(folder: Path, target: str = "corpus") -> subprocess.Popen:
    command = [sys.executable, "-m", "snakemake", target, "--cores", "2", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--profile", str(ROOT / "workflow/profiles/local"), "--nolock", "--rerun-incomplete"]
    command += ["--directory", str(folder), "--configfile", str(folder / "study.yaml")]
    with (folder / "printed").open("w") as printed:
        return subprocess.Popen(command, start_new_session=True, stdout=printed, stderr=printed)


def study(folder: Path, links: str) -> Path:
    make_pages(folder / "pages", range(200))
    (folder / "links.txt").write_text(links)
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return folder


def documents(folder: Path) -> dict[str, str]:
    corpus = folder / "results" / "killed" / "corpus"
    return {
        f"{name}/{part}": file_digest(corpus / name / part)
        for name in STUDY["corpora"]
        for part in ("documents", "documents.json", "unique.json", "cleaned.json")
    }


@pytest.fixture(scope="module")
def links(tmp_path_factory):
    """A list of pages that a server on this machine has, and of some that it has not."""
    site = tmp_path_factory.mktemp("site") / "pages"
    make_pages(site, range(1000, 1060))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "".join(f"http://127.0.0.1:{server.server_port}/{page}.html\n" for page in range(1000, 1064))
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, links):
    """The finished study's folder, and the seconds that its corpus stage took."""
    folder = study(tmp_path_factory.mktemp("study") / "undisturbed", links)
    started = time.monotonic()
    assert start(folder).wait() == 0
    return folder, time.monotonic() - started


def test_a_corpus_stage_killed_at_random_moments_ends_with_the_same_documents(undisturbed, links, tmp_path):
    whole, seconds = undisturbed
    killed = study(tmp_path / "killed", links)
    draw = random.Random(1)
    interrupted = 0
    for _ in range(KILLS):
        process = start(killed)
        try:
            process.wait(draw.uniform(0.1, 0.4) * seconds)
        except subprocess.TimeoutExpired:
            interrupted += 1
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert start(killed).wait() == 0
    assert interrupted >= 2
    assert documents(killed) == documents(whole)
    assert not [*(killed / "results/killed/corpus").glob("*/.*")]


def test_a_damaged_shard_is_named_and_made_again(undisturbed, tmp_path):
    whole, _ = undisturbed
    damaged = shutil.copytree(whole, tmp_path / "damaged")
    shard = next((damaged / "results/killed/corpus/web/documents/train").glob("*.parquet"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert start(damaged, "tokens").wait() != 0
    assert f"{shard.relative_to(damaged)}: not readable as parquet" in (damaged / "printed").read_text()
    shutil.rmtree(shard.parents[1])
    assert start(damaged, "tokens").wait() == 0
    assert documents(damaged) == documents(whole)
