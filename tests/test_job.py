"""A script's output lands in its log, and the terminal hears how far it is."""

import io
import logging
import subprocess
import sys

import pytest
from scalelaws import job
from scalelaws.job import Progress, clock, hush_bookkeeping, logged

WORK = """
import subprocess, sys
from scalelaws.job import Progress, clock, hush_bookkeeping, logged
with logged(sys.argv[1], "encode") as progress:
    print("printed")
    subprocess.run(["echo", "from a child"])
    progress.say("half way")
    {end}
"""


def _run(log, end):
    return subprocess.run([sys.executable, "-c", WORK.format(end=end), str(log)], capture_output=True, text=True)


def test_output_of_the_script_and_its_children_lands_in_the_log_and_what_it_says_on_the_terminal_too(tmp_path):
    done = _run(tmp_path / "log", "pass")
    assert done.stdout == ""
    said = done.stderr.splitlines()
    assert said[0].split() == ["encode", "half", "way"]
    assert said[1].split()[:3] == ["encode", "done", "in"]
    assert sorted((tmp_path / "log").read_text().splitlines()) == sorted(["from a child", "printed", *said])


def test_a_failure_says_what_is_wrong_and_where_the_log_is(tmp_path):
    done = _run(tmp_path / "log", "raise ValueError('too small')")
    assert done.returncode == 1
    assert f"failed: too small  (log: {tmp_path / 'log'})" in done.stderr
    assert "Traceback" in (tmp_path / "log").read_text()
    assert "Traceback" not in done.stderr


def test_a_log_on_a_full_disk_ends_no_job():
    code = (
        "from scalelaws.job import logged\n"
        "with logged('/dev/full', 'encode') as progress:\n    progress.say('still here')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "still here" in done.stderr


def test_a_full_disk_is_called_by_its_name(tmp_path):
    done = _run(tmp_path / "log", "open('/dev/full', 'w', buffering=1).write('x\\n')")
    assert done.returncode == 1
    assert "failed: the disk is full; make room, and the same command goes on ([Errno 28]" in done.stderr


@pytest.mark.parametrize("warning", ["SIGTERM", "SIGUSR1"])
def test_a_terminated_job_leaves_no_half_written_file(tmp_path, warning):
    code = (
        "import os, signal, sys\nfrom scalelaws.io import atomic_path\nfrom scalelaws.job import logged\n"
        "with logged(sys.argv[1], 'encode'), atomic_path(sys.argv[1] + '.bin') as temporary:\n"
        f"    temporary.touch()\n    os.kill(os.getpid(), signal.{warning})\n    signal.pause()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "log")], capture_output=True, text=True)
    assert done.returncode == 143
    assert "stopped by a signal" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_progress_says_share_and_estimate_but_not_every_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(job.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = Progress("train", stream)
    for done in progress.over(range(1, 101), 100, "loss 3.2"):
        now[0] = done * 0.5
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert "█████░░░" in lines[2] and "30%" in lines[2]
    assert "35s left  loss 3.2" in lines[2]


def test_without_a_total_the_note_stands_alone(monkeypatch):
    stream = io.StringIO()
    progress = Progress("extract", stream)
    monkeypatch.setattr(progress, "last_line", -10.0)
    progress.show(0, 0, "3.2 MB of text")
    assert stream.getvalue().split("extract")[1].strip() == "3.2 MB of text"


def test_progress_beyond_the_total_stays_at_all_of_it(monkeypatch):
    stream = io.StringIO()
    progress = Progress("train", stream)
    monkeypatch.setattr(progress, "last_line", -10.0)
    progress.show(12, 10)
    assert "100%  0s left" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0s"), (59.4, "59s"), (59.6, "1m00s"), (65, "1m05s"), (3600, "1h00m"), (7380, "2h03m")]
)
def test_durations_are_written_as_people_say_them(seconds, text):
    assert clock(seconds) == text


def test_the_log_must_be_writable(tmp_path):
    with pytest.raises(FileNotFoundError), logged(tmp_path / "absent" / "log", "encode"):
        pass


def test_the_estimate_counts_only_what_this_job_did(monkeypatch):
    stream = io.StringIO()
    progress = Progress("train", stream)
    monkeypatch.setattr("scalelaws.job.time.monotonic", lambda: progress.started + 10)
    progress.show(60, 100, before=50)  # ten in ten seconds, forty left
    assert "60%  40s left" in stream.getvalue()


def test_bookkeeping_is_hushed_and_errors_are_not(caplog):
    hush_bookkeeping()
    snakemake_log = logging.getLogger("snakemake.logging")
    with caplog.at_level(logging.INFO, "snakemake.logging"):
        for line in ("Select jobs to execute...", "3 of 5 steps (60%) done", "MissingInputException in rule fit"):
            snakemake_log.info(line)
    assert caplog.messages == ["3 of 5 steps (60%) done", "MissingInputException in rule fit"]
