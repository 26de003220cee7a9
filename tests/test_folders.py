from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from dcgan_viz.card import CARD_FILE
from dcgan_viz.cli.main import main
from dcgan_viz.errors import Notice, UserError
from dcgan_viz.folders import (
    MANIFEST_FILE,
    check_folder,
    current_command,
    is_half_replaced,
    new_folder,
    read_manifest,
    staged_folder,
)
from dcgan_viz.model import DCGAN, WEIGHTS_FILE, load
from dcgan_viz.networks import dcgan


def write(folder: Path, files: dict[str, str], kind: str = "Walk", overwrite: bool = False, again: bool = True) -> None:
    with staged_folder(folder, kind, overwrite=overwrite, again=again) as stage:
        for name, text in files.items():
            (stage / name).parent.mkdir(exist_ok=True)
            (stage / name).write_text(text)


def contents(folder: Path) -> dict[str, str]:
    return {f.relative_to(folder).as_posix(): f.read_text() for f in folder.rglob("*") if f.is_file()}


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(f): (f.read_bytes(), f.stat().st_mtime_ns) for f in folder.rglob("*") if f.is_file()}


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "result"
    with pytest.raises(ZeroDivisionError), staged_folder(target, "Walk") as stage:
        (stage / "a").touch()
        _ = 1 / 0
    assert not list(target.parent.iterdir())
    write(target, {"a": "1", "sub/b": "2"})
    assert contents(target).keys() == {"a", "sub/b", MANIFEST_FILE}
    assert [f.name for f in target.parent.iterdir()] == ["result"]
    manifest = read_manifest(target)
    assert manifest is not None
    assert manifest.files.keys() == {"a", "sub/b"}
    assert not is_half_replaced(target)


def test_a_second_writing_replaces_its_own_files_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, {"a": "1", "sub/b": "2", "sub/c": "3"})
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "sub" / "mine.txt").write_text("mine")
    (tmp_path / "sub" / "c").write_text("edited")
    before = snapshot(tmp_path)
    write(tmp_path, {"a": "4", "d": "5"})
    found = contents(tmp_path)
    found.pop(MANIFEST_FILE)
    # What was not written again is removed; what was edited is somebody's, and stays.
    assert found == {"a": "4", "d": "5", "notes.txt": "mine", "sub/mine.txt": "mine", "sub/c": "edited"}
    after = snapshot(tmp_path)
    assert all(after[name] == before[name] for name in before if name.endswith(("mine.txt", "notes.txt", "sub/c")))


def test_an_earlier_result_is_replaced_by_whom_says_so_alone(tmp_path: Path) -> None:
    write(tmp_path, {"a": "1", "b": "2", "c": "3"})
    (tmp_path / "b").write_text("edited")
    before = snapshot(tmp_path)
    refusal = pytest.raises(UserError, match=r"holds an earlier result \(Walk, .*`overwrite=True`")
    with refusal:
        check_folder(tmp_path, "Walk")
    with refusal:
        write(tmp_path, {"a": "4"}, again=False)
    assert snapshot(tmp_path) == before
    said = r"replaced \(1 file anew, 1 removed\); 1 file overwritten that somebody else .*: b"
    with pytest.warns(Notice, match=said):
        write(tmp_path, {"a": "4", "b": "5"}, overwrite=True, again=False)
    assert contents(tmp_path).keys() == {"a", "b", MANIFEST_FILE}


@pytest.mark.parametrize("name", ["a", "sub/b", MANIFEST_FILE])
def test_a_file_in_the_place_of_an_output_is_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / name).write_text("precious")
    before = snapshot(tmp_path)
    with pytest.raises(
        UserError, match=f"{name} was not written by this command: choose another .*`overwrite=True` .* lost"
    ):
        write(tmp_path, {"a": "1", "sub/b": "2"})
    assert snapshot(tmp_path) == before
    with pytest.warns(Notice, match=f"1 file overwritten that somebody else had written or changed: {name}"):
        write(tmp_path, {"a": "1", "sub/b": "2"}, overwrite=True)
    assert contents(tmp_path).keys() == {"a", "sub/b", MANIFEST_FILE}


