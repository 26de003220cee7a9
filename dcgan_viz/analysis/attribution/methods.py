"""Attribution methods side by side on the same units: ours where captum is wrong on LeakyReLU, captum's elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.attribution.guided_gradient import Rule, deconvnet_gradient
from dcgan_viz.analysis.attribution.responses import Response, ask, collect, strongest_responses
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.data.images import Images, to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.layers import Layer
from dcgan_viz.networks.protocol import DiscriminatorNetwork
from dcgan_viz.results import Result, Settings

INTEGRATION_STEPS = 50
NOISE_SAMPLES, NOISE = 25, 0.1
"""SmoothGrad averages gradients over samples with Gaussian noise of this deviation; images span [-1, 1]."""


@dataclass(frozen=True)
class _Task:
    """One unit to explain."""

    discriminator: DiscriminatorNetwork
    layer: int
    image: Tensor
    unit: Unit
    rule: Rule
    seed: int

    def activation(self, images: Tensor) -> Tensor:
        """The unit's activation on each image, (n,)."""
        return self.of_unit(self.discriminator.activations(images, self.layer))

    def of_unit(self, maps: Tensor) -> Tensor:
        """The unit's values (n,) in maps (n, C, h, w) of its layer."""
        return maps[:, self.unit.map, self.unit.row, self.unit.column]


def _guided(task: _Task) -> Tensor:
    images = task.image.cpu()
    unit = Unit(0, task.unit.map, task.unit.row, task.unit.column)
    return unit_gradients(task.discriminator, task.layer, images, [unit], task.rule)


def _deconvnet(task: _Task) -> Tensor:
    return deconvnet_gradient(task.discriminator, task.image, task.activation)


def _gradient(task: _Task) -> Tensor:
    from captum.attr import Saliency

    return Saliency(task.activation).attribute(task.image.clone().requires_grad_(), abs=False)


def _input_times_gradient(task: _Task) -> Tensor:
    from captum.attr import InputXGradient

    return InputXGradient(task.activation).attribute(task.image.clone().requires_grad_())


def _integrated_gradients(task: _Task) -> Tensor:
    from captum.attr import IntegratedGradients

    explained = IntegratedGradients(task.activation).attribute(task.image, n_steps=INTEGRATION_STEPS)
    assert isinstance(explained, Tensor)
    return explained.float()


def _smoothgrad(task: _Task) -> Tensor:
    from captum.attr import NoiseTunnel, Saliency

    with torch.random.fork_rng(devices=[task.image.device] if task.image.is_cuda else []):
        torch.manual_seed(task.seed)
        explained = NoiseTunnel(Saliency(task.activation)).attribute(
            task.image.clone().requires_grad_(), nt_type="smoothgrad", nt_samples=NOISE_SAMPLES, stdevs=NOISE, abs=False
        )
    assert isinstance(explained, Tensor)
    return explained


def _gradcam(task: _Task) -> Tensor:
    # Selvaraju et al. 2017: maps weighted by the average of their gradients, and what speaks for the unit alone.
    if task.layer == 1:
        raise UserError("Grad-CAM weighs the maps of the layer below, and layer 1 has none: choose a higher layer")
    maps = task.discriminator.all_activations(task.image.clone().requires_grad_(), task.layer)
    below, explained = maps[-2], task.of_unit(maps[-1])
    (gradient,) = torch.autograd.grad(explained.sum(), below)
    coarse = (gradient.mean((2, 3), keepdim=True) * below).sum(1, keepdim=True).relu()
    whole = functional.interpolate(coarse, task.image.shape[2:], mode="bilinear", align_corners=False)
    return whole.expand_as(task.image)


