import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus import duplicates as duplicates_module
from scalelaws.corpus import shuffle as shuffle_module
from scalelaws.corpus.dedup import deduplicate
from scalelaws.corpus.documents import DocumentWriter, document, read_documents
from scalelaws.corpus.duplicates import lost_of, pairs_of
from scalelaws.corpus.minhash import MinHash
from scalelaws.corpus.ngrams import ngram_hashes, word_hashes
from scalelaws.corpus.parts import Part
from scalelaws.corpus.settings import ROUNDS
from scalelaws.corpus.signatures import KEYS, Rows, Signed
from scalelaws.errors import InputError
from scalelaws.io import file_digest, read_json
from scalelaws.workers import silent

from .conftest import prose, texts_of, write_documents

SETTINGS = {"ngram": 5, "bands": 20, "rows": 6, "threshold": 0.8}
MINHASH = MinHash(**SETTINGS, seed=1)


def jaccard(one: str, other: str, n: int = 5) -> float:
    a, b = (set(ngram_hashes(word_hashes(text), n).tolist()) for text in (one, other))
    return len(a & b) / len(a | b)


def changed(text: str, words: int, seed: int) -> str:
    """The text with some words replaced by words that it does not have."""
    parts = text.split()
    for place in random.Random(seed).sample(range(len(parts)), words):
        parts[place] = f"zz{seed}{place}"
    return " ".join(parts)


def run(folder, texts, training=None, urls="http://site.example/{}", processes=2):
    source = write_documents(folder / "in", texts, url=urls)
    signatures, report = folder / "signatures", folder / "out.json"
    deduplicate(source, training, folder / "out", signatures, report, SETTINGS, 1, "recipe", processes, silent)
    return texts_of(folder / "out"), read_json(folder / "out.json")


def counts(report):
    return {reason: count["documents"] for reason, count in report["removed"].items()}


def test_planted_near_duplicates_are_found_and_the_longest_survives(tmp_path):
    originals = [prose(n, 400) for n in range(30)]
    copies = [changed(text, 3, n) + " and one more" for n, text in enumerate(originals[:12])]
    assert min(jaccard(*pair) for pair in zip(originals, copies, strict=False)) > 0.9
    kept, report = run(tmp_path, originals + copies)
    assert sorted(kept) == sorted(copies + originals[12:])
    assert counts(report) == {"near_duplicate": 12}
    assert report["removed"]["near_duplicate"]["examples"][0]["note"].startswith("kept instead: http://site.example/")


def test_equal_texts_and_other_versions_of_a_page_are_told_from_near_duplicates(tmp_path):
    source = tmp_path / "in"
    with DocumentWriter(source, "documents") as writer:
        for url, text in (("http://a/", prose(1)), ("http://b/", prose(1)), ("http://a/", prose(2, 300))):
            writer.write(document(text, "test", url))
    report = tmp_path / "out.json"
    deduplicate(source, None, tmp_path / "out", tmp_path / "signatures", report, SETTINGS, 1, "recipe", 1, silent)
    assert counts(read_json(tmp_path / "out.json")) in ({"exact_duplicate": 1, "same_page": 1}, {"exact_duplicate": 1})
    kept = list(read_documents(tmp_path / "out"))
    assert len({row.id for row in kept}) == len(kept) == len({row.text for row in kept})


@given(st.lists(st.integers(0, 5), min_size=2, max_size=12), st.integers(1, 4), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=8)
def test_survivors_and_their_order_are_the_same_for_any_order_shards_and_processes(
    tmp_path_factory, numbers, shards, shuffle
):
    rows = [
        document(changed(prose(n, 200), place % 3, place), "test", f"http://a/{place % 9}")
        for place, n in enumerate(numbers)
    ]
    digests = set()
    for attempt in range(2):
        folder = tmp_path_factory.mktemp("order")
        for shard in range(shards if attempt else 1):
            with DocumentWriter(folder / "in", f"{shard}") as writer:
                for row in rows[shard :: shards if attempt else 1]:
                    writer.write(row)
        report = folder / "r.json"
        deduplicate(folder / "in", None, folder / "out", folder / "s", report, SETTINGS, 1, "r", 1 + attempt, silent)
        digests.add((file_digest(folder / "out"), file_digest(folder / "s"), read_json(report)["out"]["digest"]))
        shuffle.shuffle(rows)
    assert len(digests) == 1


