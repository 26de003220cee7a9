"""Which part of the package may import which: what is below knows nothing of what is above."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import dcgan_viz

PACKAGE = Path(dcgan_viz.__file__).parent
ABOVE = {
    "networks": {"training", "analysis", "figures", "report", "studio", "cli"},
    "data": {"training", "analysis", "figures", "report", "studio", "cli"},
    "training": {"analysis", "figures", "report", "studio", "cli"},
    "analysis": {"training", "figures", "report", "studio", "cli"},
    "figures": {"training", "report", "studio", "cli"},
    "report": {"training", "studio", "cli"},
    "studio": {"training", "report", "cli"},
}


def imported(file: Path) -> set[str]:
    """The parts of the package that a file imports, for types or for use."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("dcgan_viz.")}


@pytest.mark.parametrize("part", ABOVE)
def test_a_part_imports_nothing_from_above(part: str) -> None:
    files = sorted((PACKAGE / part).glob("*.py"))
    assert files
    wrong = {file.name: found for file in files if (found := imported(file) & ABOVE[part])}
    assert not wrong
