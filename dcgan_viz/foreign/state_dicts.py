"""Networks that others trained: state dicts of PyTorch DCGANs, read into this package's layout.

A state dict holds tensors in the order in which the layers run, but neither strides nor activations. What is read here
is the family that most ports belong to: a projection (a linear layer, or a fractionally-strided convolution of a 1x1
latent), convolutions that double or halve the side, batch normalisation, and one output unit (a linear layer, or a
convolution over the whole last map). These are the same functions as this package's layers, so the imported networks
compute what the originals do in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from dcgan_viz.errors import UserError
from dcgan_viz.networks.modules import Discriminator, Generator
from dcgan_viz.networks.spec import Convolution, DiscriminatorSpec, GeneratorSpec, Prior


@dataclass(frozen=True)
class _Part:
    """One weighted layer of a state dict with the batch normalisation that follows it."""

    name: str
    weight: Tensor
    bias: Tensor | None
    norm: Mapping[str, Tensor] | None


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a ``.pt`` or ``.pth`` file; nothing is unpickled but tensors.

    Raises
    ------
    UserError
        If the file is missing, truncated, holds anything but tensors, or is a pickle bomb.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{file} does not exist: give a file of weights")
    if file.suffix == ".safetensors":
        raise UserError(f"{file} has lost the order of its layers, as safetensors files do: give a .pt or .pth file")
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch.load raises whatever its unpickler meets; with weights_only it never runs what it reads.
        raise UserError(
            f"{file} is not a readable file of weights alone ({type(error).__name__}): save a state_dict "
            "with torch.save"
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(t, Tensor) for t in loaded.values()):
        raise UserError(f"{file} holds no state_dict: save one with torch.save(network.state_dict(), ...)")
    return {name.removeprefix("module."): tensor.float() for name, tensor in loaded.items()}


def import_generator(tensors: Mapping[str, Tensor], prior: Prior, image_size: int | None = None) -> Generator:
    """A generator from a state dict.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        In the order in which the layers run, as PyTorch saves them.
    prior : {"uniform", "normal"}
        What z was drawn from in training; the weights do not tell.
    image_size : int, optional
        Side of the images that it draws; needed where 3x3 kernels leave open which layers double the side.

    Returns
    -------
    Generator
        In evaluation mode.

    Raises
    ------
    UserError
        If the layers are not those of a DCGAN; the message names the layer and its shape.
    """
    first, *rest = _parts(tensors)
    if not rest:
        raise UserError("this generator has a single layer: a projection and convolutions are needed")
    if first.weight.ndim == 2:
        # Linear (units, latent); the convolution above tells into how many maps its units are folded.
        channels = rest[0].weight.shape[0]
        base = round((first.weight.shape[0] / channels) ** 0.5)
        weight = first.weight
    else:
        # A fractionally-strided convolution of a 1x1 map (latent, maps, k, k) is a linear layer.
        channels, base = first.weight.shape[1], first.weight.shape[-1]
        weight = first.weight.flatten(1).T
    if weight.shape[0] != channels * base**2:
        raise _strange("generator", first)
    for part, before in zip(rest, [channels, *(p.weight.shape[1] for p in rest)], strict=False):
        if part.weight.ndim != 4 or part.weight.shape[0] != before:
            raise _strange("generator", part)
    spec = GeneratorSpec(
        latent=weight.shape[1],
        prior=prior,
        base_channels=channels,
        base_size=base,
        convolutions=_convolutions(rest, [p.weight.shape[1] for p in rest], base, image_size),
    )
    network = Generator(spec).eval()
    projection = network.layers[0]
    projection.get_submodule("linear").get_parameter("weight").data.copy_(weight)
    # A normalisation (or bias) of whole maps is one of every unit with the same numbers.
    repeats = {channels: base**2, channels * base**2: 1}
    given = first.norm or _no_normalisation(channels, spec.norm_eps)
    norm = {name: tensor.repeat_interleave(repeats[tensor.numel()]) for name, tensor in given.items()}
    bias = None if first.bias is None else first.bias.repeat_interleave(repeats[first.bias.numel()])
    _fill_norm(projection.get_submodule("norm"), norm, bias)
    for layer, part in zip(network.layers[1:], rest, strict=True):
        _fill(layer, part)
    return network


def import_discriminator(tensors: Mapping[str, Tensor], image_size: int, slope: float) -> Discriminator:
    """A discriminator from a state dict.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        In the order in which the layers run, as PyTorch saves them.
    image_size : int
        Side of the images that it reads.
    slope : float
        Of its LeakyReLUs; the weights do not tell.

    Returns
    -------
    Discriminator
        In evaluation mode.

    Raises
    ------
    UserError
        If the layers are not those of a DCGAN; the message names the layer and its shape.
    """
    *body, head = _parts(tensors)
    if not body:
        raise UserError("this discriminator has a single layer: convolutions and an output unit are needed")
    if head.weight.shape[0] != 1 or head.norm is not None:
        raise _strange("discriminator", head)
    before = body[0].weight.shape[1]
    for part in body:
        if part.weight.ndim != 4 or part.weight.shape[1] != before:
            raise _strange("discriminator", part)
        before = part.weight.shape[0]
    spec = DiscriminatorSpec(
        image_channels=body[0].weight.shape[1],
        image_size=image_size,
        convolutions=_convolutions(body, [p.weight.shape[0] for p in body], _final_size(head, before), image_size),
        slope=slope,
        head_bias=head.bias is not None,
    )
    network = Discriminator(spec).eval()
    for number, part in enumerate(body, start=1):
        _fill(network.layer(number), part)
    network.head.weight.data.copy_(head.weight.reshape(1, -1))
    if head.bias is not None:
        network.head.bias.data.copy_(head.bias)
    return network


def _parts(tensors: Mapping[str, Tensor]) -> list[_Part]:
    """Weighted layers in their order, each with the normalisation that follows it."""
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        module, _, entry = name.rpartition(".")
        modules.setdefault(module, {})[entry] = tensor
    parts: list[_Part] = []
    for name, entries in modules.items():
        weight = entries.get("weight")
        if "running_mean" in entries:
            if not parts or parts[-1].norm is not None:
                raise UserError(f"the batch normalisation {name} follows no convolution of its own")
            parts[-1] = replace(parts[-1], norm={n: t for n, t in entries.items() if t.ndim == 1})
        elif weight is not None and weight.ndim in (2, 4):
            parts.append(_Part(name, weight, entries.get("bias"), None))
        else:
            raise UserError(f"the layer {name} ({', '.join(entries)}) is none that a DCGAN has")
    if not parts:
        raise UserError("the file holds no convolutions")
    return parts


def _convolutions(parts: list[_Part], channels: list[int], small: int, large: int | None) -> tuple[Convolution, ...]:
    """The convolutions between maps of two sides; 3x3 kernels may keep the side or change it."""
    doublings = sum(p.weight.shape[-1] != 3 for p in parts)
    open_question = doublings < len(parts)
    if large is None and open_question:
        raise UserError("its 3x3 kernels may have stride 1 or 2: give the side of its images with --size")
    if large is None or large == small * 2**doublings:
        stride = 1
    elif large == small * 2 ** len(parts):
        stride = 2
    else:
        raise UserError(
            f"layers of kernels {', '.join(str(p.weight.shape[-1]) for p in parts)} do not lead from {small}x{small} "
            f"maps to {large}x{large} images in steps of two: such a network cannot be imported"
        )
    return tuple(
        Convolution(
            count,
            part.weight.shape[-1],
            stride if part.weight.shape[-1] == 3 else 2,
            norm=part.norm is not None,
            bias=part.bias is not None and part.norm is None,
        )
        for part, count in zip(parts, channels, strict=True)
    )


def _final_size(head: _Part, channels: int) -> int:
    """Side of the maps that an output unit reads."""
    side = round((head.weight.numel() / channels) ** 0.5)
    if head.weight.numel() != channels * side**2:
        raise _strange("discriminator", head)
    return side


def _no_normalisation(channels: int, eps: float) -> dict[str, Tensor]:
    """A batch normalisation that changes nothing."""
    zeros, ones = torch.zeros(channels), torch.ones(channels)
    return {"weight": ones * (1 + eps) ** 0.5, "bias": zeros, "running_mean": zeros, "running_var": ones}


def _strange(side: str, part: _Part) -> UserError:
    return UserError(
        f"the {side}'s layer {part.name} has weights {tuple(part.weight.shape)}, which do not fit its neighbours: only "
        "DCGANs whose layers follow one another can be imported"
    )


@torch.no_grad()
def _fill(layer: nn.Module, part: _Part) -> None:
    convolution = layer.get_submodule("convolution")
    convolution.get_parameter("weight").copy_(part.weight)
    if part.norm is not None:
        _fill_norm(layer.get_submodule("norm"), part.norm, part.bias)
    elif part.bias is not None:
        convolution.get_parameter("bias").copy_(part.bias)


@torch.no_grad()
def _fill_norm(norm: nn.Module, entries: Mapping[str, Tensor], bias: Tensor | None) -> None:
    """Copy a normalisation; a bias before it is the same as a smaller running mean."""
    for name, tensor in entries.items():
        target = norm.get_buffer(name) if name.startswith("running") else norm.get_parameter(name)
        target.copy_(tensor)
    if bias is not None:
        norm.get_buffer("running_mean").sub_(bias)
