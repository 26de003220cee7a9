"""The linear SVM beside scikit-learn's LinearSVC: seconds, memory, the objective that is reached, and how both grow.

    python benchmarks/svm.py                                # 10,000 x 28,672: LinearSVC alone takes 10 GB and many minutes
    python benchmarks/svm.py --rows 2000 --growth 500 1000 2000
    python benchmarks/svm.py --rows 0 --growth 50000        # ours alone, on an array of 2.9 GB that is written first

Features are those of a DCGAN's discriminator with random weights on drawn pictures of ten kinds, so that they are as
correlated as real ones; the array lies on disk in float16. Each fit runs in a process of its own, whose peak of memory
is beyond what it had before the fit. The processor's seconds are counted, which other work on the machine changes less
than the clock's. LinearSVC runs with the tolerances of `--tolerances`, and the loosest one that comes as near to the
least objective as ours is compared with it: the same objective, however each came there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
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
import psutil
kind, path, rows, c, tol = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])
features = np.load(path + ".npy", mmap_mode="r")[:rows]
labels = np.load(path + "-labels.npy")[:rows]
warnings.simplefilter("ignore")
import torch
from sklearn.svm import LinearSVC
from dcgan_viz.analysis.features.svm import LinearSVM
LinearSVM(C=1.0).fit(np.eye(4), [0, 1, 0, 1])
LinearSVC(C=1.0).fit(np.eye(4), [0, 1, 0, 1])
# Pages of the mapped file count too, as far as they are in memory.
before = psutil.Process().memory_info().rss / 1024
start, clock = time.process_time(), time.perf_counter()
if kind == "ours":
    svm = LinearSVM(C=c, tol=tol).fit(features, labels)
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


def draw(rows: int, folder: Path) -> Path:
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
    measured = remeasured(network, images.tensor(slice(0, 1024)))
    extract_features(discriminator_extractor(measured), images, folder / "f.npy", digest="drawn")
    np.save(folder / "f-labels.npy", labels)
    return folder / "f"


def fit(kind: str, path: Path, rows: int, c: float, tol: float) -> dict[str, float]:
    """What one fit took, in a process of its own."""
    words = [sys.executable, "-c", FIT, kind, str(path), str(rows), str(c), str(tol)]
    found: dict[str, float] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="of the comparison with LinearSVC; 0 for none")
    parser.add_argument("--growth", type=int, nargs="*", default=[1250, 2500, 5000, 10_000])
    parser.add_argument("--c", type=float, default=1e-3)
    parser.add_argument("--tol", type=float, default=1e-5)
    parser.add_argument("--tolerances", type=float, nargs="*", default=[1e-1, 1e-2, 1e-3, 1e-4])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        path = draw(max([options.rows, *options.growth]), Path(temporary))
        for rows in options.growth:
            found = fit("ours", path, rows, options.c, options.tol)
            print(
                f"{rows:,} rows: {found['seconds']:.1f} s of a core ({found['clock']:.1f} s by the clock), {found['passes']} "
                f"passes, {found['peak']:.2f} GiB",
                flush=True,
            )
        if not options.rows:
            return
        ours = fit("ours", path, options.rows, options.c, options.tol)
        theirs = {tol: fit("theirs", path, options.rows, options.c, tol) for tol in options.tolerances}
        least = min(ours["objective"], *(found["objective"] for found in theirs.values()))
        print(
            f"{options.rows:,} x 28,672, C {options.c:g}: ours {ours['seconds']:.1f} s, {ours['peak']:.2f} GiB, "
            f"{ours['objective'] / least - 1:.1e} above the least objective"
        )
        for tol, found in theirs.items():
            print(
                f"LinearSVC with tol {tol:g}: {found['seconds']:.1f} s ({found['seconds'] / ours['seconds']:.1f} times ours), "
                f"{found['peak']:.2f} GiB ({found['peak'] / ours['peak']:.1f} times), {found['objective'] / least - 1:.1e} above",
                flush=True,
            )


if __name__ == "__main__":
    main()
