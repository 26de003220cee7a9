"""What all tests share, doctests and notebooks among them."""

from __future__ import annotations

import os

import pytest

SLOW = (
    "dcgan_viz/analysis/forgetting/forgetting.py",
    "dcgan_viz/analysis/latent/directions.py",
    "dcgan_viz/analysis/latent/walks.py",
    "notebooks/",
    "tests/analysis/memorization/",
    "tests/foreign/",
    "tests/fuzz/",
    "tests/report/",
    "tests/test_packaging.py",
)
"""Files and folders of which every test is slow; others are marked where they stand."""

# pytest-xdist starts a process a core. With as many threads in each, they would wait for one another most of the time.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    threads = max((os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]), 1)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is long is slow too, and so are whole folders; notebooks come first, since each of them takes long."""
    items.sort(key=lambda item: not item.nodeid.startswith("notebooks/"))
    for item in items:
        if item.get_closest_marker("long") or item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
