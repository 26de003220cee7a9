"""Reading one folder of wrong files within bounds of time and memory, and what escaped."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random

from fuzz_formats import FORMATS, Files
from fuzz_mutations import mutate_folder

from dcgan_viz.errors import UserError

SECONDS, BYTES = 1.0, 500 * 2**20
"""What a small file may cost."""

READERS = {kind.name: kind.read for kind in FORMATS}


@cache
def valid(name: str) -> Files:
    return next(kind for kind in FORMATS if kind.name == name).make()


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Whoever asks for more than `BYTES` in the block gets a `MemoryError`."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):  # not on Linux
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def read_bounded(name: str, folder: Path) -> str | None:
    """Read a folder; what went wrong with that other than a `UserError`, with the place in the code."""
    start = time.process_time()
    try:
        with warnings.catch_warnings(), bounded_memory():
            warnings.simplefilter("ignore")
            READERS[name](folder)
    except UserError as error:
        try:
            str(error).encode()
        except UnicodeEncodeError:
            return f"a message that no terminal can show: {error!r}"
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "dcgan_viz" in f.filename] or ["?"]
        return f"{type(error).__name__} in {frames[-1]}: {error!s:.200}"
    seconds = time.process_time() - start
    return f"took {seconds:.1f} s" if seconds > SECONDS else None


def attack(name: str, random: Random) -> str | None:
    """Make valid files wrong, read them, and say what went wrong with that."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        mutate_folder(valid(name), folder, random)
        return read_bounded(name, folder)
    finally:
        shutil.rmtree(folder)


def attack_often(name: str, seed: int, cases: int) -> dict[str, list[int]]:
    """Attack one format with `cases` cases; which of them escaped, by what went wrong."""
    escaped: dict[str, list[int]] = {}
    for case in range(cases):
        if failure := attack(name, Random(f"{seed} {name} {case}")):
            escaped.setdefault(failure.split(":")[0], []).append(case)
    return escaped


def describe(escaped: Mapping[str, list[int]]) -> str:
    """What went wrong, how often, and the first case that shows it."""
    return "; ".join(
        f"{failure} {len(cases)} time{'s' * (len(cases) > 1)}, first in case {cases[0]}"
        for failure, cases in escaped.items()
    )
