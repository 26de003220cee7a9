from __future__ import annotations

from pathlib import Path

import pytest

from dcgan_viz.home import home


def test_what_is_kept_lies_in_the_cache_or_where_one_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DCGAN_VIZ_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert home() == tmp_path / ".cache" / "dcgan-viz"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert home() == tmp_path / "caches" / "dcgan-viz"
    monkeypatch.setenv("DCGAN_VIZ_HOME", "~/kept")
    assert home() == tmp_path / "kept"
    monkeypatch.setenv("DCGAN_VIZ_HOME", "here")
    monkeypatch.chdir(tmp_path)
    assert home() == tmp_path / "here"
    # Nothing is made until something is kept.
    assert list(tmp_path.iterdir()) == []
