"""How fast ``prepare`` is beside the decoder alone, and how its memory grows with the number of images.

    python benchmarks/prepare.py lsun_bedrooms_10k.zip

Rates are taken in pairs, one after the other, since other work on the machine slows both: their ratio is what counts. On a
busy machine the clock says little even so, and the processor's seconds are what can be compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from dcgan_viz.data.decoding import decode_square
from dcgan_viz.data.prepare import prepare
from dcgan_viz.data.sources import open_images

SIZE = 64
MEASURE = """
import json, os, sys, threading, time
import psutil
from dcgan_viz.data.prepare import prepare
own, peak, ended = psutil.Process(), 0, False
def watch():
    global peak
    while not ended:
        total = 0
        for process in (own, *own.children(recursive=True)):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                pass
        peak = max(peak, total)
        time.sleep(0.25)
thread = threading.Thread(target=watch)
thread.start()
times = os.times()
before = times.user + times.system
prepare(sys.argv[1], sys.argv[2], int(sys.argv[3]), workers=int(sys.argv[4]))
times = os.times()
seconds = times.user + times.system + times.children_user + times.children_system - before
ended = True
thread.join()
print(json.dumps({"seconds": seconds, "peak": peak}))
"""


def decode_all(entries: list[bytes]) -> None:
    """The decoder alone, on bytes that are in memory."""
    for entry in entries:
        decode_square(entry, SIZE, 3)


def rates(path: Path, count: int, pairs: int, workers: int) -> None:
    """Images a second of the decoder alone and of `prepare`."""
    source = open_images(path)
    indices = range(min(count, len(source)))
    entries = [entry for index in indices if isinstance(entry := source.entry(index), bytes)]
    clock, processor = [], []
    with tempfile.TemporaryDirectory() as temporary:
        part = Path(temporary) / "part.zip"
        with zipfile.ZipFile(part, "w") as archive:
            for index, entry in zip(indices, entries, strict=True):
                archive.writestr(source.names[index], entry)
        for number in range(pairs):
            before = spent()
            with ProcessPoolExecutor(workers) as pool:
                list(pool.map(decode_all, [entries[k::workers] for k in range(workers)]))
            between = spent()
            prepare(part, Path(temporary) / f"{number}.npy", SIZE, workers=workers)
            after = spent()
            clock.append((between[0] - before[0]) / (after[0] - between[0]))
            processor.append((between[1] - before[1]) / (after[1] - between[1]))
            print(
                f"decoder alone {len(entries) / (between[0] - before[0]):.0f} images/s; prepare reaches {100 * clock[-1]:.0f} % "
                f"of it by the clock, {100 * processor[-1]:.0f} % by the processor's seconds",
                flush=True,
            )
    print(
        f"median of {pairs} pairs with {workers} processes: {100 * statistics.median(clock):.0f} % by the clock, "
        f"{100 * statistics.median(processor):.0f} % by the processor's seconds"
    )


def spent() -> tuple[float, float]:
    """Seconds by the clock, and of the processor in this process and those that it has ended."""
    times = os.times()
    return time.perf_counter(), times.user + times.system + times.children_user + times.children_system


def growth(path: Path, counts: list[int], workers: int) -> None:
    """Peak memory, shared pages counted once, and seconds of the processor an image, on small copies of the first images."""
    source = open_images(path)
    entries = [entry for index in range(1000) if isinstance(entry := source.entry(index), bytes)]
    with tempfile.TemporaryDirectory() as temporary:
        for count in counts:
            part = Path(temporary) / f"{count}.zip"
            with zipfile.ZipFile(part, "w") as archive:
                # Names as LSUN's, which hardly compress, and in their order, as there.
                for index, name in enumerate(sorted(hashlib.sha1(str(k).encode()).hexdigest() for k in range(count))):
                    archive.writestr(f"{name}.jpg", entries[index % len(entries)])
            words = [sys.executable, "-c", MEASURE, part, Path(temporary) / f"{count}.npy", str(SIZE), str(workers)]
            found = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
            print(
                f"{count:,} images: peak {found['peak'] / 2**20:.0f} MiB, {1e6 * found['seconds'] / count:.0f} µs of the "
                "processor an image",
                flush=True,
            )
            part.unlink()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--growth", type=int, nargs="*", default=[10_000, 100_000])
    options = parser.parse_args()
    if options.pairs:
        rates(options.images, options.count, options.pairs, options.workers)
    growth(options.images, options.growth, options.workers)


if __name__ == "__main__":
    main()
