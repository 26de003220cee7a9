from __future__ import annotations

from dcgan_viz.analysis.features.supervised import drawn_settings


def test_settings_are_drawn_from_a_seed() -> None:
    assert drawn_settings(5, 1) == drawn_settings(5, 1) != drawn_settings(5, 2)
    assert drawn_settings(5, 1)[:3] == drawn_settings(3, 1)
