"""Any torch modules behind the protocol that analyses ask for, by hooks that are there while a network runs and no longer."""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import pairwise
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor, nn, norm_except_dim
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from dcgan_viz.card import Card
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.layers import Layer, Side, find_layer
from dcgan_viz.networks.modules import NoDiscriminator
from dcgan_viz.networks.receptive_field import ReceptiveField
from dcgan_viz.networks.spec import Output, Prior

_ENDINGS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Softplus, nn.CELU, nn.RReLU, nn.Mish)
"""Modules whose outputs are feature maps, where no layers are named."""

Network = nn.Module | functools.partial[Any]


def wrap(
    generator: Network,
    discriminator: Network | None = None,
    *,
    latent: Sequence[int] = (100,),
    prior: Prior = "normal",
    generator_layers: Sequence[str] | None = None,
    discriminator_layers: Sequence[str] | None = None,
    output: Output = "tanh",
    name: str = "live",
) -> DCGAN:
    """A model of any torch modules, for every analysis that needs no specification of its networks.

    Parameters
    ----------
    generator : Module, or functools.partial of one
        From z (N, *latent) to images (N, C, S, S).
    discriminator : Module, or functools.partial of one, optional
        From images in the generator's range to logits, or to probabilities if a Sigmoid module comes last.
    latent : sequence of int
        Shape of one z: ``(100,)``, or ``(100, 1, 1)`` as in PyTorch's tutorial.
    prior : {"normal", "uniform"}
        N(0, 1) or U(-1, 1).
    generator_layers, discriminator_layers : sequence of str, optional
        Names as in `named_modules`, from the input; their outputs are the feature maps. By default those of activation
        modules, which are printed. A generator's last layer is its image, and need not be named.
    output : {"tanh", "sigmoid", "none"}
        Images are in [-1, 1], or in [0, 1] after a sigmoid.
    name : str
        On the card.

    Returns
    -------
    DCGAN
        Its networks are the modules themselves, in evaluation mode while they run.

    Raises
    ------
    UserError
        If a layer does not exist, runs more than once, or has no square maps; the networks do not fit together; or one
        is no function of its input: it draws at random, or an output depends on the others of its batch.

    Examples
    --------
    >>> upper = nn.Sequential(nn.ConvTranspose2d(10, 8, 4), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh())
    >>> model = wrap(upper, latent=(10, 1, 1), generator_layers=["1"])
    >>> model.sample(2).shape, str(model.generator_layers[0])
    (torch.Size([2, 3, 8, 8]), '1: ReLU, 8 maps of 4x4, as written')
    """
    shape = tuple(latent)
    drawing = LiveGenerator(generator, shape, prior, output)
    drawing.name_layers("generator", generator_layers, torch.zeros(2, drawing.latent_dim))
    random = torch.Generator().manual_seed(0)
    drawing.check("generator", torch.randn(3, drawing.latent_dim, generator=random))
    critic: LiveDiscriminator | None = None
    if discriminator is not None:
        critic = LiveDiscriminator(discriminator, drawing.image_shape, output)
        critic.name_layers("discriminator", discriminator_layers, torch.zeros(2, *drawing.image_shape))
        critic.check("discriminator", torch.rand(3, *drawing.image_shape, generator=random) * 2 - 1)
    summary = f"{type(drawing.module).__name__}, a live module"
    weakness = "Its networks are live modules: their code draws, and their own file must be kept."
    return DCGAN(drawing, critic or NoDiscriminator(), Card(name, summary, None, weaknesses=(weakness,)))


