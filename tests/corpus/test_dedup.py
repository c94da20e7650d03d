import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus.dedup import deduplicate
from scalelaws.corpus.documents import DocumentWriter, document, read_documents
from scalelaws.corpus.minhash import MinHash, components
from scalelaws.corpus.ngrams import ngram_hashes, word_hashes
from scalelaws.corpus.workers import silent
from scalelaws.io import file_digest, read_json

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


def run(folder, texts, urls="http://site.example/{}", processes=2):
    source = write_documents(folder / "in", texts, url=urls)
    deduplicate(source, folder / "out", folder / "out.json", SETTINGS, 1, "recipe", processes, silent)
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
    deduplicate(source, tmp_path / "out", tmp_path / "out.json", SETTINGS, 1, "recipe", 1, silent)
    assert counts(read_json(tmp_path / "out.json")) in ({"exact_duplicate": 1, "same_page": 1}, {"exact_duplicate": 1})
    kept = list(read_documents(tmp_path / "out"))
    assert len({row.id for row in kept}) == len(kept) == len({row.text for row in kept})


@given(st.lists(st.integers(0, 5), min_size=2, max_size=12), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=8)
def test_who_survives_does_not_depend_on_the_order(tmp_path_factory, numbers, shuffle):
    rows = [
        document(changed(prose(n, 200), place % 3, place), "test", f"http://a/{place % 9}")
        for place, n in enumerate(numbers)
    ]
    survivors = []
    for attempt in range(2):
        folder = tmp_path_factory.mktemp("order")
        with DocumentWriter(folder / "in", "documents") as writer:
            for row in rows:
                writer.write(row)
        deduplicate(folder / "in", folder / "out", folder / "r.json", SETTINGS, 1, "recipe", 1 + attempt, silent)
        survivors.append(sorted((row.id, row.text) for row in read_documents(folder / "out")))
        shuffle.shuffle(rows)
    assert survivors[0] == survivors[1]


def test_unrelated_and_merely_similar_texts_are_kept(tmp_path):
    texts = [prose(n, 300) for n in range(20)] + [changed(prose(n, 300), 60, n) for n in range(20)]
    assert max(jaccard(texts[n], texts[20 + n]) for n in range(20)) < 0.6
    kept, report = run(tmp_path, texts)
    assert kept == texts and not counts(report)


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


@pytest.mark.parametrize("similarity", [0.5, 0.6, 0.7])
def test_pairs_become_candidates_as_often_as_the_s_curve_says(similarity):
    draw = np.random.default_rng(0)
    loose = MinHash(5, bands=8, rows=6, threshold=0.01, seed=3)
    trials = 1500
    base = draw.integers(0, 2**32, (trials, 48), np.uint32)
    other = np.where(draw.random((trials, 48)) < similarity, base, draw.integers(0, 2**32, (trials, 48), np.uint32))
    signatures = np.concatenate([base, other])
    found = set(loose.pairs(signatures, np.arange(2 * trials)))
    rate = len(found) / trials
    expected = loose.candidate_probability(similarity)
    assert abs(rate - expected) < 4 * np.sqrt(expected * (1 - expected) / trials)


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40))
@settings(deadline=None, max_examples=100)
def test_components_are_those_of_a_search_through_the_graph(pairs):
    found = components(20, pairs)
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
