from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from dcgan_viz.progress import Stage, lines, say, show, silent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(seconds_a_step: float, stage: Stage, steps: int) -> list[str]:
    """The lines of a log when every step takes so long."""
    told: list[str] = []
    times = count(0.0, seconds_a_step)
    assert list(lines(range(steps), stage, lambda: next(times), told.append)) == list(range(steps))
    return told


def test_the_silent_one_gives_the_items_themselves() -> None:
    items = [1, 2, 3]
    assert silent(items, Stage("counting", 3)) is items


def test_a_log_gets_a_line_every_ten_seconds_and_later_every_minute() -> None:
    told = written(1, Stage("training", 3600, note=lambda: "D 1.2"), 3600)
    assert told[0] == "training: 10 of 3,600 steps in 10 s, about 60 min left; D 1.2"
    assert told[-1] == "training: 3,600 of 3,600 steps in 60 min; D 1.2"
    assert 60 < len(told) < 100
    assert max(map(len, told)) < 100


def test_what_is_soon_done_leaves_no_line() -> None:
    assert written(0.1, Stage("reading", 10), 10) == []
    assert written(1, Stage("reading", 5), 5) == ["reading: 5 of 5 steps in 5 s"]


def test_a_resumed_loop_counts_what_was_done_before_but_not_its_time() -> None:
    told = written(10, Stage("training", 100, first=90), 10)
    assert told[0] == "training: 91 of 100 steps in 10 s, about 90 s left"


def test_without_a_terminal_there_is_no_carriage_return(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    assert list(show(range(1000), Stage("reading", 1000))) == list(range(1000))
    say("a remark")
    assert log.getvalue() == "a remark\n"


def test_a_terminal_gets_a_bar_with_its_note_and_remarks_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for step in show(range(5), Stage("training", 8, "batch", first=3, note=lambda: "D 1.2")):
        if step == 1:
            say("a remark")
    shown = terminal.getvalue()
    assert "8/8" in shown
    assert "D 1.2" in shown
    assert "a remark\n" in shown


def test_only_the_first_of_several_processes_shows_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("RANK", "1")
    assert list(show(range(5), Stage("training", 5))) == list(range(5))
    assert terminal.getvalue() == ""


def test_the_items_are_taken_one_by_one_and_given_back_when_the_loop_ends_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    for number in show(source(), Stage("reading", 10)):
        if number == 2:
            break
    assert taken == [0, 1, 2]


def test_nothing_draws_bars_of_its_own() -> None:
    root = Path(__file__).parents[1]
    own = [
        str(file.relative_to(root))
        for folder in ("dcgan_viz", "cli")
        for file in (root / folder).rglob("*.py")
        if "import tqdm" in file.read_text()
    ]
    assert own == ["dcgan_viz/progress.py"]
