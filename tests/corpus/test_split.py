import random
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus import overlap as overlap_module
from scalelaws.corpus.documents import document, read_documents
from scalelaws.corpus.split import Count, is_test, split
from scalelaws.errors import InputError
from scalelaws.io import file_digest, read_json
from scalelaws.workers import silent

from .conftest import prose, texts_of, write_documents

SETTINGS = {"test_share": 0.2, "overlap_ngram": 13, "max_overlap": 0.1}


def run(folder, texts, training=None, processes=2, **changes):
    source = write_documents(folder / "in", texts)
    split(source, training, folder / "out", folder / "out.json", SETTINGS | changes, 1, "recipe", processes, silent)
    return folder / "out", read_json(folder / "out.json")


def ids(folder):
    return {row.id for row in read_documents(folder)}


def test_each_document_stands_on_one_side_and_the_share_is_about_right(tmp_path):
    texts = [prose(n) for n in range(400)]
    out, report = run(tmp_path, texts)
    train, test = ids(out / "train"), ids(out / "test")
    assert not train & test and len(train | test) == 400
    assert 50 < len(test) < 110
    assert report["splits"]["train"]["documents"] == len(train) and report["splits"]["test"]["documents"] == len(test)


def test_the_split_stays_as_it_is_when_the_corpus_grows(tmp_path):
    texts = [prose(n) for n in range(120)]
    small, _ = run(tmp_path / "small", texts[:60])
    large, _ = run(tmp_path / "large", texts)
    assert ids(small / "train") < ids(large / "train") and ids(small / "test") < ids(large / "test")


def test_another_seed_holds_out_other_documents():
    rows = [document(prose(n), "test", f"http://a/{n}") for n in range(200)]
    first, second = ({row.id for row in rows if is_test(row, 0.3, seed)} for seed in (1, 2))
    assert first != second and 20 < len(first) < 100


@given(leak=st.integers(40, 100), start=st.integers(0, 60), seed=st.integers(0, 5))
@settings(deadline=None, max_examples=8)
def test_a_planted_leak_never_survives(tmp_path_factory, leak, start, seed):
    folder = tmp_path_factory.mktemp("leak")
    texts = [prose(n, 200) for n in range(60)]
    out, _ = run(folder / "clean", texts)
    trained, held = texts_of(out / "train"), texts_of(out / "test")
    victim = random.Random(seed).choice(held)
    stolen = " ".join(random.Random(seed).choice(trained).split()[start : start + leak])
    leaking = f"{victim}\n{stolen.upper()}!"  # neither case nor punctuation hides it
    texts[texts.index(victim)] = leaking
    out, report = run(folder / "leaking", texts)
    assert leaking not in texts_of(out / "test") + texts_of(out / "train")
    assert report["removed"]["in_training_text"]["documents"] == 1


def test_an_ood_corpus_is_for_testing_only_and_cleared_of_training_text(tmp_path):
    training, _ = run(tmp_path / "train", [prose(n, 200) for n in range(50)])
    copied = texts_of(training / "train")[0]
    own = [prose(1000 + n, 200) for n in range(10)]
    out, report = run(tmp_path / "ood", [*own, copied], training / "train")
    assert texts_of(out / "test") == own and not (out / "train").exists()
    assert report["removed"]["in_training_text"]["examples"][0]["note"] == "100% of its 13-grams"
    assert set(report["splits"]) == {"test"}


def test_short_overlaps_below_the_threshold_are_kept(tmp_path):
    training, _ = run(tmp_path / "train", [prose(n, 200) for n in range(50)])
    quote = " ".join(texts_of(training / "train")[0].split()[:16])
    text = f"{quote} {prose(999, 300)}"
    out, _ = run(tmp_path / "ood", [text], training / "train")
    assert texts_of(out / "test") == [text]
    with pytest.raises(InputError, match="in_training_text 1"):
        run(tmp_path / "strict", [text], training / "train", max_overlap=0.0)


def test_the_result_does_not_depend_on_the_number_of_processes(tmp_path):
    texts = [prose(n) for n in range(200)]
    digests = {file_digest(run(tmp_path / str(p) / "corpus", texts, processes=p)[0]) for p in (1, 3)}
    assert len(digests) == 1


def test_a_side_that_stays_empty_fails_with_the_setting_to_change(tmp_path):
    with pytest.raises(InputError, match=r"of 3 documents none is left for test.*split.test_share \(1e-09\)"):
        run(tmp_path, [prose(n) for n in range(3)], test_share=1e-9)


def test_words_are_counted_as_wc_counts_them(tmp_path):
    wc = shutil.which("wc")
    if wc is None:
        pytest.skip("there is no wc")
    text = prose(1) + "\n\n  two  words\tand,more — été 日本 "
    count = Count()
    count.add(document(text, "test", "http://a/"))
    (tmp_path / "t").write_text(document(text, "test", "http://a/").text)
    command = [wc, "-w", "-c", str(tmp_path / "t")]
    counted = subprocess.run(command, capture_output=True, text=True, env={"LC_ALL": "C.UTF-8"})
    assert [count.words, count.bytes] == [int(number) for number in counted.stdout.split()[:2]]


def test_the_report_says_how_much_of_a_corpus_was_in_training(tmp_path):
    training, _ = run(tmp_path / "train", [prose(n, 200) for n in range(50)])
    quoted, copied = texts_of(training / "train")[:2]
    half = prose(998, 100) + " " + " ".join(quoted.split()[:100])
    _, report = run(tmp_path / "ood", [prose(999, 200), half, copied, "too short"], training / "train")
    found = report["overlap"]
    assert found["ngrams"] == 3 * 188 and found["in_training"] == 188 + 88 and found["share"] == round(276 / 564, 6)
    assert found["documents_up_to"] == {"0": 2, "0.01": 0, "0.05": 0, "0.2": 0, "0.5": 1, "1": 1}
    assert found["too_short_to_tell"] == 1


def test_ngrams_looked_for_in_pieces_give_the_same_report(tmp_path, monkeypatch):
    texts = [f"{prose(n, 200)} {' '.join(prose((n + 1) % 70, 200).split()[:20])}" for n in range(70)]
    whole = run(tmp_path / "whole", texts)[1]
    monkeypatch.setattr(overlap_module, "NGRAMS_AT_ONCE", 500)
    assert run(tmp_path / "pieces", texts)[1]["overlap"] == whole["overlap"]
    assert whole["overlap"]["in_training"] > 0


def test_documents_that_have_no_ngram_to_look_for_fail(tmp_path):
    training, _ = run(tmp_path / "train", [prose(n, 200) for n in range(50)])
    with pytest.raises(InputError, match="none of 2 test documents has the 13 words"):
        run(tmp_path / "ood", ["a few words", "some more"], training / "train")


def test_the_folder_loads_as_a_data_set_with_the_counts_of_its_card(tmp_path):
    datasets = pytest.importorskip("datasets")
    out, report = run(tmp_path, [prose(n) for n in range(60)])
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {
        name: count["documents"] for name, count in report["splits"].items()
    }
    assert loaded["test"]["text"][:] == texts_of(out / "test")
