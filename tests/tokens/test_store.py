"""A token file opens as what was written, and a broken one is refused with the remedy."""

import json
import subprocess
import sys
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scalelaws.errors import InputError
from scalelaws.tokens import store
from scalelaws.tokens.store import TokenFile, check_ids, id_dtype, open_tokens, token_paths

from .conftest import write_token_file

DOCUMENTS = [[1, 2, 3], [], [4, 5]]


@pytest.fixture
def sidecar(tmp_path):
    return write_token_file(tmp_path / "web.train", DOCUMENTS)


def test_what_was_written_is_read(sidecar):
    file = open_tokens(sidecar)
    assert file.ids.tolist() == [1, 2, 3, 299, 299, 4, 5, 299]
    assert file.offsets.tolist() == [0, 4, 5, 8]
    assert (file.tokens, file.documents, file.bytes, file.bytes_per_token) == (8, 3, 32, 4.0)


def test_the_stem_names_the_file_too(sidecar):
    assert np.array_equal(open_tokens(str(sidecar).removesuffix(".json")).ids, open_tokens(sidecar).ids)


def test_ids_cannot_be_written(sidecar):
    with pytest.raises(ValueError, match="read-only"):
        open_tokens(sidecar).ids[0] = 1


def test_ids_are_two_bytes_up_to_65536_of_them_and_four_beyond():
    assert id_dtype(65_536) == np.dtype("<u2")
    assert id_dtype(65_537) == np.dtype("<u4")


def test_a_large_vocabulary_is_read_back(tmp_path):
    file = open_tokens(write_token_file(tmp_path / "web.train", [[70_000, 1]], vocabulary=100_000))
    assert file.ids.tolist() == [70_000, 1, 99_999]


def _cut_ids(paths):
    paths["ids"].write_bytes(paths["ids"].read_bytes()[:-2])


def _shift_ids(paths):
    content = paths["ids"].read_bytes()
    paths["ids"].write_bytes(content[2:] + content[:2])


def _cut_sidecar(paths):
    paths["sidecar"].write_text(paths["sidecar"].read_text()[:30])


def _no_checksums(paths):
    paths["sidecar"].write_text(json.dumps({**json.loads(paths["sidecar"].read_text()), "checksums": []}))


def _empty(paths):
    paths["sidecar"].write_text(json.dumps({**json.loads(paths["sidecar"].read_text()), "tokens": 0}))


def _foreign_offsets(paths):
    np.save(paths["offsets"], np.array([0, 3, 1, 8]))


def _short_offsets(paths):
    np.save(paths["offsets"], np.array([0, 8]))


def _cut_offsets(paths):
    paths["offsets"].write_bytes(paths["offsets"].read_bytes()[:-8])


@pytest.mark.parametrize(
    "breakage",
    [
        *(_cut_ids, _shift_ids, _cut_sidecar, _no_checksums, _empty, _foreign_offsets, _short_offsets, _cut_offsets),
        *(lambda paths, part=part: paths[part].unlink() for part in ("ids", "offsets", "sidecar")),
    ],
)
def test_a_broken_file_is_refused_with_the_rule_that_makes_it(sidecar, breakage):
    breakage(token_paths(sidecar))
    with pytest.raises(InputError, match="rerun the rule encode") as error:
        open_tokens(sidecar)
    assert str(sidecar.parent) in str(error.value) and "\n" not in str(error.value)


@given(st.binary(max_size=60), st.lists(st.integers(0, 60)))
def test_checksums_do_not_depend_on_how_the_ids_come(content, cuts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "PIECE_BYTES", 8)
        checksums, edges = store.Checksums(), [0, *sorted(cuts), len(content)]
        for start, end in pairwise(edges):
            checksums.update(content[start : max(start, end)])
    assert checksums.all() == [zlib.crc32(content[start : start + 8]) for start in range(0, len(content), 8)]


@pytest.mark.parametrize("bit", [0, 5, 63, 64, 100, 127])
def test_a_flipped_bit_is_seen_by_every_run_that_reads_it_and_by_no_other(tmp_path, monkeypatch, bit):
    monkeypatch.setattr(store, "PIECE_BYTES", 8)  # four ids
    sidecar = write_token_file(tmp_path / "web.train", DOCUMENTS)
    check_ids(open_tokens(sidecar), 8)
    ids = token_paths(sidecar)["ids"]
    content = bytearray(ids.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    ids.write_bytes(content)
    file = TokenFile(**{**vars(open_tokens(write_token_file(tmp_path / "same", DOCUMENTS))), "path": sidecar})
    for tokens in range(1, 9):
        if bit // 64 < -(-tokens // 4):
            with pytest.raises(InputError, match=rf"damaged since it was written, at its ids from {bit // 64 * 4} on"):
                check_ids(file, tokens)
        else:
            check_ids(file, tokens)


def test_training_can_read_tokens_without_a_tokenizer_installed():
    heavy = ["tokenizers", "pyarrow"]
    code = f"import sys, scalelaws.tokens.subset; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
