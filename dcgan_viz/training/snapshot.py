"""The model that a run has at a step: networks for evaluation, with their card."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dcgan_viz.data.images import ImageSet
from dcgan_viz.model import DCGAN, draw_latents
from dcgan_viz.networks.modules import Generator, make_discriminator
from dcgan_viz.networks.statistics import recalibrate
from dcgan_viz.training.batches import spread_out
from dcgan_viz.training.monitor import Health
from dcgan_viz.training.run import Run
from dcgan_viz.training.step import Adversaries

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
    spec = run.networks.generator
    z = draw_latents(RECALIBRATION_SAMPLES, spec.latent, spec.prior, np.random.default_rng(0))
    recalibrate(generator, [batch.to(device) for batch in z.split(BATCH)])
    photographs = spread_out(images, RECALIBRATION_SAMPLES)
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
        "batch-norm statistics": f"measured on {len(z)} latents and {len(photographs)} training images",
    }
    return DCGAN(generator, discriminator, replace(run.card, networks=run.networks, training=training))


def with_best(model: DCGAN, health: Health) -> DCGAN:
    """The same model whose card names the best checkpoint, where quality is measured."""
    if health.best is None:
        return model
    best: dict[str, Any] = {"step": health.best, "quality": health.best_quality}
    return replace(model, card=replace(model.card, training={**model.card.training, "best checkpoint": best}))