def test_an_edited_output_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, {"a": "1", "b": "2"})
    (tmp_path / "b").write_text("edited")
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match="b has been changed since it was written"):
        write(tmp_path, {"a": "3", "b": "4"})
    assert snapshot(tmp_path) == before
    (tmp_path / "b").unlink()
    write(tmp_path, {"a": "3", "b": "4"})
    assert (tmp_path / "b").read_text() == "4"


def test_what_another_command_wrote_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"a": "1", "forget.png": "2"}, kind="Forgetting")
    with pytest.raises(UserError, match=r"holds something else \(Forgetting"):
        write(tmp_path, {"a": "3"}, kind="Walk")
    with pytest.raises(UserError, match="holds something else"):
        check_folder(tmp_path, "Walk")
    write(tmp_path, {"a": "3"}, kind="Walk", overwrite=True)
    assert (tmp_path / "forget.png").read_text() == "2"


def test_a_model_of_one_command_is_none_of_another(tmp_path: Path) -> None:
    def run(command: str) -> None:
        token = current_command.set(command)
        try:
            write(tmp_path, {"a": command}, kind="DCGAN")
        finally:
            current_command.reset(token)

    run("dcgan-viz train data --out .")
    run("dcgan-viz train others --out .")
    with pytest.raises(UserError, match="DCGAN, written by dcgan-viz train others"):
        run("dcgan-viz import G.pth D.pth --out .")


def test_folders_and_links_in_the_place_of_files_are_never_replaced(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "a" / "a").mkdir(parents=True)
    with pytest.raises(UserError, match="a is a folder"):
        write(tmp_path / "a", {"a": "1"}, overwrite=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "sub").symlink_to(outside)
    with pytest.raises(UserError, match="sub is not a folder of its own"):
        write(tmp_path / "b", {"sub/file": "1"}, overwrite=True)
    write(tmp_path / "c", {"sub/file": "1", "x": "1"})
    (tmp_path / "c" / "sub").rename(outside / "sub")
    (tmp_path / "c" / "sub").symlink_to(outside / "sub")
    write(tmp_path / "c", {"x": "2"})
    assert (outside / "sub" / "file").read_text() == "1"
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file, and a folder is to be written"):
        write(tmp_path / "file", {"a": "1"})


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    write(tmp_path / "results", {"a": "1"})
    assert (tmp_path / "results").is_symlink()
    assert (tmp_path / "disk" / "a").read_text() == "1"


@pytest.mark.parametrize("name", ["../precious", "/precious", "", "a/../../precious", "..\\precious"])
def test_a_manifest_that_leads_out_of_its_folder_is_none_of_ours(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    write(folder, {"a": "1"})
    data = json.loads((folder / MANIFEST_FILE).read_text())
    data["files"][name] = data["files"]["a"]
    (folder / MANIFEST_FILE).write_text(json.dumps(data))
    assert read_manifest(folder) is None
    (tmp_path / "precious").write_text("1")
    with pytest.raises(UserError, match="was not written by this command"):
        write(folder, {"b": "2"})
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize("text", ["[" * 10**5, "[]", '{"kind": 3}', '{"kind": "Walk", "files": 7}', "\xff", "{}"])
def test_a_manifest_of_somebody_else_is_none_of_ours(text: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST_FILE).write_text(text, encoding="latin-1")
    assert read_manifest(tmp_path) is None
    with pytest.raises(UserError, match=f"{MANIFEST_FILE} was not written by this command"):
        write(tmp_path, {"a": "1"})
    assert (tmp_path / MANIFEST_FILE).read_text(encoding="latin-1") == text


def test_default_folders_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "walk").touch()
    assert new_folder(tmp_path / "walk").name == "walk-2"
    assert new_folder(tmp_path / "walk").name == "walk-3"
    with pytest.raises(UserError, match="cannot write"):
        new_folder(tmp_path / "walk" / "below-a-file")


