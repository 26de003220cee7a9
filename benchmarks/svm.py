"""The linear SVM beside scikit-learn's LinearSVC: seconds, memory, the objective that is reached, and how both grow.

    python benchmarks/svm.py                                # 10,000 x 28,672: LinearSVC alone takes 10 GB and many minutes
    python benchmarks/svm.py --rows 2000 --growth 500 1000 2000
    python benchmarks/svm.py --rows 0 --growth 50000        # ours alone, on an array of 2.9 GB that is written first
    python benchmarks/svm.py --device cuda --workers 8      # also ours on a GPU; eight fits at a time

Features are those of a DCGAN's discriminator with random weights on drawn pictures of ten kinds, so that they are as
correlated as real ones; the array lies on disk in float16. Each fit runs in a process of its own, whose peak of memory
is beyond what it had before the fit, and which computes on one core. Its seconds are counted, which other work changes less
than the clock's. LinearSVC runs with the tolerances of `--tolerances`, and the loosest one that comes as near to the
least objective as ours is compared with it: the same objective, however each came there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dcgan_viz.analysis.attribution.randomisation import remeasured
from dcgan_viz.analysis.features.extraction import extract_features
from dcgan_viz.analysis.features.pooled import discriminator_extractor
from dcgan_viz.data.images import ImageSet
from dcgan_viz.networks import preset
from dcgan_viz.networks.modules import Discriminator

FIT = """
import json, resource, sys, time, warnings
import numpy as np
kind, path, rows, c, tol = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])
device = sys.argv[6]
features = np.load(path + ".npy", mmap_mode="r")[:rows]
labels = np.load(path + "-labels.npy")[:rows]
warnings.simplefilter("ignore")
import torch
from sklearn.svm import LinearSVC
from dcgan_viz.analysis.features.svm import LinearSVM
LinearSVM(C=1.0, device=device).fit(np.eye(4), [0, 1, 0, 1])
LinearSVC(C=1.0).fit(np.eye(4), [0, 1, 0, 1])
# Pages of the mapped file count too, as far as they are in memory.
before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1024
start, clock = time.process_time(), time.perf_counter()
if kind == "ours":
    svm = LinearSVM(C=c, tol=tol, device=device).fit(features, labels)
else:
    svm = LinearSVC(C=c, tol=tol, max_iter=10_000, random_state=0).fit(features, labels)
seconds, clock = time.process_time() - start, time.perf_counter() - clock
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
weights, total = np.vstack([svm.coef_.T, svm.intercept_]).astype(np.float64), 0.0
signs = np.where(labels[:, None] == svm.classes_, 1.0, -1.0)
for first in range(0, rows, 1000):
    block = features[first : first + 1000].astype(np.float64)
    margins = 1 - signs[first : first + 1000] * (block @ weights[:-1] + weights[-1])
    total += c * np.square(np.maximum(margins, 0)).sum()
total += 0.5 * np.square(weights).sum()
found = {"seconds": seconds, "clock": clock, "peak": peak / 2**20, "objective": total, "passes": getattr(svm, "passes_", None)}
print(json.dumps(found))
"""


def draw(rows: int, folder: Path, device: str) -> Path:
    """Features (rows, 28,672) on disk, with ten classes."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, rows)
    patterns = random.normal(0, 1, (10, 4, 4, 3))
    pixels = np.empty((rows, 32, 32, 3), np.uint8)
    for start in range(0, rows, 1000):
        part = labels[start : start + 1000]
        coarse = patterns[part] * random.uniform(0.2, 1, (len(part), 1, 1, 1)) + random.normal(
            0, 1.0, (len(part), 4, 4, 3)
        )
        fine = np.kron(coarse, np.ones((1, 8, 8, 1))) + random.normal(0, 0.5, (len(part), 32, 32, 3))
        pixels[start : start + 1000] = np.clip(128 + 40 * fine, 0, 255).astype(np.uint8)
    images = ImageSet(pixels, tuple(map(str, range(rows))))
    torch.manual_seed(0)
    network = Discriminator(preset("imagenet32").discriminator).requires_grad_(False)
    measured = remeasured(network.to(device), images.tensor(slice(0, 1024)))
    extract_features(discriminator_extractor(measured), images, folder / "f.npy", digest="drawn")
    np.save(folder / "f-labels.npy", labels)
    return folder / "f"


@dataclass(frozen=True)
class Fit:
    """What is to be fitted, and how."""

    kind: str
    rows: int
    tol: float
    device: str = "cpu"


def measured(fit: Fit, path: Path, c: float) -> dict[str, float]:
    """What one fit took, in a process of its own."""
    words = [sys.executable, "-c", FIT, fit.kind, str(path), str(fit.rows), str(c), str(fit.tol), fit.device]
    one = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=one)
    found: dict[str, float] = json.loads(done.stdout)
    print(
        f"{fit.kind} on {fit.device}, {fit.rows:,} rows, tol {fit.tol:g}: {found['seconds']:.1f} s of a core "
        f"({found['clock']:.1f} s by the clock), {found['passes'] or '-'} passes, {found['peak']:.2f} GiB, "
        f"objective {found['objective']:.8g}",
        flush=True,
    )
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="of the comparison with LinearSVC; 0 for none")
    parser.add_argument("--growth", type=int, nargs="*", default=[1250, 2500, 5000, 10_000])
    parser.add_argument("--c", type=float, default=1e-3)
    parser.add_argument("--tol", type=float, default=1e-5)
    parser.add_argument("--tolerances", type=float, nargs="*", default=[1e-1, 1e-2, 1e-3, 1e-4])
    parser.add_argument("--device", default="cpu", help="that features are computed on, and ours fitted on once more")
    parser.add_argument("--workers", type=int, default=1, help="fits at a time")
    options = parser.parse_args()
    torch.set_num_threads(options.workers)
    ours = Fit("ours", options.rows, options.tol)
    theirs = [Fit("theirs", options.rows, tol) for tol in options.tolerances]
    # The longest ones first.
    growth = [Fit("ours", rows, options.tol) for rows in sorted(options.growth, reverse=True)]
    fits = list(dict.fromkeys([*reversed(theirs), ours, *growth] if options.rows else growth))
    with tempfile.TemporaryDirectory() as temporary:
        path = draw(max(fit.rows for fit in fits), Path(temporary), options.device)
        if options.device != "cpu":
            for rows in sorted({fit.rows for fit in fits if fit.kind == "ours"}):
                measured(Fit("ours", rows, options.tol, options.device), path, options.c)
        with ThreadPoolExecutor(options.workers) as pool:
            found = dict(zip(fits, pool.map(lambda fit: measured(fit, path, options.c), fits), strict=True))
    if not options.rows:
        return
    least = min(found[fit]["objective"] for fit in (ours, *theirs))
    for fit in (ours, *theirs):
        print(
            f"{fit.kind}, {fit.rows:,} x 28,672, C {options.c:g}, tol {fit.tol:g}: {found[fit]['seconds']:.1f} s "
            f"({found[fit]['seconds'] / found[ours]['seconds']:.1f} times ours), {found[fit]['peak']:.2f} GiB "
            f"({found[fit]['peak'] / found[ours]['peak']:.1f} times), {found[fit]['objective'] / least - 1:.1e} above the least"
        )


if __name__ == "__main__":
    main()
