"""The study's configuration: read, filled with the schema's defaults, and checked before anything runs."""

import difflib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from scalelaws.errors import InputError
from scalelaws.sweep import Variant, most_runs, variants

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml"
OPERATION = ("hardware", "longest_hours", "longest_job_hours", "small_run_minutes", "limits", "finished")
"""Keys that say where and how a study is made; no result depends on them."""
MOST_RUNS = 100_000
"""Of one study: to list more takes minutes, and Snakemake's graph of them many more."""
SCIENTIFIC = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")


def read_config(path: str | Path, schema: str | Path = SCHEMA) -> dict[str, Any]:
    """The checked configuration in a YAML file. Raises InputError where the file or a value is wrong."""
    return checked_config(read_settings(path), schema, str(path))


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings in a YAML file, as they stand there. Raises InputError where the file is missing or holds none."""
    try:
        raw = _with_numbers(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(
            str(path), "there is no such file", "Name an existing configuration with --configfile."
        ) from None
    except UnicodeDecodeError:
        raise InputError(str(path), "not readable as text in UTF-8", "Name a configuration, or save it so.") from None
    except RecursionError:
        raise InputError(str(path), "something in it contains itself", "Take out the alias (*) that does.") from None
    except (yaml.YAMLError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise InputError(str(path), f"not readable as YAML ({problem})", "Mend the line it names.") from None
    if not isinstance(raw, dict | None):
        raise InputError(str(path), "holds no settings", "Write them as keys and values, such as study: mine.")
    return raw or {}


def checked_config(raw: dict[str, Any], schema: str | Path, where: str) -> dict[str, Any]:
    """`raw` with defaults filled in, checked against the JSON Schema and across fields.

    `where` names the configuration in messages. Raises InputError for the first mistake found.
    """
    rules = yaml.safe_load(Path(schema).read_text(encoding="utf-8"))
    config = _with_defaults(_with_numbers(raw), rules, rules)
    for place in _not_finite(config):
        raise InputError(f"{where}: {'.'.join(place)}", "nan and inf are no settings", "Write a finite number.")
    errors = sorted(
        jsonschema.Draft202012Validator(rules).iter_errors(config), key=lambda e: (len(e.path), str(e.path))
    )
    if errors:
        _refuse(_most_specific(errors[0]), where)
    if "table" in config:
        _check_table(config, where)
    else:
        _check_roles(config, where)
        _check_mixtures(config, where)
        _check_repeats(config["training"], where)
        _check_count(config["training"], where)
        for variant in variants(config["training"]):
            _check_variant(variant, rules, f"{where}: training.{variant.place}".rstrip("."))
    return config


def check_files(config: dict[str, Any], where: str) -> None:
    """Raise InputError for a file that a checked configuration names and that is not there, sources and table aside."""
    named = {"figures.style": config["figures"]["style"]} if config["figures"]["style"].endswith(".mplstyle") else {}
    if "finished" not in config and "table" not in config:
        named["tokenizer.file"] = config["tokenizer"]["file"]
        for name, corpus in config["corpora"].items():
            lists = corpus["clean"]["blocklist"]
            named |= {f"corpora.{name}.clean.blocklist.{key}": file for key, file in lists.items()}
    for place, file in named.items():
        if file and not Path(file).is_file():
            raise InputError(f"{where}: {place}: {file}", "there is no such file", "Name an existing one.")


def _with_numbers(value: Any) -> Any:
    """YAML 1.1 reads 4e6 as a string; read it as the number that was meant."""
    if isinstance(value, dict):
        return {key: _with_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_numbers(inner) for inner in value]
    if isinstance(value, str) and SCIENTIFIC.fullmatch(value):
        return int(float(value)) if float(value).is_integer() else float(value)
    return value


def _not_finite(value: Any) -> Iterator[tuple[str, ...]]:
    """Where there are nan and inf, of which a schema's bounds are no test."""
    if isinstance(value, float) and not math.isfinite(value):
        yield ()
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from ((str(key), *place) for place in _not_finite(inner))


