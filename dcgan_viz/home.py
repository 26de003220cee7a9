"""Where the package keeps what it has computed once and can compute again."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "DCGAN_VIZ_HOME"


def home() -> Path:
    """The folder of ``DCGAN_VIZ_HOME``, by default ``dcgan-viz`` in the user's cache; it may be removed at any time.

    Examples
    --------
    >>> home().is_absolute()
    True
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given).expanduser().absolute()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache").absolute() / "dcgan-viz"