class _Live(nn.Module):
    """A module whose layers are read, replaced and scaled by hooks that last as long as one run."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        module = network.func if isinstance(network, functools.partial) else network
        if not isinstance(module, nn.Module):
            raise UserError(
                f"a {type(module).__name__} is not a torch module: give a Module, or functools.partial of one"
            )
        self.module = module
        self.arguments: tuple[Any, ...] = network.args if isinstance(network, functools.partial) else ()
        self.keywords: dict[str, Any] = network.keywords if isinstance(network, functools.partial) else {}
        self.layer_names: tuple[str, ...] = ()
        self.described: tuple[Layer, ...] = ()
        self.scales: dict[int, Tensor] = {}

    @property
    def numbered_layers(self) -> tuple[Layer, ...]:
        """The layers in order, the first number 1."""
        return self.described

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._reference.device

    @property
    def _reference(self) -> Tensor:
        return next((p for p in self.module.parameters() if p.is_floating_point()), torch.zeros(()))

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The module's own, with all else that its outputs depend on: bound arguments, and factors of its maps."""
        bound = {f"argument {n}": v for n, v in enumerate(self.arguments)} | self.keywords
        held = {f"bound.{n}": torch.as_tensor(v) for n, v in bound.items() if isinstance(v, Tensor | int | float)}
        scaled = {f"scale.{n}": factors for n, factors in self.scales.items()}
        return {**self.module.state_dict(*args, **kwargs), **held, **scaled}

    def _shaped(self, inputs: Tensor) -> Tensor:
        return inputs

    def _ended(self, outputs: Tensor) -> Tensor:
        return outputs

    @torch.no_grad()
    def check(self, side: Side, examples: Tensor) -> None:
        """Refuse a network that is no function of its input, on examples (3, …).

        Raises
        ------
        UserError
        """
        together, again, alone = self._run(examples), self._run(examples), self._run(examples[:1])
        if not together.isfinite().all():
            raise UserError(f"the {side} returns values that are not finite: its weights are damaged, or not loaded")
        if not torch.allclose(together, again, rtol=1e-4, atol=1e-5):
            raise UserError(
                f"the {side} returns something else each time that it reads the same, though it is in evaluation mode: "
                "take out what is random, such as functional.dropout without training=self.training"
            )
        if not torch.allclose(together[:1], alone, rtol=1e-3, atol=1e-4):
            named = self.module.named_modules()
            norms = [n for n, m in named if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is None]
            cause = f": {norms[0]} normalises by the batch, and needs running statistics" if norms else ""
            raise UserError(
                f"what the {side} returns for one input depends on the others of its batch{cause}, so its maps belong to no "
                "single one"
            )

    def _submodule(self, number: int) -> nn.Module:
        return self.module.get_submodule(self.layer_names[number - 1])

    def _run(
        self, inputs: Tensor, seen: dict[int, Tensor] | None = None, given: Mapping[int, Tensor] | None = None
    ) -> Tensor:
        """Run the module; write the maps of layers into `seen`, put those of `given` in their place."""
        with ExitStack() as stack:
            stack.enter_context(evaluation(self.module))
            for number in range(1, len(self.layer_names) + 1):
                hook = functools.partial(self._at_layer, number, seen, given or {})
                stack.callback(self._submodule(number).register_forward_hook(hook).remove)
            return self._ended(self.module(*self.arguments, self._shaped(inputs.to(self._reference)), **self.keywords))

    def _at_layer(
        self, number: int, seen: dict[int, Tensor] | None, given: Mapping[int, Tensor], *arguments: Any
    ) -> Tensor | None:
        output = arguments[-1]
        if number in given:
            output = given[number]
        elif number in self.scales:
            output = output * self.scales[number].to(output)[:, None, None]
        if seen is not None:
            if number in seen:
                raise UserError(
                    f"the module {self.layer_names[number - 1]} runs more than once, so it is not a single layer: name others"
                )
            # What comes after may write in place; it goes on from a copy of what is seen, for gradients to reach that.
            seen[number] = output.clone() if isinstance(output, Tensor) else output
            if torch.is_grad_enabled() and isinstance(output, Tensor):
                return seen[number].clone()
        return output if number in given or number in self.scales else None

    def activations(self, inputs: Tensor, layer: int) -> Tensor:
        """Feature maps (N, C, h, w) of a layer."""
        return self.all_activations(inputs, layer)[-1]

    def all_activations(self, inputs: Tensor, last: int | None = None) -> list[Tensor]:
        """Feature maps of layers 1, 2, … up to `last` (all by default), in one pass."""
        seen: dict[int, Tensor] = {}
        output = self._run(inputs, seen)
        end = len(self.numbered_layers) if last is None else find_layer(self.numbered_layers, last).number
        return [seen.get(k, output) for k in range(1, end + 1)]

    def _from(self, maps: Tensor, layer: int, dummies: Callable[[int, float], Tensor]) -> Tensor:
        """What the module makes of maps of a layer, if what lies below has no other way up."""
        number = find_layer(self.numbered_layers, layer).number
        if number > len(self.layer_names):
            return maps
        given = {number: maps.to(self._reference)}
        with torch.no_grad():
            one, other = (self._run(dummies(len(maps), value), given=given) for value in (0.0, 0.5))
        if not torch.allclose(one, other, rtol=1e-4, atol=1e-5):
            raise UserError(
                f"a connection leads around layer {number} ({self.layer_names[number - 1]}), so what comes after it does not "
                "depend on its maps alone: name a layer after the connection ends"
            )
        return self._run(dummies(len(maps), 0.0), given=given)

    def name_layers(self, side: Side, names: Sequence[str] | None, example: Tensor) -> None:
        """Settle which modules are layers, by one run.

        Raises
        ------
        UserError
            If one does not exist, does not run exactly once, or has no square maps.
        """
        known = dict(self.module.named_modules())
        if names is None:
            names = [n for n, m in known.items() if isinstance(m, _ENDINGS)]
            names = self._in_running_order(names, example)
            if not names:
                raise UserError(
                    f"the {side} has no activation modules to take for layers: name its layers as in named_modules"
                )
            print(f"{side} layers: {', '.join(names)}", file=sys.stderr)  # noqa: T201
        missing = [n for n in names if n not in known or not n]
        if missing:
            raise UserError(f"the {side} has no module {missing[0]}: choose from {', '.join(n for n in known if n)}")
        self.layer_names = tuple(names)
        seen: dict[int, Tensor] = {}
        with torch.no_grad():
            output = self._run(example, seen)
        layers = []
        for number, name in enumerate(names, start=1):
            maps = seen.get(number)
            if not isinstance(maps, Tensor) or maps.ndim != 4 or maps.shape[2] != maps.shape[3]:
                found = "does not run" if maps is None else f"writes {tuple(getattr(maps, 'shape', ()))}"
                raise UserError(
                    f"the module {name} of the {side} {found}, and a layer writes square maps: name another"
                )
            kind = type(known[name]).__name__
            layers.append(Layer(side, number, name, kind, maps.shape[1], maps.shape[2], "as written"))
        if side == "generator":
            layers.append(Layer(side, len(names) + 1, "image", "image", output.shape[1], output.shape[2], "as written"))
        self.described = tuple(layers)

    def _in_running_order(self, names: Sequence[str], example: Tensor) -> list[str]:
        """Those of some modules that run once and write square maps, as they run."""
        ran: list[str] = []
        square: set[str] = set()

        def note(name: str, _: nn.Module, __: Any, output: Any) -> None:
            ran.append(name)
            if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] == output.shape[3]:
                square.add(name)

        with ExitStack() as stack, torch.no_grad():
            for name in names:
                hook = functools.partial(note, name)
                stack.callback(self.module.get_submodule(name).register_forward_hook(hook).remove)
            self._run(example)
        return [name for name in ran if name in square and ran.count(name) == 1]


