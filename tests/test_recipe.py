"""A recipe changes with the meaning of the code that it covers, and with nothing else."""

import pytest
from scalelaws import recipe as recipes
from scalelaws.io import write_json
from scalelaws.recipe import _contents, contents, modules_of, provenance, recipe

BASE = {
    "__init__": "",
    "laws/__init__": "",
    "laws/forms": "from scalelaws.units import double\ndef loss(n):\n    return double(n)\n",
    "laws/other": "x = 1\n",
    "units": "def double(n):\n    return 2 * n\n",
    "io": "size = 1\n",
}


@pytest.fixture
def recipe_of(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "PACKAGE", tmp_path)

    def run(changes=(), module="laws.forms"):
        for name, source in {**BASE, **dict(changes)}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / f"{name}.py").write_text(source)
        forget()
        return recipe(module)

    yield run
    forget()


def forget():
    """What a new process does not know."""
    for cached in (recipes._meaning, recipes._known):
        cached.cache_clear()


@pytest.mark.parametrize(
    "source",
    [
        "# why\nfrom scalelaws.units import double\n\n\ndef loss(n):  # of n\n    return double(n)\n",
        '"""Laws."""\nfrom scalelaws.units import double\ndef loss(n):\n    """The loss."""\n    return (double(n))\n',
        "from scalelaws.units import double\ndef loss(\n    n,\n):\n    return double(n)\n'''A note below.'''\n",
    ],
    ids=["comments", "docstrings", "layout"],
)
def test_words_and_layout_leave_a_recipe_as_it_is(recipe_of, source):
    assert recipe_of({"laws/forms": source}) == recipe_of()


def test_a_change_of_meaning_changes_it(recipe_of):
    assert recipe_of({"laws/forms": BASE["laws/forms"] + "loss = None\n"}) != recipe_of()


def test_a_change_in_an_imported_module_changes_it(recipe_of):
    assert recipe_of({"units": "def double(n):\n    return 3 * n\n"}) != recipe_of()


def test_a_change_in_a_template_of_the_stage_changes_it(recipe_of, tmp_path):
    before = recipe_of()
    (tmp_path / "laws" / "page.html").write_text("<h1>Laws</h1>")
    assert recipe_of() != before


def test_a_change_elsewhere_does_not(recipe_of):
    assert recipe_of({"laws/other": "x = 2\n"}) == recipe_of()


def test_a_change_of_the_plumbing_does_not(recipe_of):
    with_files = {"laws/forms": "from scalelaws.io import size\n" + BASE["laws/forms"]}
    assert recipe_of({**with_files, "io": "size = 2\n"}) == recipe_of(with_files)


@pytest.mark.parametrize(
    "spelling",
    ["from scalelaws.laws.other import x", "from scalelaws.laws import other", "import scalelaws.laws.other"],
)
def test_every_spelling_of_an_import_is_followed(recipe_of, spelling):
    recipe_of({"laws/forms": f"def loss():\n    {spelling}\n"})
    assert "laws.other" in modules_of("laws.forms")


def test_modules_that_import_each_other_end(recipe_of):
    recipe_of({"laws/other": "from scalelaws.laws import forms\n", "laws/forms": "from scalelaws.laws import other\n"})
    assert modules_of("laws.forms") == ["laws", "laws.forms", "laws.other"]


def test_a_module_that_does_not_exist_is_an_error():
    with pytest.raises(FileNotFoundError):
        recipe("laws.no_such_module")


def test_what_was_read_once_is_known_to_the_next_process(recipe_of, monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    before = recipe_of()
    monkeypatch.setattr(recipes, "_read", None)  # reading anew would fail
    assert recipe_of() == before
    (recipes.PACKAGE / "__pycache__" / recipes._memory().name).write_text("not JSON")
    with pytest.raises(TypeError):
        recipe_of()


def test_provenance_follows_settings_and_inputs_and_nothing_else(tmp_path):
    def made(settings, content):
        write_json(tmp_path / "in.json", content)
        return provenance("r", 1, settings, [tmp_path / "in.json"], ["numpy"])

    first = made({"a": 1, "b": 2}, 1)
    assert first == made({"b": 2, "a": 1}, 1)
    assert first["settings"] != made({"a": 1, "b": 3}, 1)["settings"]
    assert first["inputs"] != made({"a": 1, "b": 2}, 2)["inputs"]
    assert set(first) == {"scalelaws", "recipe", "settings", "seed", "packages", "inputs"}
    assert set(first["packages"]) == {"numpy"} and set(first["inputs"]) == {"in.json"}


def test_small_files_are_told_by_what_they_hold_and_large_ones_by_their_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr("scalelaws.recipe.READ_BYTES", 10)
    small, large = tmp_path / "a", tmp_path / "b"
    told = []
    for texts in (("one", "large" * 9), ("two", "large" * 9), ("two", "LARGE" * 9), ("two", "LARGE" * 8)):
        small.write_text(texts[0])
        large.write_text(texts[1])
        _contents.cache_clear()
        told += contents([small, large])
    assert told[0] != told[1] == told[2] != told[3]
    assert contents([]) == []
