"""report.html: the answer, its figures, and everything that led to it, in one file that works offline."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bokeh
import jinja2
import numpy as np
import pandas as pd
import yaml
from PIL import Image

from scalelaws.figures.select import readable_name
from scalelaws.io import atomic_path, read_json
from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations
from scalelaws.report.answer import findings, prediction, summary, warnings
from scalelaws.report.calculator import calculator_data
from scalelaws.report.corpora import corpus_sections
from scalelaws.report.explorer import explorer_data
from scalelaws.report.tables import (
    account_rows,
    allocation_rows,
    artifact_rows,
    cost_rows,
    cost_totals,
    derived_rows,
    job_rows,
    law_rows,
)
from scalelaws.units import readable

TEMPLATES = Path(__file__).parent
PLOTTING = Path(bokeh.__file__).parent / "server" / "static" / "js"
SCRIPTS = (
    PLOTTING / "bokeh.min.js",
    PLOTTING / "bokeh-api.min.js",
    TEMPLATES / "calculator.js",
    TEMPLATES / "explorer.js",
)
"""What runs in the page: the plotting library as its package ships it, then what is ours."""
COLOURS = 128
"""A figure's picture is cut down to this many colours: a third of the size, and the eye sees no difference."""


def write_report(
    report: str | Path,
    observations: Observations,
    laws: Laws,
    plan: pd.DataFrame | None,
    cards: Sequence[str | Path],
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> None:
    """Write the page to `report`; the folder it stands in is the study's, with its figures/ and benchmarks/.

    `cards` are the corpora's card.json files in the order of the config, `plan` the table of plan.csv; a study of a
    table of finished runs has none of them.
    """
    study = Path(report).parent
    sentence, met = prediction(laws)
    index = read_json(study / "figures" / "index.json")
    page = _environment().get_template("template.html")
    html = page.render(
        style=(TEMPLATES / "style.css").read_text(encoding="utf-8"),
        study=config["study"],
        summary=summary(observations),
        findings=findings(observations, laws),
        prediction=sentence,
        met=met,
        warnings=warnings(observations, laws),
        laws=law_rows(laws, observations.train_corpus),
        ood_laws=law_rows(laws, observations.train_corpus, others=True),
        allocations=allocation_rows(laws),
        derived=derived_rows(laws),
        accounts=account_rows(laws),
        calculator=calculator_data(laws),
        explorer=explorer_data(observations, laws),
        **_first_questions(observations),
        scripts=[script.read_text(encoding="utf-8") for script in SCRIPTS],
        families=_families(index["figures"], study / "figures"),
        missing=[entry for entry in index["figures"] if "reason" in entry],
        corpora=corpus_sections(cards),
        train_corpus=readable_name(observations.train_corpus),
        totals=[] if plan is None else cost_totals(observations, plan, study),
        runs=[] if plan is None else cost_rows(observations, plan),
        jobs=job_rows(study / "benchmarks"),
        config=yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True),
        provenance={"report": provenance, "figures": index["provenance"], "laws": laws.provenance},
        artifacts=artifact_rows(study),
    )
    with atomic_path(report) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["readable_name"] = readable_name
    return environment


def _families(entries: Sequence[Mapping[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """The drawn figures with their pictures, under the headings of their families."""
    families: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        if "reason" not in entry:
            families.setdefault(entry["family"], []).append(
                {**entry, "data": _picture(folder / f"{entry['name']}.png")}
            )
    return [{"title": title, "figures": figures} for title, figures in families.items()]


def _picture(file: Path) -> str:
    stream = io.BytesIO()
    with Image.open(file) as picture:
        few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _first_questions(observations: Observations) -> dict[str, Any]:
    """What the calculator shows before anybody asks: ten times the largest budget, and a somewhat lower loss."""
    largest = float(observations.runs["flops"].max())
    lowest = float(observations.results(observations.train_corpus)["loss"].min())
    size = float(observations.runs["parameters"].max())
    budget = f"{10.0 ** (np.floor(np.log10(largest)) + 1):.0e}".replace("+", "")
    return {"budget": budget, "pair": {"N": readable(2 * size), "L": f"{0.98 * lowest:.3g}"}}


def _plain(value: Any) -> Any:
    """The config as plain dicts and lists, which YAML writes without tags."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
