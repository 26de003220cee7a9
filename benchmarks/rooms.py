"""How many procedural rooms a second.

python benchmarks/rooms.py
"""

from __future__ import annotations

import time

import click
from joblib import cpu_count

from dcgan_viz.rooms.drawing import draw_rooms


@click.command()
@click.option("--count", default=1024, show_default=True)
@click.option("--size", default=64, show_default=True)
def main(count: int, size: int) -> None:
    """Draw rooms with their masks and print the rate; the fastest of three."""
    draw_rooms(count, size)  # starts the processes
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        draw_rooms(count, size)
        seconds.append(time.perf_counter() - start)
    print(f"{count} rooms of {size}x{size}: {count / min(seconds):.0f} a second on {cpu_count()} cores")


if __name__ == "__main__":
    main()
