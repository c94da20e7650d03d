"""The house's form: short scripts and files, rules that can be read alone, recipes that cover what a rule runs."""

import re
from pathlib import Path

import pytest
from scalelaws.recipe import STAGES, modules_of

from .rules import LIBRARY, ROOT, RULE_FILES, SCRIPTS, Rule, imports, rules

RULES = rules()
DIRECTIVES = ("log", "threads", "resources", "conda", "message", "script")
OF_RESULTS = ("benchmark", "params")
"""What a rule with outputs has besides; one without is a check, which runs whenever it is asked for."""
ORDER = ("corpus", "tokens", "models", "training", "observations", "laws", "figures", "report")


def _each_rule(check):
    return pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)(check)


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize(
    ("files", "limit", "repair"),
    [
        (sorted(SCRIPTS.glob("*.py")), 40, "Move logic into a function of the library, with a test."),
        (RULE_FILES, 150, "Move what is not a rule into the library, or split the stage."),
        (sorted(LIBRARY.rglob("*.py")), 400, "Split the module by subject."),
    ],
    ids=["scripts", "rules", "modules"],
)
def test_files_are_short(files, limit, repair):
    assert files
    long = {str(path.relative_to(ROOT)): _lines(path) for path in files if _lines(path) > limit}
    assert not long, f"Longer than {limit} lines: {long}. {repair}"


@_each_rule
def test_a_rule_says_what_it_decides_what_it_costs_and_where_it_logs(rule: Rule):
    wanted = DIRECTIVES + (OF_RESULTS if "output" in rule.directives else ())
    missing = [name for name in wanted if name not in rule.directives]
    assert not missing, f"{rule.file.name}: give rule {rule.name} {missing}."
    assert rule.docstring, f"{rule.file.name}: open rule {rule.name} with a docstring of one sentence."
    assert "\n" not in rule.docstring and rule.docstring.endswith("."), f"One sentence on one line: {rule.docstring!r}"
    first = next(iter(rule.directives))
    assert first in ("input", "output"), f"{rule.name}: put input: or output: right after the docstring, not {first}:."
    for resource in ("mem_mb=", "runtime="):
        assert resource in rule.directives["resources"], f"{rule.name}: give its resources {resource[:-1]}."


WORDS_FOR_SNAKEMAKES_REPORT = re.compile(r'(patterns=\[.*?\]|caption=".*?"|category=".*?"|labels=\{.*?"\})', re.DOTALL)


@_each_rule
def test_everything_that_a_rule_writes_stays_in_its_study(rule: Rule):
    for name in ("output", "log", "benchmark"):
        paths = WORDS_FOR_SNAKEMAKES_REPORT.sub("", rule.directives.get(name, "")).split('"')[1::2]
        outside = [path for path in paths if not path.startswith("<study>/")]
        assert not outside, f"{rule.name}: {name} {outside} must begin with <study>/."


@_each_rule
def test_a_script_is_named_as_its_rule_and_opens_its_log(rule: Rule):
    assert rule.script == SCRIPTS / f"{rule.name}.py"
    assert "with logged(snakemake.log[0]," in rule.script.read_text(), (
        f"Wrap the work of {rule.script.name} in logged()."
    )


def test_no_script_is_left_without_a_rule():
    unused = {path.name for path in SCRIPTS.glob("*.py")} - {rule.script.name for rule in RULES}
    assert not unused, f"Delete {sorted(unused)}, or write the rules that run them."


@_each_rule
def test_a_recipe_covers_the_modules_that_the_script_imports(rule: Rule):
    if "output" not in rule.directives:
        return
    assert rule.recipe is not None, f'{rule.file.name}: give rule {rule.name} params: recipe=recipe("stage.module").'
    imported = {
        name.removeprefix("scalelaws.")
        for name in imports(rule.script)
        if name.startswith("scalelaws.") and name.split(".")[1] in STAGES and _is_module(name)
    }
    covered, needed = set(modules_of(*rule.recipe)), set(modules_of(*imported))
    missing = sorted(imported - covered)
    assert not missing, f"{rule.file.name}: add {missing} to the recipe of rule {rule.name}."
    idle = sorted(set(rule.recipe) - needed)
    assert not idle, (
        f"{rule.file.name}: take {idle} out of the recipe of rule {rule.name}: its script imports none of it."
    )


def _is_module(name: str) -> bool:
    return LIBRARY.joinpath(*name.split(".")[1:]).with_suffix(".py").is_file()


def test_a_stage_imports_nothing_from_its_right():
    wrong = [
        f"{path.relative_to(LIBRARY)} imports {name}"
        for place, stage in enumerate(ORDER)
        for path in sorted((LIBRARY / stage).rglob("*.py"))
        for name in sorted(imports(path))
        if name.startswith("scalelaws.") and name.split(".")[1] in ORDER[place + 1 :]
    ]
    assert not wrong, f"Data flows to the right, so imports must not: {wrong}"


def test_the_shared_ground_imports_no_stage():
    ground = [path for path in sorted(LIBRARY.glob("*.py")) if path.name != "cli.py"]
    wrong = [
        f"{path.name} imports {name}"
        for path in ground
        for name in sorted(imports(path))
        if name.startswith("scalelaws.") and name.split(".")[1] in ORDER
    ]
    assert not wrong, f"What every stage shares must not need a stage: {wrong}"


def test_every_stage_of_the_house_is_covered_by_recipes():
    stages = {path.name for path in LIBRARY.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert stages == set(ORDER), "Add the new stage to ORDER here, and to STAGES in scalelaws/recipe.py."
    assert set(ORDER) <= set(STAGES)


SCHEDULER_WORDS = re.compile(r"slurm|sbatch|srun|squeue|scancel|sacct|sinfo|scontrol", re.IGNORECASE)


def test_one_scheduler_is_named_in_its_profile_and_in_one_module_alone():
    files = [ROOT / "Snakefile", *RULE_FILES, *SCRIPTS.rglob("*.py"), *(ROOT / "workflow/schemas").iterdir()]
    named = {str(path.relative_to(ROOT)) for path in files if SCHEDULER_WORDS.search(path.read_text())}
    other = named - {"scripts/scalelaws/cluster.py"}
    assert not other, f"Keep other executors unhindered: move what {other} says into scalelaws/cluster.py."
