import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus import boilerplate as module
from scalelaws.corpus.boilerplate import boilerplate, without_boilerplate
from scalelaws.corpus.documents import DocumentWriter, document
from scalelaws.corpus.spool import Spool
from scalelaws.workers import silent

from .conftest import prose
from .test_clean import cleaned

NOTICE = "Subscribe to our weekly letter"
SETTINGS = {"min_pages": 3, "min_words": 4}


def site(host: str, pages: int, notice: str):
    return [document(f"{prose(n)}\n{notice}", "test", f"http://{host}/{n}") for n in range(pages)]


def found(folder, rows, shards=1, processes=2):
    for shard in range(shards):
        with DocumentWriter(folder / "in", str(shard)) as writer:
            for row in rows[shard::shards]:
                writer.write(row)
    return boilerplate(folder / "in", SETTINGS, folder / "scratch", processes, silent)


def test_a_paragraph_on_many_pages_of_a_site_goes_and_elsewhere_stays(tmp_path):
    rows = site("a.example", 3, NOTICE) + site("b.example", 2, NOTICE)
    common = found(tmp_path, rows)
    texts = [without_boilerplate(row, common, 4) for row in rows]
    assert texts[:3] == [(prose(n), 1) for n in range(3)]
    assert texts[3:] == [(f"{prose(n)}\n{NOTICE}", 0) for n in range(2)]


def test_a_page_that_is_met_many_times_is_no_boilerplate(tmp_path):
    copies = [document(prose(1), "test", f"http://a.example/?visit={n % 5}") for n in range(10)]
    assert not len(found(tmp_path, copies))


def test_short_paragraphs_and_texts_without_a_host_are_left(tmp_path):
    rows = site("a.example", 5, "Read more here") + [document(f"{n}\n{NOTICE}", "t", f"file#{n}") for n in range(5)]
    assert not len(found(tmp_path, rows))


def test_a_paragraph_that_comes_again_on_one_page_counts_once(tmp_path):
    rows = [document(f"{prose(1)}\n" + f"{NOTICE}\n" * 9, "test", "http://a.example/")]
    assert not len(found(tmp_path, rows))


@given(st.integers(1, 4), st.integers(1, 5), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=6)
def test_what_is_found_does_not_depend_on_order_shards_or_parts(tmp_path_factory, shards, part, shuffle):
    rows = site("a.example", 4, NOTICE) + site("b.example", 3, "What else is there to say")
    expected = found(tmp_path_factory.mktemp("whole"), rows)
    assert len(expected) == 2
    shuffle.shuffle(rows)
    before, module.BYTES_PER_PART = module.BYTES_PER_PART, 500 * part
    try:
        again = found(tmp_path_factory.mktemp("parts"), rows, shards, 1)
    finally:
        module.BYTES_PER_PART = before
    assert np.array_equal(again, expected)


def test_cleaning_takes_it_out_and_counts_it(tmp_path):
    texts = [f"{prose(n)}\n{NOTICE}" for n in range(5)] + [NOTICE]
    kept, report = cleaned(tmp_path, texts, boilerplate=SETTINGS)
    assert kept == [prose(n) for n in range(5)]
    assert report["changed"] == {"boilerplate_paragraphs": {"documents": 5, "times": 5}}
    assert report["removed"]["only_boilerplate"]["documents"] == 1


@given(st.lists(st.integers(0, 2**64 - 1), max_size=60), st.integers(1, 20))
@settings(deadline=None, max_examples=50)
def test_a_spool_gives_back_what_came_with_equal_keys_in_one_part(tmp_path_factory, keys, parts):
    values = np.array(keys, np.uint64)
    with Spool(tmp_path_factory.mktemp("spool"), np.dtype("<u8"), parts) as spool:
        for start in range(0, len(values), 7):
            spool.add(values[start : start + 7], values[start : start + 7])
        back = list(spool.parts())
    assert sorted(np.concatenate(back).tolist()) == sorted(keys)
    assert sum(len(set(part.tolist())) for part in back) == len(set(keys))
