import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus import documents
from scalelaws.corpus.documents import DocumentWriter, batches, count_documents, document, normalized, read_documents
from scalelaws.corpus.funnel import Funnel
from scalelaws.errors import InputError

from .conftest import write_documents


def test_a_url_has_one_id_however_it_is_spelt():
    spelt = (
        "HTTP://Site.example:80",
        "http://site.example/",
        "http://site.example/#",
        "http://site.example/?utm_source=x",
    )
    assert len({document("a", "t", url).id for url in spelt}) == 1
    assert document("a", "t", "http://site.example/#part").id != document("a", "t", "http://site.example/").id
    assert document("a", "t", "http://[site]@/x").url == "http://[site]@/x"


def test_a_page_has_one_id_whatever_its_text_and_a_bare_text_one_wherever_it_stands():
    page = "http://a.example/page"
    assert document("one", "urls", page).id == document("two", "urls", page).id
    place_a, place_b = (document("same", "files", place, url_is_identity=False) for place in ("a#1", "b#7"))
    assert place_a.id == place_b.id
    assert place_a.id != document("other", "files", "a#1", url_is_identity=False).id


@given(st.text())
@settings(deadline=None, max_examples=200)
def test_normalized_text_is_stable_and_can_be_written(text):
    once = normalized(text)
    assert normalized(once) == once
    once.encode()
    assert "\r" not in once and "\x00" not in once


def test_lone_surrogates_and_control_characters_do_not_reach_documents():
    assert normalized("a\x00b\r\nc\ud800\td") == "ab\nc?\td"


def test_what_is_written_is_read_in_order_across_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "GROUP_BYTES", 50)
    monkeypatch.setattr(documents, "SHARD_BYTES", 200)
    written = [document(f"text number {n} äö", "test", f"http://a/{n}", f"title {n}") for n in range(40)]
    with DocumentWriter(tmp_path / "d", "train") as writer:
        for row in written:
            writer.write(row)
    assert len(list((tmp_path / "d").glob("train-*.parquet"))) > 2
    assert list(read_documents(tmp_path / "d")) == written
    assert count_documents(tmp_path / "d") == 40
    assert [row for batch in batches(tmp_path / "d", 7) for row in batch] == written


def test_a_folder_without_documents_still_loads(tmp_path):
    folder = write_documents(tmp_path / "d", [])
    assert list(read_documents(folder)) == []
    assert pq.read_table(folder).num_rows == 0


def test_datasets_loads_the_shards(tmp_path):
    datasets = pytest.importorskip("datasets")
    folder = write_documents(tmp_path / "d", ["one", "two"])
    loaded = datasets.load_dataset("parquet", data_dir=str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["text"][:] == ["one", "two"]


def test_a_failed_writer_leaves_no_open_file(tmp_path):
    with pytest.raises(KeyError), DocumentWriter(tmp_path / "d", "x") as writer:
        writer.write(document("a", "test", "http://a/"))
        raise KeyError
    assert not list((tmp_path / "d").glob("*.parquet"))


@pytest.mark.parametrize("damage", ["cut short", "one bit"])
def test_a_damaged_shard_is_named(tmp_path, damage):
    write_documents(tmp_path / "d", [f"text number {n}" for n in range(40)])
    shard = next((tmp_path / "d").glob("*.parquet"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 4] ^= 1
    shard.write_bytes(content if damage == "one bit" else content[: len(content) // 2])
    with pytest.raises(InputError, match=rf"{shard.name}: this shard is damaged"):
        list(read_documents(tmp_path / "d"))


def test_a_url_with_a_lone_surrogate_is_written_and_counted(tmp_path):
    url = "http://a/\ud800"
    with DocumentWriter(tmp_path / "d", "train") as writer:
        writer.write(document("text", "test", url))
    funnel = Funnel("extract")
    funnel.drop_text(url, "some\ud800text", "no_text")
    (example,) = funnel.as_dict(writer.digest)["removed"]["no_text"]["examples"]
    assert (example["url"], example["excerpt"]) == ("http://a/?", "some?text")
