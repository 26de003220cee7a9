"""Which part of the package may import which: what is below knows nothing of what is above."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

import dcgan_viz

PACKAGE = Path(dcgan_viz.__file__).parent
PROJECT = PACKAGE.parent

BASE = {
    "devices",
    "errors",
    "files",
    "folders",
    "home",
    "locking",
    "progress",
    "results",
    "statistics",
    "untrusted",
    "versions",
    "words",
}
"""Root modules that anything may use: they know of one another alone."""

MAY_IMPORT = {
    "networks": BASE,
    "card": BASE | {"networks"},
    "model": BASE | {"card", "networks"},
    "data": BASE | {"networks", "card", "model"},
    "media": BASE,
    "rooms": BASE | {"networks", "card", "model", "data", "media", "annotations"},
    "foreign": BASE | {"networks", "card", "model", "data"},
    "judges": BASE | {"networks", "card", "model", "data", "media", "annotations"},
    "annotations": BASE | {"networks", "card", "model", "data", "media"},
    "training": BASE | {"networks", "card", "model", "data", "media", "judges"},
    "blind": BASE | {"networks", "card", "model", "data", "media", "annotations"},
    "analysis": BASE | {"networks", "card", "model", "data", "media", "judges", "annotations", "blind"},
    "figures": BASE
    | {"networks", "card", "model", "data", "media", "judges", "annotations", "analysis", "blind", "foreign"},
    "report": BASE
    | {"networks", "card", "model", "data", "media", "judges", "annotations", "rooms", "analysis", "blind", "figures"},
    "studio": BASE
    | {"networks", "card", "model", "data", "media", "judges", "annotations", "analysis", "blind", "figures"},
    "web": BASE
    | {"networks", "card", "model", "data", "media", "judges", "annotations", "analysis", "blind", "foreign"},
}
"""What each part of the package may use, beside itself; the root module `dcgan_viz` and the command line use all."""

OWN_NETWORKS = {
    "model.py",
    "training/snapshot.py",
    "training/step.py",
    "analysis/attribution/unit_gradients.py",
    "analysis/forgetting/draws.py",
}
"""Who may ask for this package's own network classes; everybody else asks for the protocol. In an analysis they go a faster
way to what the protocol gives."""


def files_of(part: str) -> list[Path]:
    """A part's files: a module, or a package with all that are inside."""
    alone = PACKAGE / f"{part}.py"
    return [alone] if alone.is_file() else sorted((PACKAGE / part).rglob("*.py"))


def imported(file: Path) -> set[str]:
    """The modules of the package that a file imports, for types or for use, without the package's name."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    assert not any(node.level for node in froms), f"{file} has relative imports"
    names = [f"{node.module}.{alias.name}" for node in froms for alias in node.names]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.removeprefix("dcgan_viz.") for name in names if name.startswith("dcgan_viz.")}


def parts() -> list[str]:
    """Every package and module at the root."""
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"cli", "trained"}
    return sorted(modules | packages)


@pytest.mark.parametrize("part", parts())
def test_a_part_imports_nothing_from_above(part: str) -> None:
    allowed = MAY_IMPORT.get(part, BASE if part in BASE else set()) | {part}
    files = files_of(part)
    assert files
    wrong = {str(f): found for f in files if (found := {name.split(".")[0] for name in imported(f)} - allowed)}
    assert not wrong


def test_every_part_has_its_place() -> None:
    assert set(parts()) == BASE | set(MAY_IMPORT), "give the new package its row in MAY_IMPORT"


def test_only_a_few_know_this_packages_own_networks() -> None:
    users = {
        str(file.relative_to(PACKAGE))
        for part in parts()
        if part not in ("networks", "foreign")
        for file in files_of(part)
        if any(name.startswith("networks.modules") for name in imported(file))
    }
    assert users == OWN_NETWORKS


def test_every_package_is_installed() -> None:
    listed = set(tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {str(path.parent.relative_to(PROJECT)).replace("/", ".") for path in PACKAGE.rglob("__init__.py")}
    assert listed == found | {"dcgan_viz.cli", "dcgan_viz.trained"}


@pytest.mark.parametrize("part", ["analysis", "figures"])
def test_every_module_has_its_mirrored_test(part: str) -> None:
    modules = [file.relative_to(PACKAGE) for file in files_of(part) if file.name != "__init__.py"]
    tests = PROJECT / "tests"
    missing = [str(m) for m in modules if not (tests / m.parent / f"test_{m.name}").is_file()]
    assert not missing, "add a test that names the module"
