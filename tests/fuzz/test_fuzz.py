"""Files made wrong at random: whatever they hold, only `UserError` leaves the readers, soon and in little memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random, SystemRandom

import fuzz_attack
import pytest
import run
from fuzz_attack import READERS, attack, attack_often, describe, read_bounded, valid
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

CASES = Path(__file__).parents[1] / "cases" / "fuzz"

TARGETS = {"segm": "segmenter", "specs": "settings"}
"""Formats whose cases are filed under another name."""

every_format = pytest.mark.parametrize("name", READERS)


def write_valid(name: str, folder: Path) -> None:
    for file, content in valid(name).items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)


def warm_up(name: str, folder: Path) -> None:
    """Read valid files: what the first reading imports is not a file's cost."""
    write_valid(name, folder)
    READERS[name](folder)


@every_format
def test_valid_files_are_read(name: str, tmp_path: Path) -> None:
    write_valid(name, tmp_path)
    READERS[name](tmp_path)
    assert read_bounded(name, tmp_path) is None


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)
def test_what_once_failed_is_refused_or_read(case: Path, tmp_path: Path) -> None:
    """The folder's name says what escaped: FORMAT_ErrorType_number."""
    target = case.name.partition("_")[0]
    name = TARGETS.get(target, target)
    warm_up(name, tmp_path / "valid")
    shutil.copytree(case, tmp_path / "case")
    assert read_bounded(name, tmp_path / "case") is None


@every_format
def test_only_documented_errors_escape(name: str, tmp_path: Path) -> None:
    warm_up(name, tmp_path)

    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(st.randoms(use_true_random=False))
    def try_one(random: Random) -> None:
        assert attack(name, random) is None

    try_one()


@pytest.mark.long
@pytest.mark.timeout(0)
@every_format
def test_only_documented_errors_escape_for_long(name: str) -> None:
    """As many cases a format as DCGAN_VIZ_FUZZ_CASES says, from a new seed each time, which a failure names."""
    seed = int(os.environ.get("DCGAN_VIZ_FUZZ_SEED") or SystemRandom().getrandbits(32))
    escaped = attack_often(name, seed, int(os.environ.get("DCGAN_VIZ_FUZZ_CASES", "1000")))
    assert not escaped, f"seed {seed}: {describe(escaped)}"


def test_the_command_counts_every_case_and_says_what_escaped(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    fails_each_third = iter("ab.ab.ab." * 9).__next__
    monkeypatch.setattr(
        fuzz_attack, "attack", lambda name, random: "KeyError: x" if fails_each_third() == "." else None
    )
    assert run.main(["--cases", str(2 * len(READERS) + 1), "--seed", "7"]) == 1
    *kinds, total = capsys.readouterr().out.splitlines()
    assert len(kinds) == len(READERS)
    assert kinds[0].split(maxsplit=4) == ["model", "3", "cases,", "1", "escaped: KeyError 1 time, first in case 2"]
    assert total == f"seed 7: {2 * len(READERS) + 1} cases, 24 escaped"
