import hashlib
import io
import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.config import SCHEMA
from scalelaws.corpus.gopher import NGRAMS
from scalelaws.corpus.language import language_of
from scalelaws.corpus.quality import SETS, broken_rule, judged_text
from scalelaws.corpus.texts import Text

from .conftest import prose

DEFINED = yaml.safe_load(SCHEMA.read_text())["$defs"]
DEFAULTS = {name: {rule: of["default"] for rule, of in DEFINED[name]["properties"].items()} for name in SETS}


def lines(start: str = "", end: str = "") -> str:
    return "\n".join(f"{start}{line}{end}" for line in prose(1).splitlines())


def paragraphs(*numbers: int, words: int = 40) -> str:
    return "\n\n".join(prose(n, words).replace("\n", " ") for n in numbers)


BAD = {
    "gopher": {
        "too_few_words": "the few words that are here",
        "too_many_words": "of the " * 60_000,
        "words_too_short": " ".join(prose(3).split()[n % 3] + " a b c" for n in range(60)),
        "words_too_long": " ".join(f"{word}andmorethanthat" for word in prose(4).split()),
        "too_many_symbols": " ".join(f"{word} #" if n % 3 == 0 else word for n, word in enumerate(prose(5).split())),
        "mostly_bullets": lines(start="- "),
        "lines_cut_off": "\n".join(f"{line} so it goes ..." for line in prose(7, 200).replace(".", "").splitlines()),
        "too_few_letters": " ".join(f"{word} {n}{n}{n}" for n, word in enumerate(prose(8).split())),
        "too_few_stop_words": " ".join(f"kartoffel{n} salat{n * 7}" for n in range(60)),
    },
    "repetition": {
        "repeated_paragraphs": paragraphs(1, 2, 3, 4, words=99) + "\n\nso it is" * 4,
        "long_repeated_paragraphs": paragraphs(1, 2, 3, 1),
        "repeated_lines": prose(9, 200) + "\nyes" * 12,
        "long_repeated_lines": paragraphs(1, 2, 3, 1).replace("\n\n", "\n"),
        "one_2gram_dominates": " ".join(f"yonder castle {word}" for word in prose(2, 40).split()),
        "one_3gram_dominates": " ".join(f"yonder castle gate {word}" for word in prose(2, 40).split()),
        "one_4gram_dominates": " ".join(f"yonder castle gate stood {word}" for word in prose(2, 40).split()),
        **{
            f"repeated_{n}grams": prose(1, 60) + "".join(f" {prose(k, n)} x{k} {prose(k, n)}" for k in range(20, 30))
            for n in range(5, 11)
        },
    },
    "c4": {
        "placeholder_text": prose(12) + " Lorem ipsum dolor sit amet.",
        "curly_brackets": prose(12) + " if (x) { y }.",
        "too_few_sentences": "The only sentence is this one.\nAnd this is another.",
    },
    "fineweb": {
        "lines_not_sentences": lines().replace(".", ""),
        "mostly_short_lines": "\n".join(f"{word} it is." for word in prose(3).split()),
        "lines_come_again": prose(4) + "\n" + prose(4).splitlines()[0],
        "mostly_line_ends": "\n".join(f"{word}, it is." for word in prose(3).split()),
    },
}
CASES = [(name, reason) for name, texts in BAD.items() for reason in texts]


def threshold_of(name: str, reason: str) -> dict:
    """The set's defaults without any rule but the one that gives this reason."""
    alone = dict.fromkeys(DEFAULTS[name]) | ({} if name != "c4" else DEFAULTS["c4"])
    for rule, (given_reason, _) in SETS[name].items():
        alone[rule] = DEFAULTS[name][rule] if given_reason == reason else None
    if name == "repetition":
        for rule, (form, _) in NGRAMS.items():
            alone[rule] = [pair for pair in DEFAULTS[name][rule] if form.format(n=pair[0]) == reason]
    return alone


def test_every_rule_has_its_example_here():
    reasons = {name: {reason for reason, _ in rules.values()} for name, rules in SETS.items()}
    for rule, (form, _) in NGRAMS.items():
        reasons["repetition"] |= {form.format(n=n) for n, _ in DEFAULTS["repetition"][rule]}
    assert {name: set(texts) for name, texts in BAD.items()} == reasons


