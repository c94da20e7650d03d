import pytest
from scalelaws.corpus.clean import clean
from scalelaws.corpus.documents import DocumentWriter, document, read_documents
from scalelaws.errors import InputError
from scalelaws.io import file_digest, read_json
from scalelaws.workers import silent

from .conftest import prose, texts_of, write_documents
from .test_quality import DEFAULTS

SETTINGS = {
    "language": "en",
    "language_confidence": 0.3,
    "quality": DEFAULTS,
    "max_bytes": None,
    "boilerplate": None,
    "personal_data": [],
    "blocklist": {"hosts": None, "words": None},
}
GERMAN = "Der schnelle braune Fuchs springt über den faulen Hund, und niemand weiß so recht, warum er das tut. " * 4


def cleaned(folder, texts, processes=2, **changes):
    source = write_documents(folder / "in", texts)
    clean(source, folder / "out", folder / "out.json", SETTINGS | changes, 1, "recipe", processes, silent)
    return texts_of(folder / "out"), read_json(folder / "out.json")


def test_each_dropped_document_is_counted_under_its_reason_with_examples(tmp_path):
    good = [prose(n) for n in range(5)]
    kept, report = cleaned(tmp_path, [*good, "too short", GERMAN], quality=DEFAULTS | {"repetition": None})
    assert kept == good
    assert report["out"]["documents"] == 5 and report["out"]["bytes"] == sum(len(text.encode()) for text in good)
    reasons = {reason: count["documents"] for reason, count in report["removed"].items()}
    assert reasons == {"too_few_words": 1, "other_language": 1}
    example = report["removed"]["too_few_words"]["examples"][0]
    assert (example["url"], example["excerpt"]) == ("http://site.example/5", "too short")
    assert example["note"] == "2 against gopher.min_words 50"


def test_the_language_is_asked_where_one_is_wanted(tmp_path):
    rules = {"quality": None}
    kept, report = cleaned(tmp_path / "en", [prose(1), GERMAN], **rules)
    assert kept == [prose(1)] and report["removed"]["other_language"]["examples"][0]["note"].startswith("de ")
    kept, _ = cleaned(tmp_path / "any", [prose(1), GERMAN], language=None, **rules)
    assert len(kept) == 2


def test_documents_and_bytes_that_come_in_either_go_on_or_are_counted(tmp_path):
    texts = [prose(n) if n % 3 else "short" * n for n in range(1, 60)]
    _, report = cleaned(tmp_path, texts)
    assert report["in"]["documents"] == 59 and report["in"]["bytes"] == sum(len(text.encode()) for text in texts)


def test_personal_data_is_masked_and_counted(tmp_path):
    texts = [f"{prose(1)}\nWrite to jane.doe@mail.example.org or call +49 30 1234 5678 today."]
    kept, report = cleaned(tmp_path, texts, personal_data=["email", "phone"])
    assert kept == [f"{prose(1)}\nWrite to [email] or call [phone] today."]
    assert report["changed"] == {f"{kind}_masked": {"documents": 1, "times": 1} for kind in ("email", "phone")}
    assert report["in"]["bytes"] == len(texts[0])


def test_titles_and_examples_of_what_was_dropped_are_masked_too(tmp_path):
    rows = [document(prose(1), "t", "http://a.example/1", "Write to jane@site.example")]
    rows.append(document("Call jane@site.example", "t", "http://a.example/2"))
    with DocumentWriter(tmp_path / "in", "documents") as writer:
        for row in rows:
            writer.write(row)
    clean(
        tmp_path / "in",
        tmp_path / "out",
        tmp_path / "out.json",
        SETTINGS | {"personal_data": ["email"]},
        1,
        "r",
        1,
        silent,
    )
    assert [row.title for row in read_documents(tmp_path / "out")] == ["Write to [email]"]
    (example,) = read_json(tmp_path / "out.json")["removed"]["too_few_words"]["examples"]
    assert example["excerpt"] == "Call [email]"


def test_what_a_blocklist_names_is_dropped(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("# mine\nForbidden phrase\n")
    texts = [prose(1), f"{prose(2)} a FORBIDDEN phrase here"]
    kept, report = cleaned(tmp_path, texts, blocklist={"hosts": None, "words": str(words)})
    assert kept == texts[:1] and report["removed"]["blocked_word"]["examples"][0]["note"] == "forbidden phrase"
    hosts = tmp_path / "hosts.txt"
    hosts.write_text("example\n")
    with pytest.raises(InputError, match="blocked_host 2"):
        cleaned(tmp_path / "all", texts, blocklist={"hosts": str(hosts), "words": None})
    words.write_text("# nothing\n")
    with pytest.raises(InputError, match=r"words2.txt: the blocklist cannot be read"):
        cleaned(tmp_path / "none", texts, blocklist={"hosts": None, "words": str(tmp_path / "words2.txt")})


def test_the_digests_say_what_came_in_and_what_went_out(tmp_path):
    _, first = cleaned(tmp_path / "a", [prose(1), "short"])
    _, second = cleaned(tmp_path / "b", [prose(1), "other"])
    assert first["in"]["digest"] != second["in"]["digest"] and first["out"]["digest"] == second["out"]["digest"]


def test_a_size_limit_takes_a_seeded_sample_that_does_not_depend_on_the_order(tmp_path):
    texts = [f"{n} {prose(n)}" for n in range(60)]
    limit = 20_000
    kept, report = cleaned(tmp_path / "a", texts, max_bytes=limit)
    assert limit * 0.8 < report["out"]["bytes"] <= limit
    reverse = write_documents(tmp_path / "b" / "in", [])
    with DocumentWriter(reverse, "documents") as writer:
        for row in reversed(list(read_documents(tmp_path / "a" / "in"))):
            writer.write(row)
    clean(reverse, tmp_path / "b" / "out", tmp_path / "b.json", SETTINGS | {"max_bytes": limit}, 1, "r", 2, silent)
    assert sorted(texts_of(tmp_path / "b" / "out")) == sorted(kept)
    grown, _ = cleaned(tmp_path / "c", texts, max_bytes=2 * limit)
    assert set(kept) < set(grown)


def test_the_result_does_not_depend_on_the_number_of_processes(tmp_path):
    texts = [prose(n) if n % 3 else "short" for n in range(300)]
    digests = set()
    for processes in (1, 3):
        cleaned(tmp_path / str(processes), texts, processes)
        digests.add(
            (file_digest(tmp_path / str(processes) / "out"), file_digest(tmp_path / str(processes) / "out.json"))
        )
    assert len(digests) == 1


def test_a_corpus_of_which_nothing_is_left_fails_with_the_reasons(tmp_path):
    with pytest.raises(InputError, match=r"clean: kept 0 of 2 documents \(removed: too_few_words 2\).*relax"):
        cleaned(tmp_path, ["a", "b"], language=None)
    assert not (tmp_path / "out").exists()
