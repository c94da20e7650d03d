"""The README's commands do what it says: every one is taken from its text and tried."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from scalelaws.io import read_json
from workflow.start import snakemake

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "results/reference/README.md"]
COMMANDS = [
    line.split("  #")[0].strip() for line in README.splitlines() if re.match(r" {4}(make|snakemake|scalelaws) ", line)
]


def test_there_are_commands_to_try():
    assert {"make run", "make test", "snakemake report"} <= set(COMMANDS)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_make_knows_its_targets(command):
    done = subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("snakemake") and "slurm" not in c])
def test_snakemake_knows_its_targets(command, tmp_path):
    (tmp_path / "config.yaml").write_bytes((ROOT / "config.yaml").read_bytes())
    snakemake(tmp_path, "--dry-run", *shlex.split(command)[1:], config="config.yaml")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert links
    assert not [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]


def test_nothing_is_left_to_fill_in():
    assert not [page for page in PAGES if "@@" in page.read_text(encoding="utf-8")]


def test_the_corpora_s_numbers_are_those_of_their_cards():
    kept = ROOT / "results/reference"
    page = (kept / "corpus.md").read_text()
    for card in (kept / "web-small/corpus").glob("*/card.json"):
        for split in read_json(card)["splits"].values():
            row = [f"{split['documents']:,}", f"{split['bytes'] / 1e6:.1f}", f"{split['tokens']:,}"]
            assert f"| {' | '.join(row)} | {split['bytes_per_token']:.2f} |" in page, card.parent.name
