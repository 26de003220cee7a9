"""Networks as programs of `torch.export`: graphs that torch runs without any of this code."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from dcgan_viz.folders import staged_folder
from dcgan_viz.foreign.module_chains import plain_discriminator, plain_generator
from dcgan_viz.model import DCGAN

GENERATOR_FILE, DISCRIMINATOR_FILE = "generator.pt2", "discriminator.pt2"


def export_programs(model: DCGAN, folder: Path, overwrite: bool = False) -> tuple[str, ...]:
    """Write ``generator.pt2`` and ``discriminator.pt2``, for batches of any size.

    ``torch.export.load("generator.pt2").module()(z)`` draws (N, C, H, W) in [-1, 1]; the discriminator's program gives
    logits (N,).

    Parameters, what is returned and errors are those of `dcgan_viz.foreign.pytorch_files.export_pytorch`.
    """
    networks = {GENERATOR_FILE: (nn.Sequential(*plain_generator(model)), model.latents(2, seed=0))}
    discriminator = plain_discriminator(model)
    if discriminator is not None:
        networks[DISCRIMINATOR_FILE] = (nn.Sequential(*discriminator, nn.Flatten(0)), model.sample(2))
    batch = torch.export.Dim("batch", min=1)
    with staged_folder(folder, "programs", first=GENERATOR_FILE, overwrite=overwrite) as stage:
        for name, (network, example) in networks.items():
            program = torch.export.export(network.cpu().eval(), (example,), dynamic_shapes=({0: batch},))
            torch.export.save(program, stage / name)
    return tuple(networks)
