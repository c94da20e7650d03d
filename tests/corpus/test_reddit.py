import bz2
import io
import json
import lzma
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus.reddit import LONGEST_LINE, Link, reddit_links, submissions, wanted
from scalelaws.errors import InputError
from scalelaws.io import file_digest

ENDS = (".zst", ".xz", ".bz2")


def submission(url="http://a.example/x", **fields):
    plain = {"id": "1", "url": url, "score": 3, "over_18": False, "is_self": False, "created_utc": 1120181161}
    return plain | {"domain": "a.example", "subreddit": "science"} | fields


def dump(path, rows, window=None):
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if path.suffix == ".zst":
        long = zstandard.ZstdCompressionParameters.from_level(3, window_log=window or 27, enable_ldm=True)
        data = zstandard.ZstdCompressor(compression_params=long).compress(data)
    path.write_bytes({".xz": lzma.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)(data))
    return path


def links_of(dumps, state, min_karma=3, blocked=()):
    path, counts = reddit_links(dumps, min_karma, blocked, state)
    return [json.loads(line) for line in path.read_text().splitlines()], counts


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (submission(is_self=True), "self_post"),
        (submission(domain="self.science"), "self_post"),
        (submission(over_18=True), "over_18"),
        (submission(score=2), "low_karma"),
        (submission(score=None), "low_karma"),
        (submission(score=float("nan")), "low_karma"),
        (submission("mailto:a@b.example"), "not_a_web_address"),
        (submission("https://www.reddit.com/r/science/1"), "not_outbound"),
        (submission("https://i.redd.it/x"), "not_outbound"),
        (submission("https://www.spam.example/x"), "blocked_domain"),
        (submission("https://i.imgur.com/x"), "media"),
        (submission("http://a.example/film.MP4?x=1"), "media"),
        (submission(post_hint="rich:video"), "media"),
        (submission(is_video=True), "media"),
        ({"title": "no url"}, "not_a_submission"),
        (["a list"], "not_a_submission"),
    ],
)
def test_what_is_no_upvoted_outbound_page_is_left_out_under_its_reason(row, reason):
    assert wanted(row, 3, {"spam.example"}) == reason


def test_a_link_keeps_score_date_and_subreddit_and_its_url_is_canonical():
    row = submission("HTTP://A.example:80/x?a=1&amp;b=2&utm_source=r#top", score="7", created_utc="1120181161")
    assert wanted(row, 3, ()) == Link("http://a.example/x?a=1&b=2", 7, "2005-07-01T01:26:01Z", "science", "1")


def test_a_page_submitted_in_two_months_stays_once_with_its_best_score(tmp_path):
    june = dump(tmp_path / "RS_1.zst", [submission(score=5), submission("http://b.example", score=4)])
    july = dump(tmp_path / "RS_2.zst", [submission("HTTP://a.example/x#y", score=9, id="2"), submission(score=1)])
    expected = [("http://a.example/x", 9), ("http://b.example/", 4)]
    for number, dumps in enumerate(([june, july], [july, june])):
        rows, counts = links_of(dumps, tmp_path / str(number))
        assert sorted((row["url"], row["score"]) for row in rows) == expected
        assert counts == {"duplicate": 1, "kept": 2, "low_karma": 1}


def test_dumps_are_read_in_each_compression_that_they_come_in(tmp_path):
    dumps = [
        dump(tmp_path / f"RS{end}", [submission(f"http://{n}.example")])
        for n, end in enumerate((".zst", ".xz", ".bz2"))
    ]
    assert links_of(dumps, tmp_path / "state")[1] == {"kept": 3}


def test_windows_of_two_gigabytes_are_accepted(tmp_path):
    assert links_of([dump(tmp_path / "RS.zst", [submission()] * 50, window=31)], tmp_path / "state")[1]["kept"] == 1


def test_a_dump_that_is_cut_short_is_named(tmp_path):
    rows = [submission(f"http://{random.Random(n).random()}.example/") for n in range(3000)]
    for end in ENDS:
        whole = dump(tmp_path / f"RS{end}", rows)
        os.truncate(whole, whole.stat().st_size // 2)
        with pytest.raises(InputError, match=rf"RS\{end}: not readable .* cut short"):
            links_of([whole], tmp_path / f"state{end}")


def test_a_threshold_that_no_link_meets_fails_with_the_counts(tmp_path):
    with pytest.raises(InputError, match=r"no link stays .*low_karma 1"):
        links_of([dump(tmp_path / "RS.zst", [submission()])], tmp_path / "state", min_karma=100)


def test_a_line_without_end_is_skipped_in_bounded_memory():
    stream = io.BytesIO(b'{"url": "' + b"x" * (2 * LONGEST_LINE) + b'"}\n{"url": 1}\n')
    assert list(submissions(stream)) == [None, {"url": 1}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner),
    max_leaves=4,
)
FIELDS = ("url", "domain", "score", "over_18", "is_self", "created_utc", "subreddit", "id", "post_hint", "is_video")


@given(st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON)
@settings(deadline=None, max_examples=200)
def test_any_json_is_a_link_or_has_a_reason_why_not(row):
    assert isinstance(wanted(row, 3, ()), (Link, str))


@given(
    st.fixed_dictionaries(
        {"score": st.integers(3, 10**30), "created_utc": JSON, "url": st.text().map("http://a.example/{}".format)}
    )
)
@settings(deadline=None, max_examples=200)
def test_any_url_and_date_of_a_submission_is_read(row):
    assert isinstance(wanted(row, 3, ()), (Link, str))


@given(st.binary(max_size=300) | st.lists(st.text()).map(lambda lines: "\n".join(lines).encode()))
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_lines_that_are_submissions_or_not(data):
    assert all(isinstance(wanted(row, 3, ()), (Link, str)) for row in submissions(io.BytesIO(data)))


def test_two_real_months_give_the_pages_that_people_read_then(shared_data, tmp_path):
    dumps = sorted((shared_data / "crawl" / "reddit").glob("RS_v2_*.jsonl.xz"))
    rows, counts = links_of(dumps, tmp_path / "state")
    assert sum(counts.values()) == 103 + 1079 and counts["low_karma"] == 103 + 1079 - 83 - 757
    assert len({row["url"] for row in rows}) == len(rows) == counts["kept"] > 700
    assert all(row["score"] >= 3 and row["date"].startswith("2005-0") and row["subreddit"] for row in rows)


SCRIPT = """
import sys
from pathlib import Path
from scalelaws.corpus.reddit import reddit_links
reddit_links([Path(name) for name in sys.argv[2:]], 3, (), Path(sys.argv[1]))
"""


def test_killed_at_random_moments_it_resumes_to_the_same_links(tmp_path):
    draw = random.Random(0)
    rows = [
        submission(f"http://{draw.randrange(2000)}.example/", score=draw.randrange(9), id=str(n)) for n in range(9000)
    ]
    dumps = [dump(tmp_path / f"RS_{n}.zst", rows[n::3]) for n in range(3)]
    links_of(dumps, tmp_path / "undisturbed")
    kills = 0
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / "killed"), *map(str, dumps)])
        while process.poll() is None and not (tmp_path / "killed").exists():
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills
    links_of(dumps, tmp_path / "killed")
    assert file_digest(tmp_path / "killed" / "links.jsonl") == file_digest(tmp_path / "undisturbed" / "links.jsonl")
