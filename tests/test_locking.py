from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dcgan_viz.errors import UserError
from dcgan_viz.locking import HOLDER_FILE, check_free, only_process, reserved

HOLD = (
    "import sys; from pathlib import Path; from dcgan_viz.locking import only_process\n"
    "with only_process(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
)


def holding(folder: Path) -> subprocess.Popen[str]:
    """A process that is in the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    return process


def test_a_second_process_is_named_the_first_and_a_dead_one_keeps_nobody_out(tmp_path: Path) -> None:
    other = holding(tmp_path / "run")
    with (
        pytest.raises(UserError, match=f"process {other.pid} is at work in .*run: wait for it"),
        only_process(tmp_path / "run"),
    ):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / "run" / HOLDER_FILE).exists()
    with only_process(tmp_path / "run"):
        assert str(os.getpid()) in (tmp_path / "run" / HOLDER_FILE).read_text()
    assert not (tmp_path / "run" / HOLDER_FILE).exists()


def test_the_folder_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), only_process(tmp_path):
        raise KeyError
    with only_process(tmp_path):
        pass


def test_what_is_reserved_is_kept_for_whoever_asks_within_and_leaves_no_empty_folder(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "new"
    with reserved(run):
        with only_process(run):
            assert (run / HOLDER_FILE).exists()
        check_free(run)
        # Still there after the first who asked is gone.
        asking = f"from pathlib import Path; from dcgan_viz.locking import check_free; check_free(Path({str(run)!r}))"
        refused = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True)
        assert f"process {os.getpid()} is at work in" in refused.stderr
    assert not run.exists()
    with reserved(run):
        (run / "mine.txt").touch()
    assert (run / "mine.txt").exists()
    with pytest.raises(UserError, match="is at work in"), only_process(run), reserved(run):
        pass


def test_whoever_asks_whether_a_folder_is_free_changes_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    check_free(run)
    assert not run.exists()
    other = holding(run)
    with pytest.raises(UserError, match=f"process {other.pid} is at work in .*run: wait for it"):
        check_free(run)
    other.communicate("")
    files = sorted(run.iterdir())
    for _ in range(2):
        check_free(run)
    assert sorted(run.iterdir()) == files


@pytest.mark.parametrize("text", ["", "{}", '{"pid": "x", "host": 1}', "[]"])
def test_an_unreadable_holder_is_another_process(text: str, tmp_path: Path) -> None:
    with only_process(tmp_path):
        (tmp_path / HOLDER_FILE).write_text(text)
        with pytest.raises(UserError, match="another process is at work"), only_process(tmp_path):
            pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*file"), only_process(tmp_path / "file" / "run"):
        pass
