from pathlib import Path

import pytest
import yaml
from scalelaws.cli import main

ROOT = Path(__file__).parents[1]


def test_plan_lists_every_run_of_the_paper_s_study_and_its_price(capsys):
    assert main(["plan", str(ROOT / "workflow/studies/webtext.yaml")]) == 0
    printed = capsys.readouterr().out
    assert "1L8d-22M-s1" in printed
    assert "1.51B" in printed
    assert "H100 hours" in printed.splitlines()[-1]


def test_a_missing_study_gets_one_line(capsys, tmp_path):
    assert main(["plan", str(tmp_path / "absent.yaml")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "absent.yaml: there is no such file" in line


def test_hardware_that_is_not_known_gets_one_line(capsys, tmp_path):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**config, "hardware": "banana"}))
    assert main(["plan", str(tmp_path / "study.yaml")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "config: hardware: 'banana' is not known" in line


@pytest.mark.parametrize("study", ["config.yaml", "workflow/studies/webtext.yaml"])
def test_every_study_of_the_project_is_valid(study):
    assert main(["plan", str(ROOT / study)]) == 0
