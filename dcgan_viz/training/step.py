"""One update of the two networks: the DCGAN step."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from dcgan_viz.errors import UserError
from dcgan_viz.model import draw_latents
from dcgan_viz.networks.modules import Generator, make_discriminator
from dcgan_viz.networks.protocol import TorchModule
from dcgan_viz.networks.spec import NetworkSpec
from dcgan_viz.training.augment import augment
from dcgan_viz.training.checkpoints import optimizer_tensors, restore_optimizer
from dcgan_viz.training.copying import copying_loss
from dcgan_viz.training.joint_norm import join_batch_norm
from dcgan_viz.training.settings import TrainingSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric


R1_EVERY = 4
"""Steps between two penalties of the discriminator's gradient, which cost as much as a step."""


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

    def stacked(self) -> Tensor:
        """The four in this order, (4,)."""
        return torch.stack([self.discriminator, self.generator, self.real, self.generated])


@dataclass(frozen=True)
class StepMeans:
    """`StepLosses` averaged over several steps, read from the device."""

    loss_d: float
    loss_g: float
    d_real: float
    d_generated: float


def check_weights(networks: NetworkSpec, tensors: Mapping[str, Tensor]) -> None:
    """Refuse the tensors of a checkpoint of other networks, before memory is asked for these.

    Raises
    ------
    UserError
        If a tensor of a network is missing or of another shape.
    """
    with torch.device("meta"):
        parts = {
            "generator": Generator(networks.generator),
            "discriminator": make_discriminator(networks.discriminator),
        }
    for part, network in parts.items():
        for name, needed in network.state_dict().items():
            found = tensors.get(f"{part}.{name}")
            if found is None or found.shape != needed.shape:
                shape = None if found is None else tuple(found.shape)
                raise UserError(
                    f"the checkpoint's {part}.{name} has shape {shape}, but its networks need {tuple(needed.shape)}: "
                    "it is damaged"
                )


