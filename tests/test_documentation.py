"""What the documentation says to type can be typed, and it builds without a warning where Sphinx is installed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import dcgan_viz
from dcgan_viz.cli.main import main

DOCS = Path(dcgan_viz.__file__).parent.parent / "docs"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_are_named_to_contributors_exist(page: str) -> None:
    root = DOCS.parent
    named = set(re.findall(r"`([a-zA-Z_./]+(?:\.py|/))`", (root / page).read_text(encoding="utf-8")))
    examples = {"dcgan_viz/a/b.py", "tests/a/test_b.py"}
    missing = [path for path in named - examples if not any((at / path).exists() for at in (root, root / "dcgan_viz"))]
    assert len(named) > 9
    assert not missing


def typed() -> list[tuple[str, str]]:
    """Every command of the pages, with the page."""
    found = []
    for page in sorted(DOCS.rglob("*.md")):
        if page.parent.name.startswith("blind-"):
            continue
        text = page.read_text(encoding="utf-8")
        whole = re.findall(r"^ *(dcgan-viz [a-z].*)$", text, re.MULTILINE)
        inline = re.findall(r"`(dcgan-viz [a-z][^`]*)`", text)
        found += [(page.name, line) for line in [*whole, *inline]]
    assert len(found) > 20
    return found


@pytest.mark.parametrize(("page", "line"), typed())
def test_every_command_of_the_documentation_is_understood(page: str, line: str) -> None:
    if re.search(r"[|\[]|…|DIR|\.\.\.", line):
        pytest.skip("a pattern, not a command")
    name, *words = shlex.split(line, comments=True)[1:]
    command = main.commands[name]
    # An option that is named without its value is spoken of, not typed.
    taking = {o for p in command.params if isinstance(p, click.Option) and not p.is_flag for o in p.opts}
    arguments = [p for p in command.params if isinstance(p, click.Argument) and p.required]
    if not words or words[-1] in taking or (arguments and words[0].startswith("-")):
        known = {o for p in command.params for o in p.opts}
        assert {w for w in words if w.startswith("-")} <= known
        return
    with command.make_context(name, words):
        pass


@pytest.mark.long
def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    for package in ("sphinx", "myst_parser", "furo", "sphinx_click"):
        pytest.importorskip(package)
    line = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    library = (tmp_path / "reference" / "library.html").read_text()
    assert "dcgan_viz.analysis.forgetting.forgetting.forget" in library
    # Every link that stays in the documentation leads somewhere.
    for page in tmp_path.rglob("*.html"):
        for target in re.findall(r'href="([^"#:]+\.html)', page.read_text()):
            assert (page.parent / target).exists(), (page, target)
