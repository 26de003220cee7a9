"""How long the commands of the README and docs/results.md take, each as a process of its own: on the clock and of processors.

python benchmarks/commands.py
python benchmarks/commands.py --threads 1 --repeats 1 walk "forget --object window"
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]

OTHERS_FILES = re.compile(r"photographs|runs/|\.pth|\.jl|svhn|theirs|cifar10/|[ab]\.jpg")
"""Commands that read what the repository does not have."""


def documented_commands() -> list[str]:
    """The commands in the blocks of both pages that need nothing but the repository, without their comments."""
    text = "".join((ROOT / page).read_text() for page in ("README.md", "docs/results.md"))
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    commands = [shlex.join(shlex.split(line, comments=True)) for line in lines if line.startswith("dcgan-viz ")]
    return list(dict.fromkeys(c.removeprefix("dcgan-viz ") for c in commands if not OTHERS_FILES.search(c)))


def measure(command: str, threads: int) -> tuple[float, float]:
    """Seconds on the clock and of processors that a command takes in an empty folder."""
    program = [sys.executable, "-m", "dcgan_viz.cli.main", *shlex.split(command)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "docs").symlink_to(ROOT / "docs")
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise click.ClickException(f"{command} failed: {done.stderr.strip().splitlines()[-1]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@click.command()
@click.argument("commands", nargs=-1)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="Of torch.")
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="The fastest counts.")
def main(commands: tuple[str, ...], threads: int, repeats: int) -> None:
    """Time COMMANDS, by default those of both pages that need nothing but the repository."""
    load = os.getloadavg()[0]
    print(f"{threads} threads on {os.cpu_count()} processors, load {load:.1f} before; the fastest of {repeats}")
    for command in commands or documented_commands():
        seconds, processors = map(min, zip(*(measure(command, threads) for _ in range(repeats)), strict=True))
        print(f"{seconds:7.1f} s, {processors:7.1f} s of processors  dcgan-viz {command}", flush=True)


if __name__ == "__main__":
    main()