def test_documents_on_disk_are_put_in_order_in_parts_as_in_memory(tmp_path, monkeypatch):
    rows = [document(prose(n), "test", f"http://a/{n}") for n in range(60)]
    whole = list(shuffle_module.in_order_of_id(enumerate(rows), tmp_path, 1))
    assert [row.id for _, row in whole] == sorted(row.id for row in rows) and all(rows[n] == row for n, row in whole)
    monkeypatch.setattr(shuffle_module, "BYTES_PER_PART", 3000)
    monkeypatch.setattr(shuffle_module, "BUFFERED_BYTES", 2000)
    assert list(shuffle_module.in_order_of_id(enumerate(rows), tmp_path, 40_000)) == whole
    assert not list(tmp_path.iterdir())


def test_what_the_training_corpus_has_goes_from_another_corpus_and_never_the_other_way(tmp_path):
    trained = [prose(n, 400) for n in range(10)]
    run(tmp_path / "train", trained)
    copies = [trained[0], changed(trained[1], 2, 1) + " and words that make it longer"]
    own = [prose(100 + n, 400) for n in range(4)]
    kept, report = run(
        tmp_path / "ood",
        [*copies, *own, changed(own[0], 1, 5)],
        tmp_path / "train" / "signatures",
        "http://b.example/{}",
    )
    assert len(kept) == 4 and not set(copies) & set(kept)
    assert counts(report) == {"in_training_corpus": 2, "near_duplicate": 1}
    assert report["removed"]["in_training_corpus"]["examples"][0]["note"].endswith("document of the training corpus")


def test_signatures_made_with_other_settings_are_refused(tmp_path):
    run(tmp_path / "train", [prose(1)])
    source = write_documents(tmp_path / "in", [prose(2)])
    other = SETTINGS | {"bands": 10}
    with pytest.raises(InputError, match="bands is 10 here and 20 in the training corpus"):
        deduplicate(
            source,
            tmp_path / "train/signatures",
            tmp_path / "o",
            tmp_path / "s",
            tmp_path / "r",
            other,
            1,
            "",
            1,
            silent,
        )


def test_unrelated_and_merely_similar_texts_are_kept(tmp_path):
    texts = [prose(n, 300) for n in range(20)] + [changed(prose(n, 300), 60, n) for n in range(20)]
    assert max(jaccard(texts[n], texts[20 + n]) for n in range(20)) < 0.6
    kept, report = run(tmp_path, texts)
    assert sorted(kept) == sorted(texts) and not counts(report)


def test_a_bucket_of_hundreds_of_copies_leaves_one(tmp_path):
    texts = [changed(prose(1, 300), 1, n) for n in range(300)]
    kept, _ = run(tmp_path, texts)
    assert len(kept) == 1


def test_texts_without_words_or_in_scripts_without_spaces_are_compared_too(tmp_path):
    chinese = "我们研究语言模型的规模定律以及数据重复对结果的影响" * 3
    kept, _ = run(tmp_path, ["???", "!!!", chinese, chinese + "吗", "other words than these are here"])
    assert len(kept) == 3


def test_the_result_does_not_depend_on_the_number_of_processes(tmp_path):
    texts = [prose(n % 70) + ("x" if n % 3 else "") for n in range(200)]
    digests = set()
    for processes in (1, 3):
        run(tmp_path / str(processes), texts, processes=processes)
        digests.add(
            (file_digest(tmp_path / str(processes) / "out"), file_digest(tmp_path / str(processes) / "out.json"))
        )
    assert len(digests) == 1


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8, 0.95])
def test_signatures_estimate_the_jaccard_similarity(share):
    errors = []
    for seed in range(25):
        one = prose(seed, 500)
        other = changed(one, round(len(one.split()) * (1 - share) / 8), seed)
        estimate = float((MINHASH.signature(one) == MINHASH.signature(other)).mean())
        errors.append(estimate - jaccard(one, other))
    assert abs(np.mean(errors)) < 3 * 0.046 / 5  # the standard error of the mean of 25 estimates from 120 functions
    assert np.std(errors) < 0.08


