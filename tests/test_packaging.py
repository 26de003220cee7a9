from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from dcgan_viz.card import bundled_models

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a stale build folder in the checkout would leak into it."""
    out = tmp_path_factory.mktemp("wheel")
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    source = tmp_path_factory.mktemp("source")
    for name in files:
        if (ROOT / name).is_file() and not name.startswith(("tests/", "notebooks/", "benchmarks/")):
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(ROOT / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_command_line_and_the_models(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "dcgan_viz/cli/main.py" in names
    assert "dcgan_viz/py.typed" in names
    pages = {f.name for f in (ROOT / "dcgan_viz" / "studio").iterdir() if f.suffix in (".html", ".js", ".css")}
    assert pages
    assert {f"dcgan_viz/studio/{name}" for name in pages} <= names
    for model in bundled_models():
        assert {f"dcgan_viz/trained/{model}/{f}" for f in ("card.json", "README.md", "weights.safetensors")} <= names
    assert not any(name.startswith(("cli/", "trained/", "tests/")) for name in names)


def test_the_installed_wheel_runs_outside_the_repository(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    # The requirements come from the environment that runs the tests; the package itself does not.
    purelib = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    outside = Path(next(p for p in sys.path if p.endswith("site-packages")))
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    for entry in outside.iterdir():
        if not entry.name.startswith(("dcgan_viz", "__editable__", "_virtualenv")) and entry.suffix != ".pth":
            (requirements / entry.name).symlink_to(entry)
    (Path(purelib) / "requirements.pth").write_text(str(requirements))
    command = environment / "bin" / "dcgan-viz"
    done = subprocess.run([command, "models"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in bundled_models())
    subprocess.run([command, "sample", "--count", "4", "--out", "grid.png"], cwd=tmp_path, check=True)
    assert (tmp_path / "grid.png").stat().st_size > 1000
    where = subprocess.run(
        [python, "-c", "import dcgan_viz.cli.main as m; print(m.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(environment) in where