class Adversaries:
    """Both networks with their optimisers, and the step that plays them against each other.

    The initial weights are drawn from torch's global random numbers.

    Parameters
    ----------
    fabric : Fabric
        Places the networks, casts to its precision and averages gradients over devices.
    networks : NetworkSpec
    settings : TrainingSettings
    memory_format : torch.memory_format
        Of the weights; the images should have the same.
    originals : Tensor (N, C, H, W), optional
        The training images, for `TrainingSettings.copying`.
    """

    def __init__(
        self,
        fabric: Fabric,
        networks: NetworkSpec,
        settings: TrainingSettings,
        memory_format: torch.memory_format,
        originals: Tensor | None = None,
    ) -> None:
        self.fabric, self.spec, self.settings = fabric, networks.generator, settings
        # The bare modules beside Fabric's wrappers: what is saved must not depend on how it was trained.
        self.bare_generator = Generator(networks.generator)
        self.bare_discriminator = make_discriminator(networks.discriminator)
        for network in (self.bare_generator, self.bare_discriminator):
            if settings.joint_norm and fabric.world_size > 1:
                join_batch_norm(network)
            # Fused Adam wants its parameters in place, so the networks move before it is built.
            fabric.to_device(network.to(memory_format=memory_format))  # type: ignore[call-overload]
        self.originals = None if originals is None else fabric.to_device(originals)
        self.average = copy.deepcopy(self.bare_generator).requires_grad_(False).eval() if settings.ema else None
        generator = fabric.setup(self.bare_generator, self._adam(self.bare_generator))
        discriminator = fabric.setup(self.bare_discriminator, self._adam(self.bare_discriminator))
        self.generator, self.generator_optimizer = generator
        self.discriminator, self.discriminator_optimizer = discriminator

    @property
    def drawing_generator(self) -> Generator:
        """The generator to sample and save: the moving average if there is one."""
        return self.bare_generator if self.average is None else self.average

    def step(self, images: Tensor, number: int, random: np.random.Generator) -> StepLosses:
        """Update the networks on one batch of real images (N, C, H, W) in [-1, 1].

        With ``updates="both"`` the discriminator learns first and the generator is then judged by it,
        on the same generated images: one forward pass of the generator serves both.
        """
        both = self.settings.updates == "both"
        z = draw_latents(len(images), self.spec.latent_dim, self.spec.prior, random).to(images.device)
        update_generator = both or number % 2 == 0
        with torch.set_grad_enabled(update_generator):
            generated = self.generator(z)
        if both or number % 2 == 1:
            penalised = self.settings.r1 > 0 and number // (1 if both else 2) % R1_EVERY == 0
            discriminator, real, fake = self._update_discriminator(images, generated.detach(), random, penalised)
        else:
            with torch.no_grad():
                discriminator, real, fake = self._discriminator_loss(images, generated, random)
        if update_generator:
            loss = self._update_generator(generated, random)
        else:
            with torch.no_grad():
                loss = self._generator_loss(generated, random)
        if self.average is not None:
            self._update_average(self.average, number)
        return StepLosses(discriminator.detach(), loss.detach(), real, fake)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a step changes, by name."""
        tensors = {f"{part}.{name}": t for part, module in self._parts() for name, t in module.state_dict().items()}
        tensors.update(optimizer_tensors("generator_optimizer", self.generator_optimizer))
        tensors.update(optimizer_tensors("discriminator_optimizer", self.discriminator_optimizer))
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` took.

        Raises
        ------
        UserError
            If it is of other networks.
        """
        for part, module in self._parts():
            prefix = f"{part}."
            try:
                module.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
            except RuntimeError as error:
                raise UserError(f"the checkpoint's {part} belongs to other networks or is damaged: {error}") from error
        restore_optimizer("generator_optimizer", self.generator_optimizer, tensors)
        restore_optimizer("discriminator_optimizer", self.discriminator_optimizer, tensors)

    def start_from(self, generator: TorchModule, discriminator: TorchModule) -> None:
        """Take the weights of trained networks of the same architectures; the optimisers begin anew."""
        for part, module in self._parts():
            module.load_state_dict((discriminator if part == "discriminator" else generator).state_dict())

    def _parts(self) -> list[tuple[str, nn.Module]]:
        parts: list[tuple[str, nn.Module]] = [
            ("generator", self.bare_generator),
            ("discriminator", self.bare_discriminator),
        ]
        return parts if self.average is None else [*parts, ("average", self.average)]

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        settings = self.settings
        # L2 is Adam's own weight_decay, which the authors' regulariser equals; AdamW's is another.
        return torch.optim.Adam(
            network.parameters(),
            settings.learning_rate,
            (settings.beta1, settings.beta2),
            weight_decay=settings.l2,
            fused=True,
        )

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

    def _squared_slope(self, images: Tensor) -> Tensor:
        """The mean squared norm of the discriminator's gradient at the images."""
        images = images.detach().requires_grad_()
        # The bare module: Fabric's wrapper wants every backward pass to be its own.
        with self.fabric.autocast():
            logits = self.bare_discriminator(images).float()
        (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return slope.square().sum((1, 2, 3)).mean()

    def _update_discriminator(
        self, images: Tensor, generated: Tensor, random: np.random.Generator, penalised: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        loss, real, fake = self._discriminator_loss(images, generated, random)
        whole = loss
        if penalised:
            slope = self._squared_slope(self._augmented(images, random))
            whole = loss + self.settings.r1 / 2 * R1_EVERY * slope
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(whole)
        self.discriminator_optimizer.step()
        return loss, real, fake

    def _generator_loss(self, generated: Tensor, random: np.random.Generator) -> Tensor:
        # The bare module: its gradients are not wanted here, so none must be averaged over devices.
        with self.fabric.autocast():
            logits = self.bare_discriminator(self._augmented(generated, random)).float()
        return binary_cross_entropy_with_logits(logits, torch.ones_like(logits))

    def _update_generator(self, generated: Tensor, random: np.random.Generator) -> Tensor:
        # Without gradients for the discriminator's weights a third of its backward pass is saved.
        self.discriminator.requires_grad_(False)
        loss = self._generator_loss(generated, random)
        whole = loss
        if self.originals is not None:
            whole = loss + self.settings.copying * copying_loss(generated, self.originals)
        self.generator_optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(whole)
        self.generator_optimizer.step()
        self.discriminator.requires_grad_(True)
        return loss

    @torch.no_grad()
    def _update_average(self, average: Generator, number: int) -> None:
        # Ramping up keeps early averages from being mostly the initial weights.
        decay = min(self.settings.ema, (1 + number) / (10 + number))
        torch._foreach_lerp_(
            [p.data for p in average.parameters()], [p.data for p in self.bare_generator.parameters()], 1 - decay
        )
