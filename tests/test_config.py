"""A configuration is complete and right before anything runs; a mistake gets one line: where, what, what to do."""

import copy
from pathlib import Path

import pytest
import yaml
from scalelaws.cli import main
from scalelaws.config import check_files, checked_config, read_config
from scalelaws.errors import InputError
from scalelaws.training.plan import runs_of

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
STUDIES = [ROOT / "config.yaml", *sorted((ROOT / "workflow" / "studies").glob("*.yaml"))]

SMALL = {
    "study": "small",
    "corpora": {"web": {"role": "train", "sources": [{"kind": "installed-docs", "content": "docstrings"}]}},
    "training": {"parameters": [1000], "dataset_tokens": [1000, 2000], "max_tokens": 4000},
}


def _changed(path, value):
    config = copy.deepcopy(SMALL)
    place = config
    *folders, key = path.split(".")
    for folder in folders:
        place = place.setdefault(folder, {})
    if value is None:
        place.pop(key)
    else:
        place[key] = value
    return config


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_every_study_that_we_ship_is_right(path):
    config = read_config(path, SCHEMA)
    assert ("table" in config) is not ("training" in config)
    assert "table" in config or runs_of(config)


def test_defaults_come_from_the_schema():
    config = checked_config(SMALL, SCHEMA, "small.yaml")
    assert config["tokenizer"]["vocabulary"] == 50_257
    assert config["training"]["context"] == 1024
    assert config["training"]["repeats"] == {"seeds": 1, "dataset_tokens": []}
    assert config["seed"] == 0


def test_what_is_given_wins_over_the_default_and_the_file_is_left_alone():
    raw = _changed("training.context", 64)
    before = copy.deepcopy(raw)
    assert checked_config(raw, SCHEMA, "small.yaml")["training"]["context"] == 64
    assert raw == before


def test_a_checked_configuration_passes_the_check_unchanged():
    config = checked_config(SMALL, SCHEMA, "small.yaml")
    assert checked_config(config, SCHEMA, "small.yaml") == config


def test_numbers_may_be_written_as_powers_of_ten():
    config = checked_config(_changed("training.dataset_tokens", ["1e3", "2.5E6"]), SCHEMA, "small.yaml")
    assert config["training"]["dataset_tokens"] == [1000, 2_500_000]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("training.contxt", 64, r"training: unknown key 'contxt'. Did you mean 'context'\?"),
        ("zzz", 1, r"top level: unknown key 'zzz'. Known keys: study, seed, corpora"),
        ("training.parameters", None, r"training: the key 'parameters' is missing. Add it."),
        ("training.max_tokens", None, r"training: the key 'max_tokens' is missing. Add it. A run stops after"),
        ("study", None, r"top level: the key 'study' is missing"),
        ("study", "My Study", r"study: 'My Study' does not match"),
        ("seed", 2**31, r"seed: 2147483648 is greater than the maximum of 2147483647. The one seed"),
        ("training.context", "long", r"training.context: 'long' is not of type 'integer'. Tokens in a training seq"),
        ("training.context", 4, r"training.context: 4 is less than the minimum of 8"),
        ("training.schedule", "cosin", r"training.schedule: 'cosin' is not a choice. Choose one of: cosine, const"),
        ("training.learning_rate", -1, r"training.learning_rate: -1 is less than or equal to the minimum of 0"),
        (
            "training.learning_rate",
            "fast",
            r"training.learning_rate: 'fast' is nothing that can stand here. Peak",
        ),
        ("training.learning_rate", [1], r"training.learning_rate: \[1\] is nothing that can stand here. Peak"),
        ("training.learning_rate", {"times": 1}, r"training.learning_rate: the key 'times_width' is missing"),
        ("training.parameters", [], r"training.parameters: \[\] should be non-empty"),
        ("training.parameters", [1000, 1000], r"training.parameters: \[1000, 1000\] has non-unique elements"),
        ("tokenizer.vocabulary", 256, r"tokenizer.vocabulary: 256 is less than the minimum of 257. Ids of the byte"),
        ("corpora.web.role", "ood", r"corpora: a study trains on one corpus, found none"),
        ("corpora.more", SMALL["corpora"]["web"], r"corpora: a study trains on one corpus, found web, more"),
        ("corpora.web.mixture", [1, 2], r"corpora.web.mixture: 2 weights for 1 source. Give one weight for each"),
        ("training.batch_tokens", 1500, r"training.batch_tokens: 1500 is not a whole number of sequences of 1024"),
        ("training.evaluation_tokens", 1500, r"training.evaluation_tokens: 1500 tokens hold fewer than two windows"),
        ("training.parameters", [1e30], r"training.parameters.0: 1e\+30 is greater than the maximum of 1"),
        ("training.dataset_tokens", [1e18], r"training.dataset_tokens.0: 1e\+18 is greater than the maximum"),
        ("training.head_size", 1_000_000, r"training.head_size: 1000000 is greater than the maximum of 1024"),
        (
            "training.repeats",
            {"seeds": 100_000, "dataset_tokens": [1000]},
            r"training: 100,001 runs are asked for, and a study has at most 100,000. Name fewer",
        ),
        (
            "training.sweep",
            [{key: list(range(100)) for key in ("warmup_steps", "evaluations", "patience")}],
            r"training: 2,000,002 runs are asked for",
        ),
        ("training.repeats", {"dataset_tokens": [77]}, r"training.repeats.dataset_tokens: 77 is not one of training"),
    ],
)
def test_a_mistake_gets_one_line_with_its_place_and_its_remedy(path, value, message):
    with pytest.raises(InputError, match=f"small.yaml: {message}") as error:
        checked_config(_changed(path, value), SCHEMA, "small.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1e400"])
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("training.parameters", "training.parameters.1"),
        ("training.max_tokens", "training.max_tokens"),
        ("training.learning_rate", "training.learning_rate.times_width"),
        ("training.sweep", "training.sweep.0.weight_decay.1"),
        ("laws.huber_delta", "laws.huber_delta"),
        ("longest_hours", "longest_hours"),
        ("figures.settings", "figures.settings.font.size"),
    ],
)
def test_no_setting_is_nan_or_infinite(path, place, value):
    within = {
        "training.parameters": [1000, value],
        "training.learning_rate": {"times_width": value},
        "training.sweep": [{"weight_decay": [0, value]}],
        "figures.settings": {"font.size": value},
    }
    with pytest.raises(InputError, match=rf"small.yaml: {place}: nan and inf are no settings. Write a finite number"):
        checked_config(_changed(path, within.get(path, value)), SCHEMA, "small.yaml")


