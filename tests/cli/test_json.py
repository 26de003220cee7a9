"""Numbers for programs, from commands whose sentences are for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            ("sample", "--count", 4, "--seed", 3, "--out", "a.png"),
            {"path": "a.png", "samples": 4, "seed": 3, "zeroed": []},
        ),
        (
            ("annotate", "--object", "lamp", "--count", 4, "--export-samples", "s"),
            {"object": "lamp", "path": "s", "samples": 4, "seed": 2015, "scale": 1},
        ),
        (
            ("concepts", "--set", "left=1,2", "--out", "c.json"),
            {"path": "c.json", "concepts": {"left": [1, 2]}, "sheets": []},
        ),
        (
            ("export", "--pytorch", "p"),
            {"pytorch": ["p/netG.pth", "p/netD.pth", "p/networks.py"]},
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_standard_output_is_json_and_nothing_else(line, expected: dict, run, tiny_folder: Path) -> None:
    outcome = run(*line, "--model", tiny_folder, "--json")
    assert outcome.exit_code == 0, outcome.output
    found = json.loads(outcome.stdout)
    found.pop("model", None)
    assert found == expected
