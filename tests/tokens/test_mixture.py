"""Sources mixed by weight: each prefix has their shares, documents stay whole, and no sharding changes anything."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.errors import InputError
from scalelaws.io import read_json
from scalelaws.tokens.encode import encode_documents
from scalelaws.tokens.mixture import mixed_order, source_numbers
from scalelaws.tokens.store import open_tokens

from .conftest import made_up_text

DOCUMENTS = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2)), min_size=3, max_size=80)


@given(DOCUMENTS, st.tuples(*[st.floats(0.1, 5)] * 3), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=200)
def test_every_prefix_has_each_sources_share_to_within_a_document(documents, weights, shuffle):
    documents = [*documents, (7, 0), (7, 1), (7, 2)]
    lengths, sources = (np.array(column) for column in zip(*documents, strict=True))
    order = np.arange(len(documents))
    shuffle.shuffle(order)
    mixed = mixed_order(order, lengths, sources, weights)
    assert len(set(mixed.tolist())) == len(mixed)
    for source in range(3):
        own = [d for d in order if sources[d] == source]
        assert [d for d in mixed if sources[d] == source] == own[: sum(sources[mixed] == source)]
    had = np.array([np.cumsum(lengths[mixed] * (sources[mixed] == source)) / w for source, w in enumerate(weights)])
    longest = max(lengths.max() / weight for weight in weights)
    assert np.all(had.max(0) - had.min(0) <= longest + 1e-9)


@given(DOCUMENTS, st.floats(0.1, 5))
@settings(deadline=None, max_examples=50)
def test_it_ends_where_a_source_has_no_more(documents, weight):
    documents = [*documents, (7, 0), (7, 1), (7, 2)]
    lengths, sources = (np.array(column) for column in zip(*documents, strict=True))
    mixed = mixed_order(np.arange(len(documents)), lengths, sources, (1, weight, 1))
    left = [sum(sources == source) - sum(sources[mixed] == source) for source in range(3)]
    assert min(left) == 0


def write(folder, shards):
    folder.mkdir(parents=True)
    rows = [
        {"id": f"d{n}", "text": made_up_text(10 + n % 7, n), "source": f"files {1 + (n % 4 == 0)}"} for n in range(400)
    ]
    for shard in range(shards):
        pq.write_table(pa.Table.from_pylist(rows[shard::shards]), folder / f"{shard}.parquet")
    return folder


def test_a_token_file_is_mixed_the_same_for_any_sharding_and_says_so(tmp_path, tokenizer_folder, quiet):
    files = []
    for shards in (1, 5):
        folder, output = write(tmp_path / f"in{shards}", shards), tmp_path / f"{shards}" / "web.train.json"
        encode_documents(folder, tokenizer_folder, output, 1, 2, "r", quiet, mixture=[1, 1])
        files.append(open_tokens(output))
    assert np.array_equal(files[0].ids, files[1].ids)
    first, second = read_json(tmp_path / "1" / "web.train.json")["mixture"]
    assert first["tokens"] + second["tokens"] == files[0].tokens
    assert abs(first["tokens"] - second["tokens"]) < 200 and second["documents"] in (99, 100)


def test_weights_that_do_not_fit_the_sources_are_refused(tmp_path):
    sources = source_numbers(write(tmp_path / "in", 2))
    assert sorted(set(sources.tolist())) == [0, 1]
    for weights in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(InputError, match=r"source \d has no documents or no weight"):
            mixed_order(np.arange(400), np.ones(400), sources, weights)
