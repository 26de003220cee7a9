"""What holds for every test, doctest and notebook."""

import os

# Processes at work beside each other, one on each core, must not share these among their threads: they would wait for
# one another most of the time. torch reads it when it is imported, and what the tests start inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