class _Seen(Exception):  # noqa: N818
    """Layer 1 has run; what comes after it need not."""


class LiveGenerator(_Live):
    """Somebody's generator."""

    def __init__(self, network: Network, latent: tuple[int, ...], prior: Prior, output: Output) -> None:
        super().__init__(network)
        self.latent_shape, self.prior, self.output = latent, prior, output

    @property
    def latent_dim(self) -> int:
        """Dimensions of z."""
        return int(np.prod(self.latent_shape))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        image = self.described[-1]
        return image.channels, image.size, image.size

    def _shaped(self, inputs: Tensor) -> Tensor:
        return inputs.reshape(len(inputs), *self.latent_shape)

    def _ended(self, outputs: Tensor) -> Tensor:
        if not isinstance(outputs, Tensor) or outputs.ndim != 4 or outputs.shape[2] != outputs.shape[3]:
            found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise UserError(f"the generator returns {found}, and should return square images (N, C, S, S)")
        if outputs.shape[1] not in (1, 3):
            raise UserError(f"the generator's images have {outputs.shape[1]} channels instead of 1 or 3")
        return 2 * outputs - 1 if self.output == "sigmoid" else outputs

    def forward(self, z: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] from latents (N, latent)."""
        return self._run(z)

    def draw_from(self, maps: Tensor, layer: int) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] from feature maps (N, C, h, w) of a layer."""
        return self._from(maps, layer, lambda count, value: torch.full((count, self.latent_dim), value))

    def with_scaled_maps(self, layer: int, factors: Tensor) -> Self:
        """A copy that draws with the maps of a layer multiplied by factors (C,)."""
        edited = copy.deepcopy(self)
        number = find_layer(self.numbered_layers[:-1], layer).number
        edited.scales[number] = edited.scales.get(number, torch.ones(())) * factors.detach().cpu()
        return edited

    @torch.no_grad()
    def folded_weight(self, layer: int) -> Tensor:
        """The linear map (units, latent) from z to what layer 1 makes before its first activation, found by running it.

        Raises
        ------
        UserError
            Of other layers, and if nothing in layer 1 is linear in z.
        """
        if layer != 1:
            raise UserError(f"generator layer {layer} is a live module, of which no single weight is known")
        # Three random latents tell whether an output is linear in z, the units of z what the map is.
        random = torch.randn(3, self.latent_dim, generator=torch.Generator().manual_seed(0))
        units = torch.cat([torch.zeros(1, self.latent_dim), torch.eye(self.latent_dim), random])
        seen: list[Tensor] = []
        with ExitStack() as stack:
            for name, module in self.module.named_modules():
                # What runs after layer 1 is no part of it.
                hook = functools.partial(self._until_layer_1, seen, name)
                stack.callback(module.register_forward_hook(hook).remove)
            with suppress(_Seen):
                self._run(units)
        for values in reversed(seen):
            maps = values.flatten(1)
            weight, found = maps[1:-3] - maps[:1], maps[-3:] - maps[:1]
            expected = random.to(weight) @ weight
            if weight.abs().max() > 0 and torch.allclose(
                found, expected, rtol=1e-3, atol=1e-4 * float(found.abs().max())
            ):
                return weight.T
        raise UserError(
            f"nothing in the layer {self.layer_names[0]} is linear in z, so it has no weight of which directions could be factors"
        )

    def _until_layer_1(self, seen: list[Tensor], name: str, *arguments: Any) -> None:
        output = arguments[-1]
        if isinstance(output, Tensor) and len(output) == self.latent_dim + 4:
            seen.append(output.clone())
        if name == self.layer_names[0]:
            raise _Seen


