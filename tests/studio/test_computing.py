from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dcgan_viz.errors import UserError
from dcgan_viz.progress import Stage
from dcgan_viz.studio.computing import MOST_WAITING, Jobs, Turns, Waiting, is_busy
from dcgan_viz.studio.serving import RefusedError


def wait_for(jobs: Jobs, name: str, compute) -> object:
    for _ in range(500):
        found = jobs.result(name, compute)
        if not isinstance(found, Waiting):
            return found
        time.sleep(0.01)
    raise AssertionError("it does not end")


def test_a_job_is_made_once_and_says_how_far_it_is() -> None:
    made, go = [], threading.Event()

    def compute(progress) -> str:
        made.append(1)
        for step in progress(range(4), Stage("steps", 4)):
            if step == 2:
                go.wait(10)
        return "done"

    jobs: Jobs[str] = Jobs()
    for _ in range(500):
        found = jobs.result("a", compute)
        if found == Waiting(2, 4):
            break
        time.sleep(0.01)
    assert found == Waiting(2, 4)
    assert is_busy()
    go.set()
    assert wait_for(jobs, "a", compute) == "done"
    assert made == [1]


def test_a_job_that_failed_says_why_and_is_tried_again() -> None:
    jobs: Jobs[str] = Jobs()

    def fail(progress) -> str:
        raise UserError("no boxes")

    with pytest.raises(UserError, match="no boxes"):
        wait_for(jobs, "a", fail)
    assert wait_for(jobs, "a", lambda progress: "done") == "done"


def test_turns_are_taken_one_after_the_other_and_too_many_are_refused() -> None:
    at_once, most = [0], [0]

    def compute() -> int:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        time.sleep(0.005)
        at_once[0] -= 1
        return 1

    async def crowd() -> list[object]:
        turns = Turns()
        return await asyncio.gather(*(turns(compute) for _ in range(MOST_WAITING + 5)), return_exceptions=True)

    # In a thread: where a browser has been driven before, this one has a loop already.
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(asyncio.run, crowd()).result()
    assert most == [1]
    assert found.count(1) == MOST_WAITING
    refused = [error for error in found if isinstance(error, RefusedError)]
    assert [error.status for error in refused] == [503] * 5
