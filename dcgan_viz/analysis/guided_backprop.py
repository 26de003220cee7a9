"""Guided backpropagation (Springenberg et al. 2014), exact on LeakyReLU networks and fast on DCGAN discriminators.

Two ways lead to the same numbers. `guided_gradient` guides the autograd of any network. `unit_gradients` needs no
autograd: a unit of a discriminator sees a window of the image, and its backward pass is written out as
fractionally-strided convolutions of that window alone, for many units at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from dcgan_viz.analysis.randomisation import randomised
from dcgan_viz.analysis.receptive_field import Window, receptive_field
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer, find_layer
from dcgan_viz.networks.modules import Discriminator
from dcgan_viz.results import Result

Rule = Literal["keep", "zero"]

FORWARD_BATCH = 64
UNIT_BATCH = 128

_RECTIFIERS = {
    functional.relu,
    functional.relu_,
    functional.leaky_relu,
    functional.leaky_relu_,
    torch.relu,
    torch.relu_,
    Tensor.relu,
    Tensor.relu_,
}
_REFUSED = {
    functional.celu: "CELU",
    functional.elu: "ELU",
    functional.gelu: "GELU",
    functional.hardswish: "Hardswish",
    functional.hardtanh: "Hardtanh (or ReLU6)",
    functional.mish: "Mish",
    functional.prelu: "PReLU",
    functional.rrelu: "RReLU",
    functional.selu: "SELU",
    functional.silu: "SiLU",
    functional.softplus: "Softplus",
    functional.threshold: "Threshold",
    torch.prelu: "PReLU",
    torch.clamp: "clamp",
    torch.clamp_: "clamp",
    torch.clamp_min: "clamp",
    torch.maximum: "maximum",
    Tensor.clamp: "clamp",
    Tensor.clamp_: "clamp",
    Tensor.clamp_min: "clamp",
    Tensor.maximum: "maximum",
}


def check_rule(rule: str) -> None:
    """Refuse a rule that does not exist.

    Raises
    ------
    UserError
        The message names those that do.
    """
    if rule not in get_args(Rule):
        raise UserError(f"there is no rule {rule!r}: choose keep or zero")


class _Guide(TorchFunctionMode):
    """Guides every rectifier that is called, by a module or as a function, in place or reused.

    The gradient that arrives at a rectifier's output is changed by a hook on that tensor, before the rectifier's own
    derivative applies: negative parts go, and under the rule ``zero`` whatever the rectifier did not let through.
    """

    def __init__(self, rule: Rule, where: list[str]) -> None:
        super().__init__()
        self.rule, self.where, self.rectifiers = rule, where, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _REFUSED and self.where:
            raise UserError(
                f"guided backpropagation is not defined for {_REFUSED[func]}, which the module "
                f"{self.where[-1] or 'itself'} uses: replace it with ReLU or LeakyReLU"
            )
        output = func(*args, **(kwargs or {}))
        if func in _RECTIFIERS:
            self.rectifiers += 1
            if output.requires_grad:
                output.register_hook(self._hook(output.detach() > 0))
        return output

    def _hook(self, passed: Tensor) -> Callable[[Tensor], Tensor]:
        if self.rule == "zero":
            return lambda gradient: gradient.clamp(min=0) * passed
        return lambda gradient: gradient.clamp(min=0)


@contextmanager
def _evaluation(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, so that no image depends on its batch-mates; the modes before are restored."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _whereabouts(network: nn.Module) -> Iterator[list[str]]:
    """A stack of the names of the modules that are running."""
    where: list[str] = []
    handles = []

    def leave(*_: Any) -> None:
        where.pop()

    for name, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: where.append(name)))
        handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        yield where
    finally:
        for handle in handles:
            handle.remove()


def guided_gradient(
    network: nn.Module, inputs: Tensor, target: Callable[[Tensor], Tensor], rule: Rule = "keep"
) -> Tensor:
    """The guided gradient of one number an example with respect to the inputs, for any network.

    At each rectifier the gradient g that arrives from above becomes, with x its input, max(g, 0)·1[x > 0] for a ReLU
    (Springenberg et al. 2014, equation 3.2). For a LeakyReLU of slope s the rule ``keep`` gives
    max(g, 0)·(1 if x > 0 else s), and ``zero`` gives max(g, 0)·1[x > 0].

    Parameters
    ----------
    network : Module
        Runs in evaluation mode; its modes, weights and hooks are afterwards as before.
    inputs : Tensor (N, …)
    target : callable
        Receives the inputs, calls the network or a part of it, and returns (N,) numbers.
    rule : {"keep", "zero"}

    Returns
    -------
    Tensor
        Like the inputs.

    Raises
    ------
    UserError
        If the network has no rectifier, has one that the rules are not defined for, or is compiled or scripted: its
        gradient would silently be the plain one.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.LeakyReLU(0.2))
    >>> _ = network[0].weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    >>> x = torch.tensor([[3.0, -1.0]])
    >>> guided_gradient(network, x, lambda x: network(x).sum(1))
    tensor([[1.0000, 0.2000]])
    >>> guided_gradient(network, x, lambda x: network(x).sum(1), rule="zero")
    tensor([[1., 0.]])
    """
    check_rule(rule)
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_torchdynamo_orig_callable"):
            raise UserError(
                f"the module {name or 'itself'} is compiled, and rectifiers inside it cannot be guided: give the "
                "network as it was before torch.jit or torch.compile"
            )
    leaf = inputs.detach().clone().requires_grad_()
    with _evaluation(network), _whereabouts(network) as where, torch.enable_grad():
        guide = _Guide(rule, where)
        with guide:
            values = target(leaf)
        if not guide.rectifiers:
            raise UserError("the network calls no ReLU or LeakyReLU, so there is nothing to guide")
        if values.shape != (len(inputs),):
            raise UserError(f"the target should return ({len(inputs)},) numbers, but returned {tuple(values.shape)}")
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
    return gradient


@dataclass(frozen=True)
class Unit:
    """One position of one feature map, on one image.

    Parameters
    ----------
    image : int
        Index of the image.
    map : int
        Counted from 0.
    row, column : int
    """

    image: int
    map: int
    row: int
    column: int


@torch.no_grad()
def unit_gradients(
    discriminator: Discriminator, layer: int, images: Tensor, units: Sequence[Unit], rule: Rule = "keep"
) -> Tensor:
    """Guided gradients of many units, each computed on its receptive field alone.

    One forward pass of the images serves all units. Units at the same position of their map go through the backward
    pass together, clipped at each layer to what they see.

    Parameters
    ----------
    discriminator : Discriminator
        Evaluated with its running statistics, whatever mode it is in.
    layer : int
        Counted from 1.
    images : Tensor (N, C, S, S)
        On any device; batches move to the discriminator's.
    units : sequence of Unit
        Positions in feature maps after their rectifier.
    rule : {"keep", "zero"}
        As in `guided_gradient`.

    Returns
    -------
    Tensor (len(units), C, S, S)
        float32 on the CPU; zero outside the receptive field.
    """
    check_rule(rule)
    gradients = torch.zeros(len(units), *images.shape[1:])
    by_image: dict[int, list[int]] = {}
    for index, unit in enumerate(units):
        by_image.setdefault(unit.image, []).append(index)
    numbers = list(by_image)
    for start in range(0, len(numbers), FORWARD_BATCH):
        batch = numbers[start : start + FORWARD_BATCH]
        slopes = _slopes(discriminator, layer, images[batch], rule)
        places: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for position, image in enumerate(batch):
            for index in by_image[image]:
                places.setdefault((units[index].row, units[index].column), []).append((index, position))
        for (row, column), members in places.items():
            for first in range(0, len(members), UNIT_BATCH):
                chunk = members[first : first + UNIT_BATCH]
                maps = [units[index].map for index, _ in chunk]
                window, values = _backward(
                    discriminator, layer, slopes, maps, [position for _, position in chunk], row, column
                )
                rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
                gradients[[index for index, _ in chunk], :, rows, columns] = values.cpu()
    return gradients


def _slopes(discriminator: Discriminator, layer: int, images: Tensor, rule: Rule) -> list[Tensor]:
    """What each rectifier up to a layer multiplies the gradient by, (n, C, h, w) a layer."""
    below = discriminator.spec.slope if rule == "keep" else 0.0
    maps = images.to(discriminator.head.weight)
    slopes = []
    with _evaluation(discriminator):
        for module in discriminator.layers[:layer]:
            maps = module(maps)
            # The rectifier keeps the sign, so its output tells on which side its input was.
            slopes.append(torch.where(maps > 0, 1.0, below))
    return slopes


def _gain(layer: nn.Module) -> Tensor | float:
    """What batch normalisation in evaluation mode multiplies each map by, (C, 1, 1)."""
    norm = getattr(layer, "norm", None)
    if norm is None:
        return 1.0
    return (norm.weight / torch.sqrt(norm.running_var + norm.eps))[:, None, None]


def _backward(
    discriminator: Discriminator,
    layer: int,
    slopes: list[Tensor],
    maps: list[int],
    images: list[int],
    row: int,
    column: int,
) -> tuple[Window, Tensor]:
    """Guided gradients of the units of some maps at one position: a window of the image, and (n, C, h, w) there."""
    window = Window(row, column, row + 1, column + 1)
    top = slopes[layer - 1][images, maps, row, column][:, None, None, None]
    gain = _gain(discriminator.layer(layer))
    gradient = top * (gain[maps][:, None] if isinstance(gain, Tensor) else gain)
    for number in range(layer, 0, -1):
        convolution = discriminator.layer(number).convolution
        stride, padding = convolution.stride[0], discriminator.spec.convolutions[number - 1].padding
        if number == layer:
            # One unit's gradient below its convolution is the kernel that it reads with.
            gradient = gradient * convolution.weight[maps]
        else:
            gradient = functional.conv_transpose2d(gradient, convolution.weight, stride=stride)
        size = discriminator.spec.image_size if number == 1 else slopes[number - 2].shape[-1]
        window, gradient = _clip(window, gradient, stride, padding, size)
        if number > 1:
            below = slopes[number - 2][images, :, window.top : window.bottom, window.left : window.right]
            gradient = gradient.clamp_(min=0).mul_(below).mul_(_gain(discriminator.layer(number - 1)))
    return window, gradient


def _clip(window: Window, gradient: Tensor, stride: int, padding: int, size: int) -> tuple[Window, Tensor]:
    """The window one layer down, without what lies in the padding."""
    top, left = window.top * stride - padding, window.left * stride - padding
    height, width = gradient.shape[-2:]
    clipped = Window(max(top, 0), max(left, 0), min(top + height, size), min(left + width, size))
    rows = slice(clipped.top - top, clipped.bottom - top)
    columns = slice(clipped.left - left, clipped.right - left)
    return clipped, gradient[..., rows, columns]


@dataclass(frozen=True)
class Response:
    """One of the strongest responses of a feature map.

    Parameters
    ----------
    map, rank : int
        Counted from 0; rank 0 is the strongest.
    image : int
        Which of the images.
    row, column : int
        Where in the map.
    value : float
        The activation, after its rectifier.
    window : Window
        The receptive field in the image, clipped at the border.
    """

    map: int
    rank: int
    image: int
    row: int
    column: int
    value: float
    window: Window

    @property
    def unit(self) -> Unit:
        """The unit that responded."""
        return Unit(self.image, self.map, self.row, self.column)


@torch.no_grad()
def strongest_responses(
    discriminator: Discriminator, layer: int, images: Tensor, maps: Sequence[int], top: int
) -> tuple[Response, ...]:
    """For each map the images that excite it most, each with the position of its strongest unit.

    Parameters
    ----------
    discriminator : Discriminator
        Evaluated with its running statistics.
    layer : int
    images : Tensor (N, C, S, S)
        Streamed in batches; memory does not grow with N beyond the images themselves.
    maps : sequence of int
    top : int
        Images a map, at most N.

    Returns
    -------
    tuple of Response
        Map by map in the order given, strongest first; ties go to the earlier image.
    """
    field = receptive_field(discriminator.spec, layer)
    chosen = torch.as_tensor(list(maps))
    best = torch.empty(0, len(chosen))
    best_image = torch.empty(0, len(chosen), dtype=torch.int64)
    best_place = torch.empty(0, len(chosen), dtype=torch.int64)
    size = 1
    with _evaluation(discriminator):
        for first in range(0, len(images), FORWARD_BATCH):
            activations = images[first : first + FORWARD_BATCH].to(discriminator.head.weight)
            for module in discriminator.layers[:layer]:
                activations = module(activations)
            size = activations.shape[-1]
            values, places = activations[:, chosen].flatten(2).max(2)
            numbers = torch.arange(first, first + len(values))[:, None].expand(-1, len(chosen))
            best = torch.cat([best, values.cpu()])
            best_image, best_place = torch.cat([best_image, numbers]), torch.cat([best_place, places.cpu()])
            order = torch.sort(best, dim=0, descending=True, stable=True).indices[:top]
            best, best_image, best_place = (t.gather(0, order) for t in (best, best_image, best_place))
    responses = []
    for column, number in enumerate(chosen.tolist()):
        for rank in range(len(best)):
            row, place = divmod(int(best_place[rank, column]), size)
            value, image = float(best[rank, column]), int(best_image[rank, column])
            responses.append(Response(number, rank, image, row, place, value, field.window(row, place)))
    return tuple(responses)


@dataclass(frozen=True, kw_only=True)
class GuidedBackprop(Result):
    """What excites a layer's maps, and the guided gradient of these responses; the same for random filters.

    Parameters
    ----------
    layer : Layer
    maps : tuple of int
    top : int
        Responses a map.
    receptive_field : int
        Side in pixels, unclipped.
    responses, random_responses : tuple of Response
        Of the trained filters and of random ones, map by map, strongest first.
    gradients, random_gradients : ndarray of float32 (maps, top, C, S, S)
        Guided gradients, zero outside the receptive fields.
    pictures, random_pictures : ndarray of uint8 (maps, top, S, S, C)
        The images that were responded to.
    """

    layer: Layer
    maps: tuple[int, ...]
    top: int
    receptive_field: int
    responses: tuple[Response, ...]
    random_responses: tuple[Response, ...]
    gradients: NDArray[np.float32]
    random_gradients: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    random_pictures: NDArray[np.uint8]


def guided_backprop(
    model: DCGAN,
    images: Tensor,
    *,
    layer: int | str | None = None,
    maps: Sequence[int] | None = tuple(range(6)),
    top: int = 4,
    rule: Rule = "keep",
    seed: int = 0,
    source: str = "images",
) -> GuidedBackprop:
    """Guided backpropagation over a discriminator's feature maps (Radford et al. 2015, section 6.2 and Figure 5).

    Parameters
    ----------
    model : DCGAN
    images : Tensor (N, C, S, S)
        In [-1, 1]: photographs, or samples of the model.
    layer : int or str, optional
        Number or name of a discriminator layer; the last by default, as in the paper.
    maps : sequence of int, optional
        Which maps, counted from 0; None for all.
    top : int
        Images a map.
    rule : {"keep", "zero"}
        What LeakyReLU does below zero; see `guided_gradient`.
    seed : int
        Of the random filters.
    source : str
        What the images are, for the caption.

    Returns
    -------
    GuidedBackprop

    Raises
    ------
    UserError
        If the layer or a map does not exist, or there are fewer images than `top`.
    """
    chosen_layer = model.discriminator_layers[-1] if layer is None else find_layer(model.discriminator_layers, layer)
    chosen = tuple(range(chosen_layer.channels)) if maps is None else tuple(maps)
    wrong = [m for m in chosen if not 0 <= m < chosen_layer.channels]
    if wrong:
        raise UserError(
            f"layer {chosen_layer.number} has {chosen_layer.channels} maps, numbered from 0 to "
            f"{chosen_layer.channels - 1}: there is no map {wrong[0]}"
        )
    if len(images) < max(top, 2):
        raise UserError(f"{len(images)} images are too few: give at least {max(top, 2)}")
    if tuple(images.shape[1:]) != model.networks.image_shape:
        raise UserError(f"the images are {tuple(images.shape[1:])}, but the model reads {model.networks.image_shape}")
    random = randomised(model.discriminator, range(1, len(model.discriminator_layers) + 1), images, seed)
    responses, gradients, pictures = _explain(model.discriminator, chosen_layer, images, chosen, top, rule)
    random_responses, random_gradients, random_pictures = _explain(random, chosen_layer, images, chosen, top, rule)
    return GuidedBackprop(
        settings={
            "model": model.card.name,
            "images": source,
            "image_count": len(images),
            "rule": rule,
            "seed": seed,
            "random_filters": "all layers drawn anew, batch-norm statistics measured on the same images",
        },
        layer=chosen_layer,
        maps=chosen,
        top=top,
        receptive_field=receptive_field(model.networks.discriminator, chosen_layer.number).size,
        responses=responses,
        random_responses=random_responses,
        gradients=gradients,
        random_gradients=random_gradients,
        pictures=pictures,
        random_pictures=random_pictures,
    )


def _explain(
    discriminator: Discriminator, layer: Layer, images: Tensor, maps: Sequence[int], top: int, rule: Rule
) -> tuple[tuple[Response, ...], NDArray[np.float32], NDArray[np.uint8]]:
    responses = strongest_responses(discriminator, layer.number, images, maps, top)
    gradients = unit_gradients(discriminator, layer.number, images, [r.unit for r in responses], rule).numpy()
    pictures = to_pixels(images[[r.image for r in responses]])
    return (
        responses,
        gradients.reshape(len(maps), top, *gradients.shape[1:]),
        pictures.reshape(len(maps), top, *pictures.shape[1:]),
    )
