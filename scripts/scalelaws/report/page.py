"""report.html: the answer, its figures, and everything that led to it, in one file that works offline."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from scalelaws.figures.select import readable_name
from scalelaws.io import atomic_path, read_json
from scalelaws.laws.fitted import Laws
from scalelaws.observations.table import Observations
from scalelaws.report.answer import findings, prediction, summary, warnings
from scalelaws.report.corpora import corpus_sections
from scalelaws.report.tables import allocation_rows, artifact_rows, cost_rows, cost_totals, job_rows, law_rows

TEMPLATES = Path(__file__).parent


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
        figures=[_with_picture(entry, study / "figures") for entry in index["figures"] if "reason" not in entry],
        missing=[entry for entry in index["figures"] if "reason" in entry],
        corpora=corpus_sections(cards),
        train_corpus=readable_name(observations.train_corpus),
        totals=[] if plan is None else cost_totals(observations, plan),
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


def _with_picture(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    picture = (folder / f"{entry['name']}.png").read_bytes()
    return {**entry, "data": base64.b64encode(picture).decode("ascii")}


def _plain(value: Any) -> Any:
    """The config as plain dicts and lists, which YAML writes without tags."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
