"""The profiles are read by Snakemake, and hold only settings that it knows."""

import re

import pytest
from snakemake.cli import get_argument_parser
from snakemake.profiles import ProfileConfigFileParser
from snakemake.resources import Resource

from .rules import ROOT, rules

PLUGIN_SETTINGS = {
    "slurm-status-command",
    "slurm-status-attempts",
    "slurm-init-seconds-before-status-checks",
    "slurm-requeue",
}
"""Of snakemake-executor-plugin-slurm 2.8.0, which only a cluster needs."""


def _settings(name):
    with (ROOT / "workflow" / "profiles" / name / "profile.yaml").open() as file:
        return ProfileConfigFileParser().parse(file)


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_a_profile_holds_only_settings_that_snakemake_knows(name):
    known = {option.lstrip("-") for action in get_argument_parser()._actions for option in action.option_strings}
    unknown = set(_settings(name)) - known - PLUGIN_SETTINGS
    assert not unknown, f"workflow/profiles/{name}/profile.yaml: Snakemake knows no {sorted(unknown)}."


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_a_comment_in_a_script_reruns_nothing(name):
    assert _settings(name)["rerun-triggers"] == ["mtime", "params", "input", "software-env"]


def test_the_slurm_profile_is_found_as_typed():
    assert (ROOT / "slurm").is_symlink() and (ROOT / "slurm" / "profile.yaml").is_file()


def test_the_site_is_described_in_five_lines_that_reach_the_jobs():
    path = ROOT / "workflow" / "profiles" / "slurm" / "profile.yaml"
    site = re.search(r"__variables__:.*\n((?:  .*\n)+)", path.read_text())[1].splitlines()
    assert len(site) == 5
    settings = _settings("slurm")
    assert "slurm_account=test" in settings["default-resources"]
    assert settings["config"] == ["hardware=CPU core", "longest_job_hours=24", "small_run_minutes=5"]


def test_each_node_of_a_run_gets_all_cores_that_the_run_asked_for():
    (launcher,) = [value for value in _settings("slurm")["set-resources"] if value.startswith("train_on_nodes:mpi=")]
    command = Resource.from_cli_expression("mpi", launcher.partition("=")[2]).evaluate(
        wildcards=None, input=None, attempt=1, threads=8, rulename="train_on_nodes", async_run=None
    )
    assert command.value.format(nodes=4) == "srun --nodes=4 --ntasks=4 --ntasks-per-node=1 --cpus-per-task=8"


def test_the_slurm_profile_sets_resources_of_rules_that_exist():
    named = {setting.split(":")[0] for setting in _settings("slurm")["set-resources"]}
    assert named <= {*(rule.name for rule in rules()), "train_on_nodes"}