def _occlusion(task: _Task) -> Tensor:
    from captum.attr import Occlusion

    channels, side = task.image.shape[1], max(task.image.shape[-1] // 8, 2)
    return Occlusion(task.activation).attribute(
        task.image, (channels, side, side), strides=(channels, side // 2, side // 2), baselines=0.0
    )


@dataclass(frozen=True)
class Method:
    """One way to explain a unit.

    Parameters
    ----------
    name : str
    attribute : callable
        From a task to the attribution (1, C, S, S) of its image.
    note : str
        What a reader of the figure has to know of it beside its name, with settings in braces; empty if nothing.
    """

    name: str
    attribute: Callable[[_Task], Tensor]
    note: str = ""


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("guided", _guided, "rule “{rule}”"),
        Method("gradient", _gradient),
        Method("deconvnet", _deconvnet, "the LeakyReLU applied to the gradient (Zeiler & Fergus 2013)"),
        Method("input-x-gradient", _input_times_gradient),
        Method("integrated-gradients", _integrated_gradients, "from mid-grey in {integration_steps} steps"),
        Method(
            "smoothgrad", _smoothgrad, "mean over {noise_samples} copies with noise of deviation {noise}, seed {seed}"
        ),
        Method("gradcam", _gradcam, "maps of layer {layer_below} weighted by their mean gradient, positive part"),
        Method(
            "occlusion",
            _occlusion,
            "fall of the activation when a grey square of an eighth of the side covers the place",
        ),
    )
}
"""By name. Captum's own guided backpropagation and deconvolution know no LeakyReLU, so these two are ours."""


class MethodSettings(Settings):
    """How a `MethodComparison` was obtained."""

    rule: Rule
    integration_steps: int
    noise_samples: int
    noise: float


@dataclass(frozen=True, kw_only=True)
class MethodComparison(Result):
    """Attributions of the same units by several methods.

    Parameters
    ----------
    layer : Layer
    methods : tuple of str
    responses : tuple of Response
        The units explained, and on which image each.
    attributions : ndarray of float32 (units, methods, C, S, S)
    pictures : ndarray of uint8 (units, S, S, C)
    """

    settings: MethodSettings
    layer: Layer
    methods: tuple[str, ...]
    responses: tuple[Response, ...]
    attributions: NDArray[np.float32]
    pictures: NDArray[np.uint8]


def compare_methods(
    model: DCGAN,
    images: Tensor | Images,
    methods: Sequence[str] = tuple(METHODS),
    *,
    layer: int | str | None = None,
    maps: Sequence[int] | None = tuple(range(6)),
    rule: Rule = "keep",
    seed: int = 0,
) -> MethodComparison:
    """Explain the same units, the strongest of each map, by several methods.

    Parameters
    ----------
    model : DCGAN
    images : Tensor (N, C, S, S) or Images
        Where the strongest units are looked for.
    methods : sequence of str
        Keys of `METHODS`: ``guided``; ``gradient``, the plain one; ``deconvnet``, which passes the gradient through
        the rectifiers themselves; ``input-x-gradient``; ``integrated-gradients`` from mid-grey; ``smoothgrad``;
        ``gradcam`` on the layer below; ``occlusion`` by a grey square of an eighth of the side.
    layer, maps
        As in `guided_backprop`.
    rule : {"keep", "zero"}
        Of ``guided``.
    seed : int
        Of the noise of ``smoothgrad``.

    Returns
    -------
    MethodComparison

    Raises
    ------
    UserError
        If a method does not exist or is not defined at this layer, or as `guided_backprop`.
    """
    unknown = [m for m in methods if m not in METHODS]
    if unknown:
        raise UserError(f"there is no method {unknown[0]!r}: choose from {', '.join(METHODS)}")
    question = ask(model, images, layer, maps)
    number = question.layer.number
    responses = strongest_responses(model.discriminator, number, question.images, question.maps, 1)
    needed, units = collect(question.images, responses)
    rows = []
    with evaluation(model.discriminator):
        for unit in units:
            task = _Task(model.discriminator, number, needed[unit.image][None].to(model.device), unit, rule, seed)
            rows.append(np.stack([METHODS[method].attribute(task).detach().cpu().numpy()[0] for method in methods]))
    return MethodComparison(
        settings={
            "model": model.card.name,
            "rule": rule,
            "seed": seed,
            "integration_steps": INTEGRATION_STEPS,
            "noise_samples": NOISE_SAMPLES,
            "noise": NOISE,
        },
        layer=question.layer,
        methods=tuple(methods),
        responses=responses,
        attributions=np.stack(rows).astype(np.float32),
        pictures=to_pixels(needed[[unit.image for unit in units]]),
    )
