from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dcgan_viz.annotations.boxes import Annotations, Box, save_annotations
from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, free_path, refuse_existing, temporary_name
from dcgan_viz.locking import only_process
from dcgan_viz.model import load


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    with atomic_file(target) as temporary:
        temporary.write_text("first")
        assert temporary.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "first"
    with pytest.raises(ZeroDivisionError), atomic_file(target) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert target.read_text() == "first"
    assert [f.name for f in target.parent.iterdir()] == ["file.txt"]


def test_a_file_keeps_who_may_read_it_and_a_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere" / "file.txt", tmp_path / "link.txt"
    target.parent.mkdir()
    target.write_text("first")
    target.chmod(0o600)
    link.symlink_to(target)
    with atomic_file(link) as temporary:
        temporary.write_text("second")
    assert link.is_symlink()
    assert target.read_text() == "second"
    assert target.stat().st_mode & 0o777 == 0o600
    target.unlink()
    with atomic_file(link) as temporary:
        temporary.write_text("third")
    assert target.read_text() == "third"


def test_what_dead_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine = temporary_name(".txt")
    of_dead = mine.replace(f"-{os.getpid()}-", f"-{dead.pid}-")
    elsewhere = ".dcgan-viz-00000000-" + of_dead.split("-", 3)[3]
    stage = tmp_path / of_dead.removesuffix(".txt")
    (stage / "images").mkdir(parents=True)
    (stage / "images" / "a.png").touch()
    kept = [mine, elsewhere, ".dcgan-viz-notes.txt", ".hidden"]
    for name in (*kept, of_dead):
        (tmp_path / name).touch()
    with atomic_file(tmp_path / "file.txt") as temporary:
        temporary.touch()
    assert {f.name for f in tmp_path.iterdir()} == {*kept, "file.txt"}


def test_an_existing_file_is_refused_unless_it_is_ours_or_given_up(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    refuse_existing(path)
    path.touch()
    with pytest.raises(
        UserError, match=r"file\.txt already exists: choose another name; with `overwrite=True` .* lost"
    ):
        refuse_existing(path)
    refuse_existing(path, overwrite=True)
    refuse_existing(path, is_ours=lambda _: True)
    with pytest.raises(UserError, match="is a folder"):
        refuse_existing(tmp_path, overwrite=True)
    assert free_path(path).name == "file-2.txt"


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    sentence = r"cannot write .*file.txt: No space left on device; choose another place"
    with pytest.raises(UserError, match=sentence), atomic_file(tmp_path / "file.txt") as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


def test_what_lies_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    sentence = "taken is a file, and a folder is needed there; choose another place"
    with pytest.raises(UserError, match=sentence), atomic_file(tmp_path / "taken" / "new" / "a.txt"):
        pass
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match="link is a link that leads nowhere"), only_process(tmp_path / "link"):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "sample --model {model} --out out/grid.png",
        "forget --model {model} --layer 2 --samples 40 --out out/result",
        "guided-backprop --model {model} --count 8 --out out/result",
        "walk --model {model} --rows 2 --steps 3 --out out/result",
        "train pictures.npy --size 16 --width 8 --batch-size 8 --steps 2 --precision fp32 --device cpu --out out/run",
    ],
    ids=lambda command: command.split()[0],
)
def test_when_no_more_can_be_written_a_command_leaves_nothing_half_written(
    command: str, tiny_folder: Path, tmp_path: Path
) -> None:
    """A limit on the size of a file stands for the full disk: writes fail in the middle."""
    model = load(tiny_folder)
    boxes = tuple(Box(i, "window", 1, 1, 6, 6) for i in range(12))
    annotations = Annotations(boxes, ("window",), 20, 5, 16, model.generator_digest(), "somebody", "by hand")
    save_annotations(annotations, tiny_folder / "annotations" / "window.json")
    np.save(tmp_path / "pictures.npy", np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8))
    done = subprocess.run(
        [sys.executable, "-m", "dcgan_viz.cli.main", *command.format(model=tiny_folder).split()],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: cannot write out/"), done.stderr
    assert "File too large" in last
    left = [f for f in (tmp_path / "out").rglob("*") if f.is_file() and f.suffix in (".png", ".npz", ".safetensors")]
    assert not left


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "sample --model {model} --out /proc/dcgan/grid.png",
        "rooms 3 --size 32 --out /proc/dcgan",
        "guided-backprop --model {model} --count 8 --out /proc/dcgan",
        "walk --model {model} --rows 2 --steps 3 --out /proc/dcgan",
        "walk --model {model} --rows 2 --steps 3 --film /proc/dcgan.webp",
        "train {photographs} --size 16 --width 4 --batch-size 8 --steps 2 --precision fp32 --out /proc/dcgan",
    ],
    ids=lambda command: command.split()[0],
)
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that even root cannot write")
def test_a_read_only_place_is_one_sentence(command: str, refused, tiny_folder: Path, photographs: Path) -> None:
    assert "cannot write /proc/dcgan" in refused(*command.format(model=tiny_folder, photographs=photographs).split())


def test_what_overwriting_loses_is_said_in_one_place_and_nothing_is_counted_in_brackets() -> None:
    root = Path(__file__).parents[1]
    sources = [file for folder in ("dcgan_viz", "cli") for file in (root / folder).rglob("*.py")]
    texts = {file.relative_to(root).as_posix(): file.read_text(encoding="utf-8") for file in sources}
    advice = re.compile(r"`overwrite=True`|[^`\"]--overwrite\b(?!``)")
    # The second says of --overwrite itself how parameters become options.
    assert [name for name, text in sorted(texts.items()) if advice.search(text)] == [
        "cli/command.py",
        "dcgan_viz/words.py",
    ]
    assert [name for name, text in texts.items() if re.search(r"\} [a-z ]+\((s|es)\)", text)] == []
