"""Networks of this package out of a reading of somebody's weights: the same functions, in this package's layout.

What a layout cannot hold literally is folded exactly: an epsilon of its own into a variance, a latent from U(0, 1) into the
projection, a normalisation of maps into one of their units, a kernel that reads few maps into a linear layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.chains import Link, Norm
from dcgan_viz.foreign.knowledge import Step
from dcgan_viz.foreign.testimony import Reading
from dcgan_viz.networks.modules import Discriminator, Generator
from dcgan_viz.networks.spec import Convolution, DiscriminatorSpec, GeneratorSpec, Output, Prior


@torch.no_grad()
def build_generator(reading: Reading, output: Output) -> Generator:
    """A generator that draws what a reading says, in evaluation mode.

    Parameters
    ----------
    reading : Reading
    output : {"tanh", "sigmoid", "none"}

    Raises
    ------
    UserError
        If the reading has a layer that this package's generators do not have.
    """
    habits, chain, geometry = reading.habits, reading.chain, reading.geometry
    eps = min(habits.eps, habits.first_eps)
    weight, bias, norm = _projection(reading)
    hidden = [
        _drawing(link, geometry.steps[k], geometry.sizes[k], habits.norm_first) for k, link in enumerate(chain) if k
    ]
    prior: Prior = "normal" if habits.source == "normal" else "uniform"
    spec = GeneratorSpec(
        latent_dim=weight.shape[1],
        prior=prior,
        base_channels=weight.shape[0] // geometry.sizes[0] ** 2,
        base_size=geometry.sizes[0],
        convolutions=tuple(convolution for convolution, _ in hidden),
        norm_eps=eps,
        base_norm=norm is not None,
        base_bias=bias is not None,
        base_activated=habits.first_activated,
        activation=habits.activation,
        negative_slope=habits.slope,
        norm_first=habits.norm_first,
        output=output,
    )
    network = Generator(spec)
    _fill(network.layers[0], "linear", Link("", weight, bias, norm), habits.first_eps - eps)
    for layer, (_, link) in zip(network.layers[1:], hidden, strict=True):
        _fill(layer, "convolution", link, habits.eps - eps)
    return network.eval().requires_grad_(False)


def _projection(reading: Reading) -> tuple[Tensor, Tensor | None, Norm | None]:
    """The first link as a linear layer (units, latent), with bias and normalisation of every unit."""
    first, side = reading.chain[0], reading.geometry.sizes[0]
    weight = first.weight
    if not first.linear:
        step = reading.geometry.steps[0]
        # What lies beyond the kernel, by output padding, is the bias alone.
        padded = nn.functional.pad(weight, (0, step.output_padding) * 2)
        end = padded.shape[-1] - step.padding
        weight = padded[:, :, step.padding : end, step.padding : end].flatten(1).T
    bias = None if first.bias is None else _per_unit(first.bias, len(weight))
    norm = None if first.norm is None else _unit_norm(first.norm, len(weight))
    assert len(weight) % side**2 == 0
    if reading.habits.source == "unit":
        # z = (z' + 1) / 2 with z' from U(-1, 1).
        weight = weight / 2
        bias = weight.sum(1) if bias is None else bias + weight.sum(1)
    return weight, bias, norm


def _per_unit(values: Tensor, units: int) -> Tensor:
    """Values of maps, or already of units, as one for every unit."""
    return values.repeat_interleave(units // values.numel())


def _unit_norm(norm: Norm, units: int) -> Norm:
    gain, shift, mean, variance = (_per_unit(v, units) for v in (norm.gain, norm.shift, norm.mean, norm.variance))
    return Norm(norm.name, gain, shift, mean, variance, norm.batches)


def _drawing(link: Link, step: Step, side: int, norm_first: bool) -> tuple[Convolution, Link]:
    """A layer of a generator above its projection; a linear one is a convolution of a 1x1 map."""
    if not link.linear:
        convolution = Convolution(
            link.weight.shape[1],
            link.kernel,
            step.stride,
            norm=link.norm is not None,
            bias=link.bias is not None,
            padding=step.padding,
            output_padding=step.output_padding,
            upsample=step.upsample,
        )
        return convolution, link
    units, before = link.weight.shape
    weight = link.weight.T.reshape(before, units // side**2, side, side)
    norm, bias = link.norm, link.bias
    if side > 1 and (norm is not None or bias is not None):
        if bias is not None and norm is not None and not norm_first:
            raise UserError(
                f"the layer {link.name} has a bias for every unit before its activation: give the network itself"
            )
        # A bias for every unit is carried by a normalisation of every unit that changes nothing else.
        norm = _unit_norm(norm or _nothing(units), units)
        norm, bias = (norm if bias is None else replace(norm, mean=norm.mean - bias)), None
    convolution = Convolution(
        weight.shape[1], side, 1, norm=norm is not None, bias=bias is not None, padding=0, unit_norm=side > 1
    )
    return convolution, Link(link.name, weight, bias, norm)


def _nothing(width: int) -> Norm:
    """A normalisation that changes nothing, but for an epsilon that its gain makes up for."""
    ones = torch.ones(width)
    return Norm("", ones * (1 + 1e-5) ** 0.5, 0 * ones, 0 * ones, ones)


@torch.no_grad()
def build_discriminator(reading: Reading, image_size: int) -> Discriminator:
    """A discriminator that scores as a reading says, in evaluation mode.

    Parameters
    ----------
    reading : Reading
    image_size : int
        Side of the pictures that it reads.
    """
    habits, geometry = reading.habits, reading.geometry
    *body, head = reading.chain
    side, channels = image_size, body[0].weight.shape[1]
    layers: list[tuple[Convolution, Link]] = []
    for number, link in enumerate(body):
        step = Step(1, 0) if link.linear else geometry.steps[number]
        read = side if link.linear else 0
        weight = link.weight.reshape(len(link.weight), channels, read, read) if link.linear else link.weight
        convolution = Convolution(
            len(weight),
            weight.shape[-1],
            step.stride,
            norm=link.norm is not None,
            bias=link.bias is not None,
            padding=step.padding,
            output_padding=0,
        )
        layers.append((convolution, replace(link, weight=weight)))
        side, channels = convolution.side_below(side), len(weight)
    weight, bias = _head(head, geometry.steps[-1], side, habits.eps)
    spec = DiscriminatorSpec(
        image_channels=body[0].weight.shape[1],
        image_size=image_size,
        convolutions=tuple(convolution for convolution, _ in layers),
        negative_slope=habits.slope,
        norm_eps=habits.eps,
        head_bias=bias is not None,
        activation=habits.activation,
        norm_first=habits.norm_first,
        unit_pixels=habits.source == "sigmoid",
    )
    network = Discriminator(spec)
    for number, (_, link) in enumerate(layers, start=1):
        _fill(network.layer(number), "convolution", link, 0.0)
    network.head.weight.copy_(weight)
    if bias is not None:
        network.head.bias.copy_(bias)
    return network.eval().requires_grad_(False)


def _head(head: Link, step: Step, side: int, eps: float) -> tuple[Tensor, Tensor | None]:
    """The last layer as one linear unit over all maps; a normalisation of its score is multiplied out."""
    weight, bias = head.weight, head.bias
    if not head.linear:
        weight = _over_all(weight[0], step, side).flatten()[None]
    if head.norm is not None:
        gain = head.norm.gain / (head.norm.variance + eps).sqrt()
        bias = gain * ((0 if bias is None else bias) - head.norm.mean) + head.norm.shift
        weight = weight * gain
    return weight, bias


def _over_all(kernel: Tensor, step: Step, side: int) -> Tensor:
    """Weights (C, side, side) of the mean score of a kernel at all its places; usually there is one."""
    size = kernel.shape[-1]
    places = [p * step.stride - step.padding for p in range((side + 2 * step.padding - size) // step.stride + 1)]
    total = kernel.new_zeros(len(kernel), side + 2 * size, side + 2 * size)
    for row in places:
        for column in places:
            total[:, row + size : row + 2 * size, column + size : column + 2 * size] += kernel / len(places) ** 2
    return total[:, size:-size, size:-size]


def _fill(layer: nn.Module, name: str, link: Link, more_eps: float) -> None:
    """Copy weights, bias and normalisation into a layer; an epsilon that is larger goes into the variances."""
    module = layer.get_submodule(name)
    entries: Mapping[str, Tensor | None] = {"weight": link.weight, "bias": link.bias}
    for entry, value in entries.items():
        if value is not None:
            module.get_parameter(entry).copy_(value)
    if link.norm is not None:
        norm = layer.get_submodule("norm")
        norm.get_parameter("weight").copy_(link.norm.gain)
        norm.get_parameter("bias").copy_(link.norm.shift)
        norm.get_buffer("running_mean").copy_(link.norm.mean)
        norm.get_buffer("running_var").copy_(link.norm.variance + more_eps)