@pytest.mark.parametrize(("name", "reason"), CASES)
def test_a_text_that_breaks_one_rule_is_dropped_with_its_name_and_measure(name, reason):
    alone = threshold_of(name, reason)
    _, broken, _ = judged_text(BAD[name][reason], {name: alone})
    assert broken is not None and broken[0] == reason and f"against {name}." in broken[1]


@pytest.mark.parametrize("seed", range(20))
def test_good_prose_passes_all_rules_as_it_is(seed):
    text = prose(seed, 200)
    assert judged_text(text, DEFAULTS) == (text, None, Counter())


@given(st.text(alphabet=st.sampled_from("ab .\n-#{[1]…日\x0b\u2028"), max_size=60))
@settings(deadline=None, max_examples=150)
def test_no_text_is_too_strange_to_be_judged(text):
    judged_text(text, {name: thresholds for name, thresholds in DEFAULTS.items() if name != "gopher"})
    assert judged_text(text, {})[:2] == (text, None)


def test_lines_that_are_no_sentences_go_and_are_counted():
    text = "Menu\nA line that stays.[12]\nTurn on JavaScript to see this.\n\n" + "x" * 1001 + " is long"
    rewritten, _, gone = judged_text(text, {"c4": DEFAULTS["c4"]})
    assert rewritten == "A line that stays."
    assert gone == {"line_too_short": 1, "line_with_phrase": 1, "line_with_endless_word": 1}


def test_runs_that_recur_are_those_of_a_plain_search():
    text = Text(" ".join(prose(n % 7, 30) for n in range(20)))
    for n in (2, 3, 5, 8):
        runs = [tuple(text.tokens[i : i + n]) for i in range(len(text.tokens) - n + 1)]
        counts = Counter(runs)
        assert text.recurring(n)[0].tolist() == [i for i, run in enumerate(runs) if counts[run] > 1]


@pytest.fixture
def oracle(shared_data) -> list[dict]:
    """Every fourth of 4,000 real pages with the decisions of the library that FineWeb was made with."""
    return judged_pages(shared_data / "filter_oracle" / "datatrove-filters.jsonl.zst")


@cache
def judged_pages(path: Path) -> list[dict]:
    reader = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(path.open("rb"))
    return [json.loads(line) for n, line in enumerate(io.TextIOWrapper(reader, "utf-8")) if n % 4 == 0]


@pytest.mark.parametrize(
    ("theirs", "name", "changes", "agreement"),
    [
        ("gopher_rep", "repetition", {}, 0.97),
        ("c4", "c4", {}, 0.99),
        ("c4_full", "c4", {"finished_lines": True}, 0.99),
        ("fineweb", "fineweb", {}, 0.99),
    ],
)
def test_decisions_agree_with_the_library_that_fineweb_was_made_with(oracle, theirs, name, changes, agreement):
    agreed = same = rewritten = 0
    for page in oracle:
        text, broken, _ = judged_text(page["text"], {name: DEFAULTS[name] | changes})
        kept, _, *digest = page["decisions"][theirs]
        agreed += kept == (broken is None)
        if kept and broken is None and digest and digest[0]:
            rewritten += 1
            same += hashlib.sha1(text.encode()).hexdigest() == digest[0]
    assert agreed >= agreement * len(oracle)
    assert same == rewritten and (name != "c4" or rewritten > 400)


def test_gopher_decisions_agree_but_for_the_letters_that_it_asks_of_punctuation_marks(oracle):
    known = [page for page in oracle if page["decisions"]["gopher_qual"][1] != "gopher_below_alpha_threshold"]
    thresholds = DEFAULTS["gopher"] | {"min_alphabetic_words": None}
    agreed = sum(
        page["decisions"]["gopher_qual"][0] == (broken_rule(Text(page["text"]), "gopher", thresholds) is None)
        for page in known
    )
    assert agreed >= 0.98 * len(known) and len(known) > 500


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The quick brown fox jumps over the lazy dog, and nobody knows why it should.", "en"),
        ("Der schnelle braune Fuchs springt über den faulen Hund, und niemand weiß warum.", "de"),
        ("Le renard brun saute par-dessus le chien paresseux, et personne ne sait pourquoi.", "fr"),
        ("素早い茶色の狐がのろまな犬を飛び越える。", "ja"),
    ],
)
def test_languages_are_told_apart(text, language):
    assert language_of(text * 3)[0] == language


def test_an_empty_text_has_no_language():
    assert language_of(" \n") == ("und", 0.0)
