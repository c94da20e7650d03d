"""Event files say what was measured, in the format that TensorBoard reads."""

import json
import struct

import pandas as pd
import pytest
from scalelaws.errors import InputError
from scalelaws.training.events import crc32c, event, framed, write_events

WRITTEN = "2400000000000000422b804d09000000000000f83f10ac022a160a140a0d6c6f73732f7765622f746573741500002040a8ef95bf"
"""By tensorboard 2.21's RecordWriter: Event(wall_time=1.5, step=300, summary=[loss/web/test: 2.5])."""


def test_the_check_sum_is_castagnoli_s():
    # RFC 3720, section B.4
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(range(32)) == 0x46DD794E


def test_a_record_is_byte_for_byte_tensorboard_s():
    assert framed(event(1.5, 300, [("loss/web/test", 2.5)])).hex() == WRITTEN


def read(path):
    """(step, wall time, tag, value) of every scalar, by the lengths that the format gives."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        message, data = data[12 : 12 + length], data[16 + length :]
        fields = dict(parsed(message))
        if 5 in fields:
            for number, value in parsed(fields[5]):
                assert number == 1
                scalar = dict(parsed(value))
                (wall_time,) = struct.unpack("<d", fields[1])
                (number,) = struct.unpack("<f", scalar[2])
                found.append((fields[2], wall_time, scalar[1].decode(), number))
    return found


def parsed(message):
    """The fields of a protocol buffer: (number, value)."""
    while message:
        key, message = varint(message)
        if key & 7 == 0:
            value, message = varint(message)
        else:
            size, message = varint(message) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], message)
            value, message = message[:size], message[size:]
        yield key >> 3, value


def varint(message):
    value, shift = 0, 0
    while True:
        value |= (message[0] & 0x7F) << shift
        last, message = message[0] < 0x80, message[1:]
        if last:
            return value, message
        shift += 7


def test_every_loss_of_every_run_is_there(tmp_path):
    rows = [
        {"step": step, "corpus": corpus, "split": "test", "loss": 5.0 / step, "bits_per_byte": 2.0 / step,
         "tokens": 64 * step, "flops": 6.0 * step}
        for step in (1, 200) for corpus in ("web", "books")
    ]  # fmt: skip
    for name in ("2L8d-4k-s1", "lstm-2L8d-4k-s1"):
        run = tmp_path / "runs" / name
        run.mkdir(parents=True)
        pd.DataFrame(rows).to_parquet(run / "losses.parquet")
        (run / "run.json").write_text(json.dumps({"run": {"seconds": 50.0, "steps": 200}}))
    files = write_events(tmp_path)
    assert [file.parent.name for file in files] == ["2L8d-4k-s1", "lstm-2L8d-4k-s1"]
    scalars = read(files[1])
    assert {(tag, step) for step, _, tag, _ in scalars} == {
        *((f"{name}/{corpus}/test", step) for name in ("loss", "bits_per_byte") for corpus in ("web", "books")
          for step in (1, 200)),
        *((name, step) for name in ("tokens", "flops") for step in (1, 200)),
    }  # fmt: skip
    assert (200, 50.0, "loss/books/test", pytest.approx(0.025)) in scalars


def test_a_run_that_diverged_before_anything_was_measured_stops_no_other(tmp_path):
    rows = [
        {"step": 1, "corpus": "web", "split": "test", "loss": 5.0, "bits_per_byte": 2.0, "tokens": 64, "flops": 6.0}
    ]
    for name, losses, steps in (("lost", [], 0), ("other", rows, 1)):
        run = tmp_path / "runs" / name
        run.mkdir(parents=True)
        pd.DataFrame(losses).to_parquet(run / "losses.parquet")
        (run / "run.json").write_text(json.dumps({"run": {"seconds": 50.0, "steps": steps}}))
    assert [file.parent.name for file in write_events(tmp_path)] == ["other"]


def test_a_folder_without_runs_gets_one_line(tmp_path):
    with pytest.raises(InputError, match=r"holds no finished run\. Name a folder results/<study>"):
        write_events(tmp_path)