def _with_defaults(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    schema = _chosen(_resolved(schema, root), value, root)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        other = schema.get("additionalProperties")
        filled = {}
        for key, inner in value.items():
            inner_schema = properties.get(key, other if isinstance(other, dict) else {})
            filled[key] = _with_defaults(inner, inner_schema, root)
        for key, inner_schema in properties.items():
            resolved = _resolved(inner_schema, root)
            if key not in filled and "default" in resolved:
                filled[key] = _with_defaults(resolved["default"], resolved, root)
        return filled
    if isinstance(value, list) and "items" in schema:
        return [_with_defaults(inner, schema["items"], root) for inner in value]
    return value


def _chosen(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> dict[str, Any]:
    """The schema that applies to `value`: the branch of an if/then whose condition holds, the object of an anyOf."""
    for rule in schema.get("allOf", []):
        if "if" in rule and jsonschema.Draft202012Validator(rule["if"]).is_valid(value):
            return _resolved(rule["then"], root)
    if isinstance(value, dict) and "anyOf" in schema:
        branches = [_resolved(branch, root) for branch in schema["anyOf"]]
        return next((branch for branch in branches if branch.get("type") == "object"), schema)
    return schema


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """The schema with a local $ref followed; keys written beside the $ref win."""
    if "$ref" not in schema:
        return schema
    target = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return {**_resolved(target, root), **{key: inner for key, inner in schema.items() if key != "$ref"}}


def _most_specific(error: jsonschema.ValidationError) -> jsonschema.ValidationError:
    """Of an anyOf/oneOf failure, the branch most likely meant; itself where the value is of no branch's kind."""
    while error.context:
        nearest = max(error.context, key=lambda e: (len(e.path), e.validator not in ("const", "type")))
        if not nearest.path and nearest.validator in ("type", "enum"):
            return error
        error = nearest
    return error


def _refuse(error: jsonschema.ValidationError, where: str) -> None:
    place = ".".join(str(part) for part in error.absolute_path) or "top level"
    schema: Any = error.schema
    expected: Any = error.validator_value
    instance: Any = error.instance
    if error.validator == "additionalProperties":
        known = list(schema.get("properties", {}))
        unknown = next(key for key in instance if key not in known)
        close = difflib.get_close_matches(str(unknown), known, n=1)
        remedy = f"Did you mean '{close[0]}'?" if close else f"Known keys: {', '.join(known)}."
        raise InputError(f"{where}: {place}", f"unknown key '{unknown}'", remedy)
    if error.validator == "required":
        missing = next(key for key in expected if key not in instance)
        about = schema.get("properties", {}).get(missing, {}).get("description", "")
        raise InputError(f"{where}: {place}", f"the key '{missing}' is missing", f"Add it. {about}".rstrip())
    if error.validator == "enum":
        options = ", ".join(map(str, expected))
        raise InputError(f"{where}: {place}", f"{instance!r} is not a choice", f"Choose one of: {options}.")
    about = schema.get("description") if isinstance(schema, dict) else None
    problem = (
        error.message if error.validator not in ("anyOf", "oneOf") else f"{instance!r} is nothing that can stand here"
    )
    raise InputError(f"{where}: {place}", problem, about or "See workflow/schemas/config.schema.yaml.")


def _check_table(config: dict[str, Any], where: str) -> None:
    trained = [key for key in ("corpora", "training") if key in config]
    if trained:
        remedy = f"Leave out {' and '.join(trained)}, or the table."
        raise InputError(f"{where}: table", "a study of a table of finished runs trains nothing", remedy)


def _check_roles(config: dict[str, Any], where: str) -> None:
    training = [name for name, corpus in config["corpora"].items() if corpus["role"] == "train"]
    if len(training) != 1:
        found = ", ".join(training) or "none"
        remedy = "Give exactly one corpus 'role: train'; it may have several sources."
        raise InputError(f"{where}: corpora", f"a study trains on one corpus, found {found}", remedy)


def _check_mixtures(config: dict[str, Any], where: str) -> None:
    for name, corpus in config["corpora"].items():
        weights, sources = corpus["mixture"], corpus["sources"]
        if weights and len(weights) != len(sources):
            problem = f"{len(weights)} weights for {len(sources)} {'source' if len(sources) == 1 else 'sources'}"
            raise InputError(f"{where}: corpora.{name}.mixture", problem, "Give one weight for each source.")


def _check_variant(variant: Variant, rules: dict[str, Any], where: str) -> None:
    """The settings of one variant of a sweep are as right as the study's own must be."""
    schema = {**rules["$defs"]["training"], "$defs": rules["$defs"]}
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(variant.settings), key=lambda e: str(e.path))
    if errors:
        _refuse(_most_specific(errors[0]), where)
    _check_training(variant.settings, where)


def _check_training(training: dict[str, Any], where: str) -> None:
    if isinstance(training["batch_tokens"], int) and training["batch_tokens"] % training["context"]:
        raise InputError(
            f"{where}.batch_tokens",
            f"{training['batch_tokens']} is not a whole number of sequences of {training['context']} tokens",
            "Choose a multiple of training.context.",
        )
    if training["evaluation_tokens"] < training["context"] * 2:
        raise InputError(
            f"{where}.evaluation_tokens",
            f"{training['evaluation_tokens']} tokens hold fewer than two windows of {training['context']}",
            "A standard error needs at least two; take more tokens.",
        )
    if training["parametrization"] == "mup" and not isinstance(training["learning_rate"], int | float):
        remedy = "Give one number: the rate for a d_model of 256."
        raise InputError(f"{where}.learning_rate", "with mup the rate follows the width by itself", remedy)
    if training["parametrization"] == "mup" and training["optimizer"] != "adamw":
        raise InputError(
            f"{where}.optimizer", "mup's rates are for Adam", "Choose adamw, or parametrization: standard."
        )


def _check_repeats(training: dict[str, Any], where: str) -> None:
    trained = {D for settings in (training, *training["sweep"]) for D in settings.get("dataset_tokens", ())}
    unknown = set(training["repeats"]["dataset_tokens"]) - trained
    if unknown:
        raise InputError(
            f"{where}: training.repeats.dataset_tokens",
            f"{min(unknown):g} is not one of training.dataset_tokens, nor of a sweep's",
            "Repeat subsets that are trained.",
        )


def _check_count(training: dict[str, Any], where: str) -> None:
    if (count := most_runs(training)) > MOST_RUNS:
        problem = f"{count:,} runs are asked for, and a study has at most {MOST_RUNS:,}"
        raise InputError(f"{where}: training", problem, "Name fewer sizes, subsets, seeds, or values of its sweep.")
