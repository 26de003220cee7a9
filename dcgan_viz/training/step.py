"""One update of the two networks: the DCGAN step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from dcgan_viz.model import draw_latents
from dcgan_viz.networks.spec import GeneratorSpec
from dcgan_viz.training.augment import augment
from dcgan_viz.training.settings import TrainingSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class StepLosses:
    """What one step saw, as scalars still on the device (reading one waits for it).

    Parameters
    ----------
    discriminator : Tensor
        BCE(D(x), 1) + BCE(D(G(z)), 0).
    generator : Tensor
        BCE(D(G(z)), 1).
    real, generated : Tensor
        Mean probability that D gives real and generated images of being real.
    """

    discriminator: Tensor
    generator: Tensor
    real: Tensor
    generated: Tensor


class Adversaries:
    """Both networks with their optimisers, and the step that plays them against each other.

    Parameters
    ----------
    fabric : Fabric
        Places the networks, casts to its precision and averages gradients over devices.
    generator, discriminator : Module
    spec : GeneratorSpec
    settings : TrainingSettings
    """

    def __init__(
        self,
        fabric: Fabric,
        generator: nn.Module,
        discriminator: nn.Module,
        spec: GeneratorSpec,
        settings: TrainingSettings,
    ) -> None:
        self.fabric, self.spec, self.settings = fabric, spec, settings

        def adam(network: nn.Module) -> torch.optim.Adam:
            # L2 is Adam's own weight_decay, which the authors' regulariser equals; AdamW's is another.
            return torch.optim.Adam(
                network.parameters(),
                settings.learning_rate,
                (settings.beta1, settings.beta2),
                weight_decay=settings.l2,
                fused=True,
            )

        # Fused Adam wants its parameters in place, so the networks move before it is built.
        fabric.to_device(generator)
        fabric.to_device(discriminator)
        self.generator, self.generator_optimizer = fabric.setup(generator, adam(generator))
        self.discriminator, self.discriminator_optimizer = fabric.setup(discriminator, adam(discriminator))

    def step(self, images: Tensor, number: int, random: np.random.Generator) -> StepLosses:
        """Update the networks on one batch of real images (N, C, H, W) in [-1, 1].

        With ``updates="both"`` the discriminator learns first and the generator is then judged by it,
        on the same generated images: one forward pass of the generator serves both.
        """
        both = self.settings.updates == "both"
        z = draw_latents(len(images), self.spec.latent, self.spec.prior, random).to(images.device)
        update_generator = both or number % 2 == 0
        with torch.set_grad_enabled(update_generator):
            generated = self.generator(z)
        if both or number % 2 == 1:
            discriminator, real, fake = self._update_discriminator(images, generated.detach(), random)
        else:
            with torch.no_grad():
                discriminator, real, fake = self._discriminator_loss(images, generated, random)
        if update_generator:
            loss = self._update_generator(generated, random)
        else:
            with torch.no_grad():
                loss = self._generator_loss(generated, random)
        return StepLosses(discriminator.detach(), loss.detach(), real, fake)

    def _augmented(self, images: Tensor, random: np.random.Generator) -> Tensor:
        return augment(images, self.settings.augment, random)

    def _discriminator_loss(
        self, images: Tensor, generated: Tensor, random: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        # Two forward passes: real and generated images are normalised as two batches, as in the paper.
        real = self.discriminator(self._augmented(images, random)).float()
        fake = self.discriminator(self._augmented(generated, random)).float()
        loss = binary_cross_entropy_with_logits(real, torch.ones_like(real))
        loss = loss + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
        return loss, real.detach().sigmoid().mean(), fake.detach().sigmoid().mean()

    def _update_discriminator(
        self, images: Tensor, generated: Tensor, random: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        loss, real, fake = self._discriminator_loss(images, generated, random)
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.discriminator_optimizer.step()
        return loss, real, fake

    def _generator_loss(self, generated: Tensor, random: np.random.Generator) -> Tensor:
        # The bare module: its gradients are not wanted here, so none must be averaged over devices.
        with self.fabric.autocast():
            logits = self.discriminator.module(self._augmented(generated, random)).float()
        return binary_cross_entropy_with_logits(logits, torch.ones_like(logits))

    def _update_generator(self, generated: Tensor, random: np.random.Generator) -> Tensor:
        # Without gradients for the discriminator's weights a third of its backward pass is saved.
        self.discriminator.requires_grad_(False)
        loss = self._generator_loss(generated, random)
        self.generator_optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.generator_optimizer.step()
        self.discriminator.requires_grad_(True)
        return loss


class MovingAverage:
    """An exponential moving average of a generator's weights.

    Parameters
    ----------
    average : Module
        A copy of the generator; holds the average.
    decay : float
        Per step; ramps up from 0.1 as (1 + step) / (10 + step), so that early averages are not mostly
        the initial weights.
    """

    def __init__(self, average: nn.Module, decay: float) -> None:
        self.average, self.decay = average.requires_grad_(False).eval(), decay

    @torch.no_grad()
    def update(self, generator: nn.Module, step: int) -> None:
        """Move the average towards the generator's weights after `step` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(
            [p.data for p in self.average.parameters()], [p.data for p in generator.parameters()], 1 - decay
        )
