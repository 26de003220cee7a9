from __future__ import annotations

import pytest


@pytest.fixture
def few_controls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many planted copies of each kind as the file's `PLANTED`, hardly any walks and few permutations."""
    few = {
        "memorization": {"PLANTED": request.module.PLANTED, "WALKS": 2, "WALK_STEPS": 8},
        "data_copying": {"RESAMPLES": 200},
        "two_sample": {"PERMUTATIONS": 200},
    }
    for module, numbers in few.items():
        for name, number in numbers.items():
            monkeypatch.setattr(f"dcgan_viz.analysis.memorization.{module}.{name}", number)