PAIRS = {"kind": "files", "paths": ["q.jsonl"], "source_field": "question", "target_field": "answer"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"target_field": None}, r"corpora.web.sources.0: the key 'target_field' is missing. Add it."),
        ({"text_field": "text"}, r"corpora.web.sources.0: unknown key 'text_field'. Did you mean 'target_field'\?"),
        ({"kind": "urls"}, r"corpora.web.sources.0: unknown key 'paths'"),
    ],
)
def test_a_source_of_pairs_has_two_fields_and_no_third(source, message):
    wrong = {key: value for key, value in {**PAIRS, **source}.items() if value is not None}
    with pytest.raises(InputError, match=message):
        checked_config(_changed("corpora.web.sources", [wrong]), SCHEMA, "small.yaml")


def test_sources_of_pairs_and_of_texts_have_their_own_defaults():
    dataset = {"kind": "dataset", "path": "d", "source_field": "a", "target_field": "b"}
    raw = _changed("corpora.web.sources", [PAIRS, dataset, {"kind": "files", "paths": ["a.txt"]}])
    pairs, rows, texts = checked_config(raw, SCHEMA, "small.yaml")["corpora"]["web"]["sources"]
    assert pairs == PAIRS | {"url_field": "url"}
    assert rows == dataset | {"name": None, "split": "train", "max_bytes": None}
    assert texts["text_field"] == "text" and "source_field" not in texts


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("tokenizer.file", "vocab.bpe"),
        ("figures.style", "mine.mplstyle"),
        ("corpora.web.clean", {"blocklist": {"hosts": "hosts.txt"}}),
    ],
)
def test_a_file_that_a_study_names_must_be_there(path, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = checked_config(_changed(path, file), SCHEMA, "small.yaml")
    with pytest.raises(InputError, match=rf"small.yaml: {path}.*: there is no such file. Name an existing one."):
        check_files(config, "small.yaml")
    for name in ("vocab.bpe", "mine.mplstyle", "hosts.txt"):
        (tmp_path / name).touch()
    check_files(config, "small.yaml")


def test_a_finished_study_needs_no_file_to_train_with():
    config = _changed("tokenizer.file", "vocab.bpe") | {"finished": "kept"}
    check_files(checked_config(config, SCHEMA, "small.yaml"), "small.yaml")


def test_a_file_that_is_missing_broken_or_empty_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_config(tmp_path / "absent.yaml", SCHEMA)
    (tmp_path / "broken.yaml").write_text("study: [1, 2\ntraining: }")
    with pytest.raises(InputError, match=r"broken\.yaml: not readable as YAML \(.*line 2"):
        read_config(tmp_path / "broken.yaml", SCHEMA)
    (tmp_path / "empty.yaml").touch()
    with pytest.raises(InputError, match=r"empty\.yaml: top level: the key 'study' is missing"):
        read_config(tmp_path / "empty.yaml", SCHEMA)


UNREADABLE = [
    (b"\xff\xfe\x00", "not readable as text in UTF-8"),
    (b"a: &a [*a]", "something in it contains itself"),
    (b"study: 2024-13-45", "not readable as YAML"),
    (b"a: b: c", "not readable as YAML"),
    (b"- a\n- b", "holds no settings"),
    (b"words", "holds no settings"),
]


@pytest.mark.parametrize("command", ["plan", "keep", "show"])
@pytest.mark.parametrize(("content", "problem"), [*UNREADABLE, (b"", "the key 'study' is missing"), (None, "no such")])
def test_a_file_without_settings_is_one_line_to_every_command(tmp_path, capsys, command, content, problem):
    path = tmp_path / "mine.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    assert main([command, str(path), *([str(tmp_path / "kept")] if command == "keep" else [])]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"scalelaws: {path}:") and problem in line


def test_every_object_of_the_schema_refuses_unknown_keys():
    def objects(schema):
        if isinstance(schema, dict):
            if "properties" in schema:
                yield schema
            for inner in schema.values():
                yield from objects(inner)
        elif isinstance(schema, list):
            for inner in schema:
                yield from objects(inner)

    schema = yaml.safe_load(SCHEMA.read_text())
    open_ones = [sorted(found["properties"]) for found in objects(schema) if "additionalProperties" not in found]
    assert not open_ones, f"Add 'additionalProperties: false' to the objects with these keys in {SCHEMA.name}."
