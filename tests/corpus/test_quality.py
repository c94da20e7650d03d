import pytest
from scalelaws.corpus.quality import RULES, Languages, broken_rule

from .conftest import prose

DEFAULTS = {
    "min_words": 50,
    "max_words": 1000,
    "min_word_length": 3,
    "max_word_length": 10,
    "max_symbols": 0.1,
    "max_bullet_lines": 0.9,
    "max_ellipsis_lines": 0.3,
    "min_alphabetic_words": 0.8,
    "min_stop_words": 2,
    "max_repeated_lines": 0.2,
    "max_repeated_ngrams": 0.1,
    "max_commonest_pair": 0.2,
    "max_placeholders": 0,
}


def lines(start: str = "", end: str = "") -> str:
    return "\n".join(f"{start}{line}{end}" for line in prose(1).splitlines())


BAD = {
    "too_few_words": "the few words that are here",
    "too_many_words": prose(2, 1100),
    "words_too_short": " ".join(prose(3).split()[n % 3] + " a b c" for n in range(60)),
    "words_too_long": " ".join(f"{word}andmorethanthat" for word in prose(4).split()),
    "too_many_symbols": " ".join(f"{word} #" if n % 3 == 0 else word for n, word in enumerate(prose(5).split())),
    "mostly_bullets": lines(start="- "),
    "lines_cut_off": "\n".join(f"{line} so it goes ..." for line in prose(7, 200).replace(".", "").splitlines()),
    "too_few_letters": " ".join(f"{word} {n}{n}{n}" for n, word in enumerate(prose(8).split())),
    "too_few_stop_words": " ".join(f"kartoffel{n} salat{n * 7}" for n in range(60)),
    "repeated_lines": lines(end="\nand this is what they say of it"),
    "repeated_phrases": prose(11, 240) + " " + prose(11, 240).replace("\n", " "),
    "one_phrase_dominates": " ".join(f"of the thing{n} of the" for n in range(40)),
    "placeholder_text": prose(12) + " Lorem ipsum dolor sit amet.",
}


def test_every_rule_has_its_example_here():
    assert set(BAD) == {reason for reason, _, _ in RULES.values()} and set(DEFAULTS) == set(RULES)


@pytest.mark.parametrize("reason", BAD)
def test_a_text_that_breaks_one_rule_is_dropped_with_its_name_and_measure(reason):
    rule = next(name for name, (given, _, _) in RULES.items() if given == reason)
    found = broken_rule(BAD[reason], DEFAULTS)
    assert found is not None and found[0] == reason and rule in found[1]
    assert broken_rule(BAD[reason], DEFAULTS | {rule: None}) != found


@pytest.mark.parametrize("seed", range(20))
def test_good_prose_passes_all_rules(seed):
    assert broken_rule(prose(seed, 200), DEFAULTS) is None


@pytest.mark.parametrize("text", ["", " ", "\n\n", "word", "日本語の文章です。", "- \n- ", "..."])
def test_no_text_is_too_strange_to_be_judged(text):
    assert broken_rule(text, dict.fromkeys(RULES)) is None
    assert broken_rule(text, DEFAULTS)[0] == "too_few_words"


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
    assert Languages().of(text * 3)[0] == language


def test_an_empty_text_has_no_language():
    assert Languages().of(" \n") == ("und", 0.0)
