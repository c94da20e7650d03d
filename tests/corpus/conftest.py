"""What the tests of this stage share: small corpora, a web server on this machine, the crawl limits for it."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from scalelaws.corpus.documents import DocumentWriter, document, read_documents
from scalelaws.corpus.fetch import Limits

PINS = Path(__file__).resolve().parents[2] / "envs" / "requirements.txt"

COMMON = """the of and to in that have with be it for not on as you do at this but his by from they we say her she or an
will my one all would there their what so up out if about who get which go me when make can like time no just him know
take people into year your good some could them see other than then now look only come its over think also back after"""
WORDS = COMMON.split()


def prose(seed: int, words: int = 120) -> str:
    """Words of English in a random order, as sentences: passes every rule and resembles no other seed's text."""
    draw = random.Random(seed)
    names = ["".join(draw.choices("abcdefghijklmnop", k=5)) for _ in range(words // 4)]
    chosen = [draw.choice(WORDS) if draw.random() < 0.7 else draw.choice(names) for _ in range(words)]
    return "\n".join(" ".join(chosen[n : n + 12]).capitalize() + "." for n in range(0, words, 12))


def write_documents(folder: Path, texts, prefix: str = "documents", url: str = "http://site.example/{}") -> Path:
    """A folder of shards with one document per text."""
    with DocumentWriter(folder, prefix) as writer:
        for number, text in enumerate(texts):
            writer.write(document(text, "test", url.format(number)))
    return folder


def texts_of(folder: Path) -> list[str]:
    return [row.text for row in read_documents(folder)]


QUICK = Limits(
    user_agent="scalelaws-tests",
    connections=8,
    per_host=4,
    delay=0.0,
    connect_seconds=20.0,
    idle_seconds=20.0,
    total_seconds=60.0,
    max_bytes=100_000,
    max_redirects=3,
    attempts=2,
    backoff=0.01,
    allow_private=True,
)


@pytest.fixture
def limits():
    """Makes crawl limits for a server on this machine, with changes by name."""
    return lambda **changes: replace(QUICK, **changes)
