"""Attack every format with wrong files for long, and count: python tests/fuzz/run.py --cases 100000 --seed 1."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fuzz_attack import READERS, attack_often, describe


def main(arguments: Sequence[str] | None = None) -> int:
    """Share the cases among the formats, print a line for each as it is done; 1 if anything escaped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=36_000, help="in all; 200 a second on one core")
    parser.add_argument("--seed", type=int, required=True, help="another one attacks with other files")
    options = parser.parse_args(arguments)
    total = 0
    for index, name in enumerate(READERS):
        cases = options.cases // len(READERS) + (index < options.cases % len(READERS))
        escaped = attack_often(name, options.seed, cases)
        count = sum(map(len, escaped.values()))
        print(f"{name:16}{cases:9} cases, {count} escaped{': ' * bool(escaped)}{describe(escaped)}", flush=True)
        total += count
    print(f"seed {options.seed}: {options.cases} cases, {total} escaped")
    return min(total, 1)


if __name__ == "__main__":
    sys.exit(main())
