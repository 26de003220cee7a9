"""What an import with nothing told makes of random generators whose truth is known: right, granted, asked, refused or wrong.

python benchmarks/foreign.py --seeds 100:140
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.foreign.synthetic import assess, random_truth, seed_of


@click.command()
@click.option("--seeds", default="100:104", show_default=True, help="First, and the one after the last.")
def main(seeds: str) -> None:
    """Print a line a generator, then the counts."""
    first, end = map(int, seeds.split(":"))
    counts: Counter[str] = Counter()
    for seed in range(first, end):
        began = time.process_time()
        verdict = assess(random_truth(seed), seed_of(f"random {seed}"))
        counts[verdict] += 1
        print(f"{seed}: {verdict} ({time.process_time() - began:.1f} s)", flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()), f"of {end - first}")


if __name__ == "__main__":
    main()
