"""What analyses ask of a network, whoever wrote it: numbered layers and a few verbs.

`Generator` and `Discriminator` of `dcgan_viz.networks.modules` do all of this; so may any other torch module. Every verb
takes tensors on any device and of any floating type, moves them to the network's, and lets gradients through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from dcgan_viz.networks.layers import Layer
from dcgan_viz.networks.receptive_field import ReceptiveField
from dcgan_viz.networks.spec import Prior


class TorchModule(Protocol):
    """The part of `torch.nn.Module` that is used of networks that are evaluated."""

    @property
    def __call__(self) -> Any:
        """The whole network."""

    def modules(self) -> Iterator[nn.Module]:
        """The module and all inside it."""

    def named_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """The same with their paths."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All weights."""

    def state_dict(self) -> dict[str, Any]:
        """Weights and running statistics by name."""

    def to(self, device: str | torch.device) -> Any:
        """Move it."""

    def train(self, mode: bool = True) -> Any:
        """Training mode."""

    def eval(self) -> Any:
        """Evaluation mode."""

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Whether weights get gradients."""


class LayeredNetwork(TorchModule, Protocol):
    """A network whose layers have numbers, and whose maps of every layer can be read."""

    @property
    def numbered_layers(self) -> tuple[Layer, ...]:
        """Its layers in order, the first number 1."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that it draws or reads."""

    def activations(self, inputs: Tensor, layer: int) -> Tensor:
        """Feature maps (N, C, h, w) of a layer after its rectifier, for latents or images (N, …)."""

    def all_activations(self, inputs: Tensor, last: int | None = None) -> list[Tensor]:
        """Feature maps of layers 1, 2, … up to `last` (all by default), in one pass."""


class GeneratorNetwork(LayeredNetwork, Protocol):
    """A network that draws images from latents."""

    @property
    def latent_dim(self) -> int:
        """Dimensions of z."""

    @property
    def prior(self) -> Prior:
        """What z is drawn from."""

    def draw_from(self, maps: Tensor, layer: int) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] from feature maps (N, C, h, w) of a layer."""

    def with_scaled_maps(self, layer: int, factors: Tensor) -> Self:
        """A copy that draws with the maps of a layer multiplied by factors (C,), after their rectifier."""

    def folded_weight(self, layer: int) -> Tensor:
        """The weight of a layer, as the normalisation after it scales it; (units, latent_dim) in layer 1.

        Raises
        ------
        UserError
            If the layer is no linear map followed by a normalisation.
        """


class DiscriminatorNetwork(LayeredNetwork, Protocol):
    """A network that scores images: its output is the logit (N,) of the probability that an image is real."""

    def logits_from(self, maps: Tensor, layer: int) -> Tensor:
        """Logits (N,) from feature maps (N, C, h, w) of a layer."""

    def receptive_field(self, layer: int) -> ReceptiveField:
        """The square of the image that the units of a layer see."""

    def redrawn(self, layers: Iterable[int], seed: int) -> Self:
        """A copy with some layers' weights drawn anew, as before training; layer k from (seed, k), whichever others are.

        The same weights on every device. Running statistics stay: measure them anew with `recalibrate`.
        """