def killed_at(point: int, do: Callable[[], object]) -> bool:
    """Do something in a process that is killed before its `point`-th change of the disk; whether it was."""
    child = os.fork()
    if child == 0:
        left = [point]

        def counted(function: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **options: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    os._exit(9)
                return function(*arguments, **options)

            return call

        for name in ("replace", "rename", "unlink", "mkdir", "rmdir"):
            setattr(Path, name, counted(getattr(Path, name)))
        do()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def crash_points(do: Callable[[], object], prepare: Callable[[], object]) -> Iterator[int]:
    """Every change of the disk that `do` makes, each after `prepare`; the body sees what a kill there leaves."""
    for point in range(1000):
        prepare()
        if not killed_at(point, do):
            assert point > 3
            return
        yield point


@pytest.mark.slow
def test_after_a_kill_at_any_moment_everything_is_somebodys_and_the_command_goes_through(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    first, second = {"a": "1", "sub/b": "2", "old": "3"}, {"a": "4", "sub/b": "5", "new": "6"}

    def prepare() -> None:
        write(folder, first)
        (folder / "notes.txt").write_text("mine")

    for _ in crash_points(lambda: write(folder, second), prepare):
        found = contents(folder)
        assert found["notes.txt"] == "mine"
        assert all(found[name] in (first.get(name), second.get(name)) for name in ("a", "sub/b"))
        write(folder, second)
        assert contents(folder).keys() == {"a", "sub/b", "new", "notes.txt", MANIFEST_FILE}
        assert not is_half_replaced(folder)
        assert [f.name for f in tmp_path.iterdir()] == ["result"]


@pytest.mark.slow
def test_a_model_can_be_loaded_at_every_moment_of_its_exchange(make_model, tmp_path: Path) -> None:
    """Also where the two have other networks, which a card of the one and weights of the other would not fit."""
    old, new = make_model(dcgan(16, width=4, latent_dim=8), "old"), make_model(dcgan(16, width=2, latent_dim=4), "new")
    folder = tmp_path / "model"
    notes = {"concepts.json": "mine", "annotations/window.json": "mine", "segmenter/weights.safetensors": "mine"}

    def prepare() -> None:
        old.save(folder, again=True)
        for name, text in notes.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)

    seen = set()
    for _ in crash_points(lambda: new.save(folder, again=True), prepare):
        loaded = load(folder)
        width = loaded.networks.discriminator.convolutions[0].channels
        seen.add((width, loaded.card.name))
        wanted = old if width == 4 else new
        assert torch.allclose(loaded.sample(2), wanted.sample(2), atol=0.02)
        assert {name: (folder / name).read_text() for name in notes} == notes
    assert {(4, "old"), (2, "old"), (2, "new")} <= seen
    assert load(folder).card.name == "new"


def test_a_model_of_somebody_else_is_refused(tiny_model: DCGAN, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("precious")
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match=r"README\.md was not written by this command"):
        tiny_model.save(tmp_path)
    assert snapshot(tmp_path) == before
    tiny_model.save(tmp_path, overwrite=True)
    (tmp_path / CARD_FILE).write_text((tmp_path / CARD_FILE).read_text().replace("untrained", "edited"))
    with pytest.raises(UserError, match=f"{CARD_FILE} has been changed"):
        tiny_model.save(tmp_path, again=True)
    assert load(tmp_path).card.summary.startswith("an edited")
    assert (tmp_path / WEIGHTS_FILE).exists()


@pytest.mark.parametrize(
    "line",
    [["train", "photos", "--out", "photos"], ["dedup", "photos", "--out", "./photos"], ["faces", "photos", "photos"]],
)
def test_no_result_is_written_among_the_pictures(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would lock them out: a folder that holds a result is not read for pictures."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Image.new("RGB", (64, 64)).save("photos/a.png")
    outcome = CliRunner().invoke(main, line)
    assert outcome.exit_code == 2
    assert "holds the pictures themselves" in outcome.output
    assert [f.name for f in Path("photos").iterdir()] == ["a.png"]
