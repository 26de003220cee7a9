"""Versions that travel with every result."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("dcgan-viz", "torch", "numpy", "scikit-learn", "pillow")


def versions() -> dict[str, str]:
    """Versions of this package and of those its numbers depend on.

    Examples
    --------
    >>> "torch" in versions()
    True
    """
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
