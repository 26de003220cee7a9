"""What all tests share, doctests and notebooks among them."""

from __future__ import annotations

import os

# pytest-xdist starts a process a core. With as many threads in each, they would wait for one another most of the time.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    threads = max((os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]), 1)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))
