"""How soon small networks copy a few procedural rooms when nothing but the adversarial loss tells them to.

python benchmarks/copying.py 16 runs/copying-16
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.data.images import ImageSet, to_tensor
from dcgan_viz.model import load
from dcgan_viz.networks import dcgan
from dcgan_viz.rooms.drawing import draw_rooms
from dcgan_viz.statistics import share_estimate
from dcgan_viz.training.loop import resume_training, train
from dcgan_viz.training.run import read_run
from dcgan_viz.training.settings import TrainingSettings

SIZE, WIDTH, SAMPLES = 32, 16, 512

# Without augmentation, at penalties from 10 to 50, samples stayed noisy.
SETTINGS = {"batch_size": 16, "r1": 0.5, "augment": ("translation", "color", "cutout"), "ema": 0.995}


@click.command()
@click.argument("count", type=int)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--steps", default=16_000, show_default=True, help="Batches of 16.")
@click.option("--every", default=2_000, show_default=True, help="Batches between two looks.")
def main(count: int, out: Path, steps: int, every: int) -> None:
    """Train on COUNT rooms in the folder OUT, or go on there, and look how near samples are to them.

    The samples are compared with the rooms that were trained on and with as many others of the same kind. One that
    knows the kind but none of the rooms is nearer to one of the former in about half of the cases, as new rooms are.
    """
    rooms = draw_rooms(2 * count + SAMPLES, SIZE, seed=7).pixels
    images = ImageSet(rooms[:count], [f"room {k}" for k in range(count)])
    known, others, new = (to_tensor(part) for part in np.split(rooms, [count, 2 * count]))
    print(f"{count} rooms of {SIZE}x{SIZE}; nearer to one of them than to any of {count} others:", flush=True)
    print(f"      new rooms: {_look(new, known, others)}", flush=True)
    before = read_run(out).step if out.exists() else 0
    for done in range(before + every, steps + 1, every):
        if done > every:
            resume_training(images, out, steps=done, checkpoint_every=every)
        else:
            settings = TrainingSettings(steps=done, **SETTINGS)  # type: ignore[arg-type]
            networks = dcgan(SIZE, width=WIDTH, kernel=4)
            train(images, networks, settings, out, checkpoint_every=every, precision="fp32")
        print(f"{done * 16:>8,} images: {_look(load(out).sample(SAMPLES, seed=1), known, others)}", flush=True)


def _look(samples: Tensor, known: Tensor, others: Tensor) -> str:
    near, far = _nearest(samples, known), _nearest(samples, others)
    nearer = share_estimate(int((near < far).sum()), SAMPLES, over="samples")
    near_by, away = np.median(near), np.median(far)
    return f"{nearer:.0%} of samples; at {near_by:.1f} grey levels (root mean square), from the others {away:.1f}"


def _nearest(samples: Tensor, rooms: Tensor) -> NDArray[np.float64]:
    """Of each sample (N, C, H, W), the root mean square distance to the nearest room in grey levels (N,)."""
    distances: Tensor = torch.cdist(samples.flatten(1), rooms.flatten(1)).amin(1)
    return distances.double().numpy() * (127.5 / samples[0].numel() ** 0.5)


if __name__ == "__main__":
    main()