def joined(signatures, minhash, parts=1):
    """The survivor of each document, told from signatures alone: lengths order the documents as they stand."""
    keys = np.zeros(len(signatures), KEYS)
    keys["id"][:, 0] = keys["text"][:, 0] = np.arange(len(signatures), dtype=np.uint64) << np.uint64(32)
    keys["bytes"] = -np.arange(len(signatures))
    bands = [Rows(np.array_split(band, 2)) for band in minhash.band_keys(signatures).T]
    signed = Signed(Rows(np.array_split(keys, parts)), Rows([signatures]), bands)
    found = []
    for name in ROUNDS:
        gone = lost_of(found, signed).places
        found.append(np.concatenate([pairs_of(name, signed, gone, minhash, Part(n, parts)) for n in range(parts)]))
    lost = lost_of(found, signed)
    survivors = np.arange(len(signatures))
    survivors[lost.places] = lost.survivors
    return survivors


@pytest.mark.parametrize("similarity", [0.5, 0.6, 0.7])
def test_pairs_become_duplicates_as_often_as_the_s_curve_says(similarity):
    draw = np.random.default_rng(0)
    loose = MinHash(5, bands=8, rows=6, threshold=0.01, seed=3)
    trials = 1500
    base = draw.integers(0, 2**32, (trials, 48), np.uint32)
    other = np.where(draw.random((trials, 48)) < similarity, base, draw.integers(0, 2**32, (trials, 48), np.uint32))
    survivors = joined(np.concatenate([base, other]), loose)
    rate = float((survivors[trials:] == np.arange(trials)).mean())
    expected = loose.candidate_probability(similarity)
    assert abs(rate - expected) < 4 * np.sqrt(expected * (1 - expected) / trials)


@pytest.mark.parametrize("words", [16, 22, 30])
def test_planted_texts_of_known_similarity_are_found_at_the_rate_of_the_s_curve(tmp_path, words):
    """Bands and rows so loose that the curve is far from 0 and 1, and a threshold that lets every candidate through."""
    loose = {"ngram": 5, "bands": 4, "rows": 4, "threshold": 0.01}
    curve = MinHash(**loose, seed=1)
    originals = [prose(n, 300) for n in range(150)]
    copies = [changed(text, words, n) for n, text in enumerate(originals)]
    chances = np.array([curve.candidate_probability(jaccard(*pair)) for pair in zip(originals, copies, strict=True)])
    assert 0.1 < chances.mean() < 0.9
    source = write_documents(tmp_path / "in", originals + copies)
    report = tmp_path / "r.json"
    deduplicate(source, None, tmp_path / "out", tmp_path / "s", report, loose, 1, "r", 2, silent)
    found = counts(read_json(report))["near_duplicate"]
    assert abs(found - chances.sum()) < 4 * np.sqrt((chances * (1 - chances)).sum())


@given(
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40),
    st.integers(1, 30),
    st.integers(1, 4),
)
@settings(deadline=None, max_examples=60)
def test_groups_are_those_of_a_search_through_the_graph(pairs, part, parts):
    """Each pair shares one band of its own, so the bands are the graph's edges."""
    minhash = MinHash(1, bands=40, rows=1, threshold=1 / 40, seed=0)
    signatures = np.arange(20 * 40, dtype=np.uint32).reshape(20, 40)
    for band, (a, b) in enumerate(pairs):
        signatures[a, band] = signatures[b, band]
    before, duplicates_module.PART = duplicates_module.PART, part
    try:
        found = joined(signatures, minhash, parts)
    finally:
        duplicates_module.PART = before
    for start in range(20):
        reached, waiting = {start}, [start]
        while waiting:
            here = waiting.pop()
            for a, b in pairs:
                for x, y in ((a, b), (b, a)):
                    if x == here and y not in reached:
                        reached.add(y)
                        waiting.append(y)
        assert found[start] == min(reached)
