"""Networks as PyTorch's tutorial saves them, with a file of Python that defines them and needs torch alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from dcgan_viz.folders import staged_folder
from dcgan_viz.foreign.module_chains import (
    plain_discriminator,
    plain_generator,
    reads_unit_pixels,
    without_own_modules,
)
from dcgan_viz.model import DCGAN

CODE_FILE, GENERATOR_FILE, DISCRIMINATOR_FILE = "networks.py", "netG.pth", "netD.pth"


def export_pytorch(model: DCGAN, folder: Path, overwrite: bool = False) -> tuple[str, ...]:
    """Write ``netG.pth``, ``netD.pth`` and ``networks.py``, whose classes load them without this package.

    A projection whose normalisation is the same for all units of a map becomes the tutorial's fractionally-strided
    convolution of a 1x1 map; any other stays a linear layer.

    Parameters
    ----------
    model : DCGAN
    folder : Path
    overwrite : bool
        Replace files of the same names, whoever wrote them.

    Returns
    -------
    tuple of str
        Names of the files.

    Raises
    ------
    UserError
        If the networks are not this package's, or the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from dcgan_viz import load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_pytorch(load("bedrooms"), Path(folder) / "exported")
    ('netG.pth', 'netD.pth', 'networks.py')
    """
    generator = _as_in_the_tutorial(without_own_modules(plain_generator(model)))
    networks = {GENERATOR_FILE: generator}
    discriminator = plain_discriminator(model)
    if discriminator is not None:
        networks[DISCRIMINATOR_FILE] = discriminator
    with staged_folder(folder, "PyTorch networks", first=GENERATOR_FILE, overwrite=overwrite) as stage:
        for name, modules in networks.items():
            unit = reads_unit_pixels(modules)
            state = nn.Sequential(*modules[unit:]).state_dict()
            torch.save({f"main.{n}": t.cpu().clone() for n, t in state.items()}, stage / name)
        (stage / CODE_FILE).write_text(_code(model, generator, discriminator), encoding="utf-8")
    return (*networks, CODE_FILE)


@torch.no_grad()
def _as_in_the_tutorial(modules: list[nn.Module]) -> list[nn.Module]:
    """A generator that begins with a convolution of a 1x1 map, where its projection allows it."""
    linear, *rest = modules
    reshape = next(m for m in rest if isinstance(m, nn.Unflatten))
    norms = [m for m in rest[: rest.index(reshape)] if isinstance(m, nn.BatchNorm1d)]
    maps, side, _ = (int(n) for n in reshape.unflattened_size)
    entries = [t for n in norms for t in (n.weight, n.bias, n.running_mean, n.running_var)]
    assert isinstance(linear, nn.Linear)
    entries += [] if linear.bias is None else [linear.bias]
    alike = all(isinstance(t, Tensor) and bool((t.view(maps, -1) == t.view(maps, -1)[:, :1]).all()) for t in entries)
    if not alike:
        return modules
    projection = nn.ConvTranspose2d(linear.in_features, maps, side, bias=linear.bias is not None)
    projection.weight.copy_(linear.weight.T.reshape(linear.in_features, maps, side, side))
    if linear.bias is not None and projection.bias is not None:
        projection.bias.copy_(linear.bias.view(maps, -1)[:, 0])
    after = [_of_maps(m, maps) if isinstance(m, nn.BatchNorm1d) and m in norms else m for m in rest if m is not reshape]
    return [projection, *after]


def _of_maps(norm: nn.BatchNorm1d, maps: int) -> nn.BatchNorm2d:
    """A normalisation of maps out of one of their units that is the same for all."""
    made = nn.BatchNorm2d(maps, eps=norm.eps).eval()
    for name, values in norm.state_dict().items():
        if values.ndim:
            getattr(made, name).copy_(values.view(maps, -1)[:, 0])
    return made


def _code(model: DCGAN, generator: Sequence[nn.Module], discriminator: Sequence[nn.Module] | None) -> str:
    latent = model.latent_dim
    convolutional = isinstance(generator[0], nn.ConvTranspose2d)
    shape = f"z.view(-1, {latent}, 1, 1)" if convolutional else f"z.view(-1, {latent})"
    draw = "torch.randn(n, LATENT)" if model.prior == "normal" else "2 * torch.rand(n, LATENT) - 1"
    lines = [
        f'"""{_sentence(model)}"""',
        "",
        "from pathlib import Path",
        "",
        "import torch",
        "from torch import nn",
        "",
        f"LATENT = {latent}",
        "FOLDER = Path(__file__).parent",
        "",
        "",
        *_class("Generator", "z", f"self.main({shape})", generator),
    ]
    if discriminator is not None:
        unit = reads_unit_pixels(list(discriminator))
        images = "(images + 1) / 2" if unit else "images"
        lines += ["", "", *_class("Discriminator", "images", f"self.main({images}).flatten()", discriminator[unit:])]
    lines += [
        "",
        "",
        "def load(network, file):",
        "    network.load_state_dict(torch.load(FOLDER / file, weights_only=True))",
        "    return network.eval()",
        "",
        "",
        'if __name__ == "__main__":',
        "    n = 16",
        "    with torch.no_grad():",
        f'        images = load(Generator(), "{GENERATOR_FILE}")({draw})',
        "    print(images.shape, images.min().item(), images.max().item())",
    ]
    return "\n".join(lines) + "\n"


def _sentence(model: DCGAN) -> str:
    """What the networks are, safe within a docstring."""
    prior = "N(0, 1)" if model.prior == "normal" else "U(-1, 1)"
    name = "".join(c for c in model.card.name if c.isprintable() and c not in '"\\')
    return f"{name}, exported by dcgan-viz. z is drawn from {prior}, images are in [-1, 1], scores are logits."


def _class(name: str, argument: str, result: str, modules: Sequence[nn.Module]) -> list[str]:
    return [
        f"class {name}(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        "        self.main = nn.Sequential(",
        *(f"            nn.{_line(module)}," for module in modules),
        "        )",
        "",
        f"    def forward(self, {argument}):",
        f"        return {result}",
    ]


def _line(module: nn.Module) -> str:
    """A module as the code that makes it."""
    name = type(module).__name__
    if isinstance(module, nn.Linear):
        return f"{name}({module.in_features}, {module.out_features}, bias={module.bias is not None})"
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        numbers = [
            module.in_channels,
            module.out_channels,
            module.kernel_size[0],
            module.stride[0],
            int(module.padding[0]),
        ]
        if isinstance(module, nn.ConvTranspose2d) and module.output_padding[0]:
            numbers.append(module.output_padding[0])
        return f"{name}({', '.join(map(str, numbers))}, bias={module.bias is not None})"
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return f"{name}({module.num_features}{'' if module.eps == 1e-5 else f', eps={module.eps!r}'})"
    if isinstance(module, nn.Unflatten):
        return f"{name}(1, {tuple(module.unflattened_size)})"
    if isinstance(module, nn.Upsample):
        return f"{name}(scale_factor={int(module.scale_factor)})"  # type: ignore[arg-type]
    if isinstance(module, nn.LeakyReLU):
        return f"{name}({module.negative_slope})"
    return f"{name}()"
