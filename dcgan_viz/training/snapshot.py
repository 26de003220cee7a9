"""The model that a run has at a step: networks for evaluation, with their card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dcgan_viz.data.images import ImageSet, spread_over
from dcgan_viz.devices import find_device
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, draw_latents
from dcgan_viz.networks.modules import Generator, make_discriminator
from dcgan_viz.networks.spec import GeneratorSpec
from dcgan_viz.networks.statistics import recalibrate
from dcgan_viz.training.checkpoints import load_checkpoint
from dcgan_viz.training.monitor import Health
from dcgan_viz.training.run import Run
from dcgan_viz.training.step import Adversaries, check_weights

RECALIBRATION_SAMPLES = 1024
"""Latents and photographs that the saved model's batch-norm statistics are measured on: eight batches, whose variances are
uncertain by 4 %, a third of what each batch of training is off. At paper width that costs as much as three steps."""

BATCH = 128


def take_model(players: Adversaries, run: Run, images: ImageSet, step: int, images_seen: int) -> DCGAN:
    """A copy of the networks for evaluation, their batch-norm statistics measured anew.

    Parameters
    ----------
    players : Adversaries
    run : Run
    images : ImageSet
        That it is trained on.
    step, images_seen : int
        How far it is.

    Returns
    -------
    DCGAN
    """
    device = players.fabric.device
    generator, discriminator = Generator(run.networks.generator), make_discriminator(run.networks.discriminator)
    generator.load_state_dict(players.drawing_generator.state_dict())
    discriminator.load_state_dict(players.bare_discriminator.state_dict())
    generator.to(device), discriminator.to(device)
    _recalibrate_generator(generator, run.networks.generator, device)
    photographs = spread_over(images, RECALIBRATION_SAMPLES)
    recalibrate(discriminator, [batch.to(device) for batch in photographs.split(BATCH)])
    training = {
        "steps": step,
        "images in the set": run.image_count,
        "images seen": images_seen,
        "settings": run.settings.to_dict(),
        "execution": run.to_dict()["execution"],
        "device": run.device,
        "devices": run.processes,
        "versions": dict(run.versions or {}),
        **({} if run.start_from is None else {"started from": run.start_from}),
        "images sha256": run.image_digest,
        "batch-norm statistics": f"measured on {RECALIBRATION_SAMPLES} latents and {len(photographs)} training images",
    }
    return DCGAN(generator, discriminator, replace(run.card, networks=run.networks, training=training))


def with_best(model: DCGAN, health: Health) -> DCGAN:
    """The same model whose card names the best checkpoint, where quality is measured."""
    if health.best is None:
        return model
    best: dict[str, Any] = {"step": health.best, "quality": health.best_quality}
    return replace(model, card=replace(model.card, training={**model.card.training, "best checkpoint": best}))


def checkpoint_model(path: Path, device: str | torch.device = "cpu") -> DCGAN:
    """The model that a run had at a checkpoint, to draw samples with.

    The generator is its moving average where there is one, its batch-norm statistics measured anew on the latents that
    every saved model's are measured on. The discriminator keeps the running averages of training, since the training
    images are not at hand.

    Parameters
    ----------
    path : path
        ``checkpoints/step-00001000.safetensors`` in the folder of a run.
    device : str or torch.device

    Returns
    -------
    DCGAN
        Named after its run and step.

    Raises
    ------
    UserError
        If the file is missing, damaged or no checkpoint.
    """
    place = find_device(device)
    checkpoint = load_checkpoint(path)
    run = Run.from_dict(checkpoint.run, path.parent.parent)
    check_weights(run.networks, checkpoint.tensors)
    generator, discriminator = Generator(run.networks.generator), make_discriminator(run.networks.discriminator)
    drawing = "average" if any(name.startswith("average.") for name in checkpoint.tensors) else "generator"
    for part, network in ((drawing, generator), ("discriminator", discriminator)):
        prefix = f"{part}."
        own = {n.removeprefix(prefix): t for n, t in checkpoint.tensors.items() if n.startswith(prefix)}
        try:
            network.load_state_dict(own)
        except RuntimeError as error:
            raise UserError(f"{path}: its {part} belongs to other networks or is damaged: {error}") from error
        network.to(place).eval().requires_grad_(False)
    _recalibrate_generator(generator, run.networks.generator, place)
    card = replace(run.card, name=f"{run.card.name}, step {checkpoint.step}", networks=run.networks)
    return DCGAN(generator, discriminator, replace(card, training={"steps": checkpoint.step}))


def _recalibrate_generator(generator: Generator, spec: GeneratorSpec, device: torch.device) -> None:
    z = draw_latents(RECALIBRATION_SAMPLES, spec.latent_dim, spec.prior, np.random.default_rng(0))
    recalibrate(generator, [batch.to(device) for batch in z.split(BATCH)])