class LiveDiscriminator(_Live):
    """Somebody's discriminator."""

    def __init__(self, network: Network, image_shape: tuple[int, int, int], output: Output) -> None:
        super().__init__(network)
        self.image_shape, self.output = image_shape, output
        self.sigmoid: str | None = None
        self.sigmoid = self._last_sigmoid()

    def _shaped(self, inputs: Tensor) -> Tensor:
        return (inputs + 1) / 2 if self.output == "sigmoid" else inputs

    def _ended(self, outputs: Tensor) -> Tensor:
        return outputs.flatten(1).mean(1) if outputs.ndim > 1 else outputs

    @torch.no_grad()
    def _last_sigmoid(self) -> str | None:
        """The Sigmoid that makes probabilities of logits, if there is one that runs last; what it reads is the logit."""
        ran: list[str] = []
        with ExitStack() as stack:
            for name, module in self.module.named_modules():
                if next(module.children(), None) is None and not isinstance(module, nn.Flatten | nn.Identity):
                    stack.callback(module.register_forward_hook(lambda *_, n=name: ran.append(n)).remove)
            self._run(torch.zeros(2, *self.image_shape))
        last = self.module.get_submodule(ran[-1]) if ran else None
        return ran[-1] if isinstance(last, nn.Sigmoid) else None

    def _run(
        self, inputs: Tensor, seen: dict[int, Tensor] | None = None, given: Mapping[int, Tensor] | None = None
    ) -> Tensor:
        with ExitStack() as stack:
            if self.sigmoid is not None:
                module = self.module.get_submodule(self.sigmoid)
                stack.callback(module.register_forward_hook(lambda _, arguments, __: arguments[0]).remove)
            return super()._run(inputs, seen, given)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N,) of images (N, C, H, W) in [-1, 1]; where the module scores patches, their mean."""
        return self._run(images)

    def logits_from(self, maps: Tensor, layer: int) -> Tensor:
        """Logits (N,) from feature maps (N, C, h, w) of a layer."""
        return self._from(maps, layer, lambda count, value: torch.full((count, *self.image_shape), value))

    @torch.no_grad()
    def receptive_field(self, layer: int) -> ReceptiveField:
        """The square of the image that the units of a layer see, found by rows that are no numbers and spread."""
        size = self.image_shape[1]
        images = torch.zeros(size, *self.image_shape)
        images[torch.arange(size), :, torch.arange(size)] = torch.nan
        sees = self.activations(images, layer).isnan().any(3).any(1).cpu().numpy()
        first = np.array([rows.argmax() for rows in sees.T])
        last = np.array([size - 1 - rows[::-1].argmax() for rows in sees.T])
        whole = ReceptiveField(size, 0, 0, size)
        steps = {int(b - a) for a, b in pairwise(first) if a > 0}
        steps |= {int(b - a) for a, b in pairwise(last) if b < size - 1}
        inner_first, inner_last = np.flatnonzero(first > 0), np.flatnonzero(last < size - 1)
        if len(steps) != 1 or not len(inner_first) or not len(inner_last) or not sees.any():
            return whole
        (stride,) = steps
        offset = int(first[inner_first[0]] - inner_first[0] * stride)
        end = int(last[inner_last[0]] - inner_last[0] * stride)
        return ReceptiveField(end - offset + 1, stride, offset, size)

    def redrawn(self, layers: Iterable[int], seed: int) -> Self:
        """A copy with some layers' weights drawn anew; those of a layer are all that run since the layer below."""
        owners = self._owners()
        network = copy.deepcopy(self)
        with torch.random.fork_rng(devices=[]):
            for number in layers:
                torch.manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
                for name in owners.get(number, ()):
                    _redraw(network.module.get_submodule(name), name)
        return network.to(self.device)

    @torch.no_grad()
    def _owners(self) -> dict[int, list[str]]:
        """Modules with weights of their own by the layer that they run for."""
        order: list[str] = []
        own = {n for n, m in self.module.named_modules() if "parametrizations" not in n.split(".") and _weighted(m)}
        with ExitStack() as stack:
            for name, module in self.module.named_modules():
                if name in own or name in self.layer_names:
                    hook = functools.partial(lambda n, *_: order.append(n), name)
                    stack.callback(module.register_forward_hook(hook).remove)
            self._run(torch.zeros(1, *self.image_shape))
        owners: dict[int, list[str]] = {}
        number = 1
        for name in order:
            if name in own:
                owners.setdefault(number, []).append(name)
            if name in self.layer_names:
                number = self.layer_names.index(name) + 2
        return owners


