"""The rules of the workflow, read from the text of the rule files, and the modules that their scripts import."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
LIBRARY = SCRIPTS / "scalelaws"
RULE_FILES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))


@dataclass(frozen=True)
class Rule:
    """One rule: its name, its file, and the text of each directive by the directive's name, in order."""

    name: str
    file: Path
    docstring: str
    directives: dict[str, str]

    @property
    def script(self) -> Path | None:
        """The Python script that the rule runs."""
        text = self.directives.get("script")
        return (self.file.parent / _strings(text)[0]).resolve() if text else None

    @property
    def environment(self) -> Path | None:
        """The conda environment file that the rule names."""
        text = self.directives.get("conda")
        return (self.file.parent / _strings(text)[0]).resolve() if text else None

    @property
    def recipe(self) -> list[str] | None:
        """The modules that the rule's `recipe(...)` names."""
        found = re.search(r"\brecipe\(([^)]*)\)", self.directives.get("params", ""))
        return _strings(found[1]) if found else None


def rules() -> list[Rule]:
    """All rules in workflow/rules."""
    return [_rule(file, block) for file in RULE_FILES for block in _blocks(file.read_text())]


def _blocks(text: str) -> list[str]:
    return re.findall(r"^(?:rule|checkpoint) \w+:\n(?:(?:    .*)?\n)+", text, re.MULTILINE)


def _rule(file: Path, block: str) -> Rule:
    heading, _, body = block.partition("\n")
    docstring = re.match(r'    """(.*?)"""\n', body, re.DOTALL)
    parts = re.split(r"^    (\w+):", body[docstring.end() :] if docstring else body, flags=re.MULTILINE)
    directives = dict(zip(parts[1::2], parts[2::2], strict=True))
    return Rule(heading.split()[1].rstrip(":"), file, docstring[1] if docstring else "", directives)


def _strings(text: str) -> list[str]:
    return re.findall(r'"([^"]*)"', text)


def imports(file: Path) -> set[str]:
    """Full names of what a Python file imports, anywhere in it: `a.b` and, for a name taken from it, `a.b.name` too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def library_files(file: Path) -> set[Path]:
    """The files of our library that a Python file imports, directly or through one another."""
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        for name in imports(waiting.pop()):
            path = LIBRARY.joinpath(*name.split(".")[1:]).with_suffix(".py")
            if name.startswith("scalelaws.") and path.is_file() and path not in found:
                found.add(path)
                waiting.append(path)
    return found
