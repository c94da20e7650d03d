"""Documents come in an order that only the seed and their ids decide."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.errors import InputError
from scalelaws.tokens.documents import BATCH_DOCUMENTS, batches, order_of, sample, seeded_order, text_bytes

from .conftest import write_documents

DOCUMENTS = {f"page-{i}": "é" * i for i in range(3 * BATCH_DOCUMENTS // 2)}
IDS = st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=50)


@given(ids=IDS, seed=st.integers(0, 10**9), data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_order_of_documents_does_not_depend_on_how_they_were_stored(ids, seed, data):
    shuffled = data.draw(st.permutations(ids))
    ordered = [ids[i] for i in seeded_order(ids, seed, "here")]
    assert ordered == [shuffled[i] for i in seeded_order(shuffled, seed, "here")]


@given(ids=IDS, more=IDS)
@settings(max_examples=100, deadline=None)
def test_new_documents_leave_the_order_of_the_old_as_it_was(ids, more):
    grown = ids + [name for name in more if name not in ids]
    old = [grown[i] for i in seeded_order(grown, 1, "here") if grown[i] in ids]
    assert old == [ids[i] for i in seeded_order(ids, 1, "here")]


def test_the_order_is_a_shuffle_that_the_seed_decides():
    ids = list(DOCUMENTS)
    one, two = seeded_order(ids, 1, "here"), seeded_order(ids, 2, "here")
    assert sorted(one) == sorted(two) == list(range(len(ids)))
    assert not np.array_equal(one, two)
    assert abs(np.corrcoef(one, np.arange(len(ids)))[0, 1]) < 0.2


def test_two_documents_with_one_id_are_refused():
    with pytest.raises(InputError, match="here: 1 documents have the id of another"):
        seeded_order(["a", "b", "a"], 1, "here")


def test_documents_are_read_a_few_at_a_time(tmp_path):
    read = list(batches(write_documents(tmp_path, DOCUMENTS)))
    assert max(len(batch.texts) for batch in read) == BATCH_DOCUMENTS
    assert {i: t for batch in read for i, t in zip(batch.ids, batch.texts, strict=True)} == DOCUMENTS


def test_sizes_are_bytes_of_utf8(tmp_path):
    read = list(batches(write_documents(tmp_path, DOCUMENTS)))
    assert [size for batch in read for size in batch.sizes] == [2 * i for i in range(len(DOCUMENTS))]


def test_the_order_and_the_size_of_all_texts_are_known_without_reading_them(tmp_path):
    folder = write_documents(tmp_path, DOCUMENTS, 3)
    assert sorted(order_of(folder, seed=1)) == list(range(len(DOCUMENTS)))
    whole = sum(len(text.encode()) for text in DOCUMENTS.values())
    assert whole < text_bytes(folder) < 1.2 * whole


@pytest.mark.parametrize("shards", [1, 3])
def test_a_sample_is_the_beginning_of_the_seeded_order(tmp_path, shards):
    folder = write_documents(tmp_path, DOCUMENTS, shards)
    limit = 30_000
    size, batched = sample(folder, seed=1, limit=limit)
    taken = {text for texts in batched for text in texts}
    ids = list(DOCUMENTS)
    expected, total = set(), 0
    for i in seeded_order(ids, 1, "here"):
        total += len(DOCUMENTS[ids[i]].encode())
        if total > limit:
            break
        expected.add(DOCUMENTS[ids[i]])
    assert taken == expected and size == sum(len(t.encode()) for t in taken) > limit / 2


def test_a_sample_too_small_for_any_document_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"config: tokenizer\.sample_bytes"):
        sample(write_documents(tmp_path, {"a": "long text"}), seed=1, limit=3)


def test_a_folder_without_documents_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no documents \(\*\.parquet\)"):
        list(batches(tmp_path))
    with pytest.raises(InputError, match="all shards are empty"):
        order_of(write_documents(tmp_path, {}), seed=1)


def test_a_broken_shard_is_named(tmp_path):
    (tmp_path / "0.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(InputError, match=r"0\.parquet: not readable as parquet"):
        list(batches(tmp_path))
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "0.parquet")
    with pytest.raises(InputError, match="the column 'text' is missing"):
        list(batches(tmp_path))
    pq.write_table(pa.table({"id": ["a"], "text": pa.array([None], pa.string())}), tmp_path / "0.parquet")
    with pytest.raises(InputError, match="a document has no id or no text"):
        list(batches(tmp_path))