def _weighted(module: nn.Module) -> bool:
    """Whether a module has weights of its own, as they are or parametrised."""
    return next(module.parameters(recurse=False), None) is not None or parametrize.is_parametrized(module)


_NORMS = nn.modules.batchnorm._BatchNorm | nn.GroupNorm  # instance normalisations are of the former

SETTLING = 100
"""Steps of the power iteration after which a spectral norm knows weights that were drawn anew."""


@torch.no_grad()
def _redraw(module: nn.Module, name: str) -> None:
    """Draw a module's weights as before training, beneath whatever norm they have."""
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | _NORMS):
        reset = getattr(module, "reset_parameters", None)
        if reset is None:
            raise UserError(
                f"the module {name} ({type(module).__name__}) has weights and no reset_parameters, so how they are before "
                "training is not known"
            )
        reset()
        return
    module.cpu()
    weight = torch.empty_like(cast(Tensor, module.weight))
    nn.init.normal_(weight, 1.0 if isinstance(module, _NORMS) else 0.0, 0.02)
    if module.bias is not None:
        nn.init.zeros_(cast(Tensor, module.bias))
    old = next((h for h in module._forward_pre_hooks.values() if isinstance(h, SpectralNorm | WeightNorm)), None)
    if parametrize.is_parametrized(module, "weight"):
        module.weight, training = weight, module.training
        module.train()
        for _ in range(SETTLING):
            _ = module.weight
        module.train(training)
    elif isinstance(old, SpectralNorm):
        module.get_parameter("weight_orig").copy_(weight)
        for _ in range(SETTLING):
            old.compute_weight(module, do_power_iteration=True)
    elif isinstance(old, WeightNorm):
        module.get_parameter("weight_v").copy_(weight)
        module.get_parameter("weight_g").copy_(norm_except_dim(weight, 2, old.dim))
    else:
        module.get_parameter("weight").copy_(weight)
