"""What the documentation says to type can be typed, and it builds without a warning where Sphinx is installed."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import click
import numpy as np
import pytest
import torch
from torch import nn

import dcgan_viz
from dcgan_viz.cli.main import main

ROOT = Path(dcgan_viz.__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_are_named_to_contributors_exist(page: str) -> None:
    named = set(re.findall(r"`([a-zA-Z_./]+(?:\.py|/))`", (ROOT / page).read_text(encoding="utf-8")))
    examples = {"dcgan_viz/a/b.py", "tests/a/test_b.py"}
    missing = [path for path in named - examples if not any((at / path).exists() for at in (ROOT, ROOT / "dcgan_viz"))]
    assert len(named) > 9
    assert not missing


def pages() -> list[Path]:
    """Every page that somebody reads."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("trained/*/README.md")]
    return [*found, *DOCS.rglob("*.md"), *ROOT.glob("notebooks/*.ipynb")]


def prose(page: Path) -> str:
    """What a page says; of a notebook its Markdown."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return text


def without_code(text: str) -> str:
    fenced = re.sub(r"^ *(```|~~~).*?^ *\1 *$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`", "", fenced)


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub and MyST name them in links."""
    headings = re.findall(r"^#{1,6} +(.*)$", re.sub(r"```.*?```", "", prose(page), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """The links and pictures of a page that lead nowhere; whether an address answers is not asked."""
    text = without_code(prose(page))
    targets = re.findall(r"\]\(<?([^)\s>]+)", text)
    targets += re.findall(r"(?:src|href)=[\"']([^\"']+)", text)
    targets += re.findall(r"^\[[^\]]+\]: *(\S+)", text, re.MULTILINE)
    wrong = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            address = urlsplit(target)
            if address.scheme != "https" or not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", address.netloc):
                wrong.append(target)
            continue
        path, _, heading = target.partition("#")
        at = page.parent / path if path else page
        if not at.exists() or (heading and heading not in anchors(at)):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert not broken(page)


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A heading, with `code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](there.md) [b](there.md#a-heading-with-code) [c](#here) [d](https://arxiv.org/abs/1511.06434)\n"
        "![e](gone.png) [f](there.md#other) [g](#there) [h](http://a.org) [i](https://nowhere)\n\n[j]: gone.md\n"
        "```\n[k](in-code.md)\n```\n`[l](in-code.md)`\n"
    )
    assert broken(page) == ["gone.png", "there.md#other", "#there", "http://a.org", "https://nowhere", "gone.md"]


def test_the_line_that_made_a_result_is_where_the_page_says(run, tiny_folder: Path) -> None:
    (file,) = re.findall(r"the line that wrote a folder is in its `(.+?)`", (DOCS / "howto.md").read_text())
    assert run("directions", "--model", tiny_folder, "--samples", "1", "--count", "1").exit_code == 0
    assert "dcgan-viz directions --" in (Path("results/directions") / file).read_text()


def test_every_file_that_a_page_names_exists() -> None:
    named = {
        (page, path)
        for page in pages()
        for path in re.findall(
            r"(?<![\w/.{])((?:benchmarks|docs|notebooks|tests|trained|cli)/[\w./-]*\w\.(?:py|sh|md|png|ipynb|json|zip))",
            prose(page),
        )
    }
    assert len(named) > 30
    examples = {"tests/a/test_b.py"}
    assert not {(page, path) for page, path in named if path not in examples and not (ROOT / path).exists()}


def test_every_picture_of_the_documentation_is_shown_and_says_what_it_shows() -> None:
    shown = [link for page in pages() for link in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", prose(page))]
    assert all(len(words) > 10 for words, _ in shown)
    names = {Path(target).name for _, target in shown}
    assert not [path.name for kind in ("png", "webp") for path in DOCS.glob(f"*.{kind}") if path.name not in names]


class Chain(nn.Module):
    """Named as the tutorial's networks are."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.main(x)
        return y


def tutorial() -> tuple[Chain, Chain]:
    """The networks of PyTorch's tutorial, narrow."""
    up: list[nn.Module] = []
    for ins, outs, stride, padding in ((100, 16, 1, 0), (16, 8, 2, 1), (8, 8, 2, 1), (8, 4, 2, 1)):
        up += [nn.ConvTranspose2d(ins, outs, 4, stride, padding, bias=False), nn.BatchNorm2d(outs), nn.ReLU(True)]
    down: list[nn.Module] = [nn.Conv2d(3, 4, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    for ins, outs in ((4, 8), (8, 8), (8, 16)):
        down += [nn.Conv2d(ins, outs, 4, 2, 1, bias=False), nn.BatchNorm2d(outs), nn.LeakyReLU(0.2, inplace=True)]
    last = nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.Tanh()
    judging = nn.Conv2d(16, 1, 4, 1, 0, bias=False), nn.Sigmoid()
    return Chain(*up, *last), Chain(*down, *judging)


def examples() -> list[Any]:
    found = []
    for page in pages():
        blocks = re.findall(r"^```python\n(.*?)^```", prose(page), re.MULTILINE | re.DOTALL)
        for number, block in enumerate(blocks):
            slow = [pytest.mark.slow] if 'load("' in block else []
            found.append(pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}", marks=slow))
    assert len(found) >= 4
    return found


@pytest.mark.parametrize("block", examples())
def test_every_example_in_python_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generator, discriminator = tutorial()
    module = ModuleType("tutorial")
    monkeypatch.setitem(sys.modules, "tutorial", module)
    for place in (named := {"np": np, "torch": torch, "z": torch.randn(2, 100, 1, 1)}, vars(module)):
        place.update(netG=generator, netD=discriminator, generator=generator)
    exec(compile(block, "example", "exec"), named)


def sentences_of_the_code() -> str:
    """Every text in the code, with "…" for what is filled in."""
    found = []
    for file in [*ROOT.glob("dcgan_viz/**/*.py"), *ROOT.glob("cli/*.py")]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) in described:
                continue
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    scripts = [file.read_text(encoding="utf-8") for file in ROOT.glob("dcgan_viz/**/*.js")]
    return "\n".join([*found, *scripts])


def test_what_the_page_on_errors_explains_is_still_said() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (DOCS / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)
    said = [words for row in rows for words in re.findall(r"`([^`]+)`", row)]
    code = sentences_of_the_code()
    parts = {part.strip() for words in said for part in re.split(r"…|\b8765\b|\[\]", words)}
    assert len(parts) > 30
    assert not sorted(part for part in parts if len(part) > 2 and part not in code)


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
