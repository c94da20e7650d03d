"""One call draws every figure into a folder: picture, PDF, numbers, and an index that says what is missing and why."""

import struct
import sys

import pandas as pd
import pytest
from scalelaws.errors import InputError
from scalelaws.figures import draw
from scalelaws.figures.draw import FAMILIES, Look, draw_figures, kinds
from scalelaws.figures.registry import FIGURES, FigureKind, Material, NotDrawableError
from scalelaws.io import read_json
from scalelaws.observations.table import Observations
from scalelaws.units import readable

SMALL = Look(settings={"savefig.dpi": 50})


@pytest.fixture
def two_figures(monkeypatch):
    """The quickest figure, and one that cannot be drawn: what this module tests does not depend on which."""

    def refuse(material):
        raise NotDrawableError("the table has no such column")

    first = next(kind for kind in kinds() if kind.name == "learning_curves")
    monkeypatch.setattr(
        draw, "kinds", lambda: [first, FigureKind("impossible", "Impossible", "Nothing.", first.module, refuse)]
    )


@pytest.mark.usefixtures("two_figures")
def test_a_folder_has_three_files_a_figure_and_an_index_with_the_reasons(observations, laws, tmp_path):
    index = draw_figures(observations, laws, tmp_path / "figures", SMALL, {"recipe": "abc"})
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["index.json", "learning_curves.csv", "learning_curves.pdf", "learning_curves.png"]
    written = read_json(tmp_path / "figures" / "index.json")
    assert written == {"figures": index, "provenance": {"recipe": "abc"}}
    curves, impossible = index
    png = (tmp_path / "figures" / "learning_curves.png").read_bytes()
    assert struct.unpack(">II", png[16:24]) == (curves["width"], curves["height"])
    assert impossible["reason"] == "the table has no such column"
    assert len(pd.read_csv(tmp_path / "figures" / "learning_curves.csv")) > 50


@pytest.mark.usefixtures("two_figures")
def test_the_same_data_give_the_same_bytes_in_however_many_processes(observations, laws, tmp_path):
    for name, processes in (("one", 1), ("two", 2)):
        draw_figures(observations, laws, tmp_path / name, SMALL, {}, processes=processes)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


@pytest.mark.usefixtures("two_figures")
def test_the_study_sets_the_size(observations, laws, tmp_path):
    look = Look(settings={"savefig.dpi": 50, "figure.figsize": [6.0, 4.0]}, formats=["svg"])
    index = draw_figures(observations, laws, tmp_path / "figures", look, {})
    assert (index[0]["width"], index[0]["formats"]) == (300, ["png", "svg"])
    assert (tmp_path / "figures" / "learning_curves.svg").read_text().startswith("<?xml")
    assert not (tmp_path / "figures" / "learning_curves.pdf").exists()


@pytest.mark.usefixtures("two_figures")
def test_a_wrong_setting_leaves_no_folder(observations, laws, tmp_path):
    with pytest.raises(InputError):
        draw_figures(observations, laws, tmp_path / "figures", Look(settings={"font.siz": 9}), {})
    assert not list(tmp_path.iterdir())


def test_only_the_figures_that_were_named_are_drawn(observations, laws, tmp_path):
    index = draw_figures(observations, laws, tmp_path / "figures", SMALL, {}, only=["seed_noise", "learning_curves"])
    assert [entry["name"] for entry in index] == ["learning_curves", "seed_noise"]
    with pytest.raises(InputError, match=r"no such figure.*Did you mean 'seed_noise'"):
        draw_figures(observations, laws, tmp_path / "others", SMALL, {}, only=["seed_nose"])


def test_every_family_of_figures_has_a_heading():
    assert {kind.module for kind in FIGURES.values()} == {family.__name__ for family in FAMILIES}


def test_every_figure_has_a_title_a_caption_and_a_docstring_that_names_what_it_shows():
    for kind in kinds():
        assert kind.title and kind.caption.endswith(".")
        function = getattr(sys.modules[kind.module], kind.name, None)
        assert function and function.__doc__
        assert "igure" not in kind.title + kind.caption


def test_a_single_subset_is_named_in_place_of_its_colours_and_nothing_is_drawn_against_it(observations, laws):
    largest = observations.runs["dataset_tokens"].max()
    runs = observations.runs[observations.runs["dataset_tokens"] == largest]
    losses = observations.losses[observations.losses["run"].isin(runs["run"])]
    material = Material(Observations(losses, runs), laws)
    figures = {kind.name: kind for kind in kinds()}
    with pytest.raises(NotDrawableError, match="all runs have one subset D, "):
        figures["loss_vs_dataset_tokens"].draw(material)
    sheet = figures["loss_vs_parameters"].draw(material)
    assert len(sheet.axes) == 1, "no colour bar"
    assert sheet.axes[0].get_title(loc="left") == f"$D$ = {readable(largest)}"
