"""What is known of a network beside its weights: from its file, or from the user."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Literal, TypeVar

from dcgan_viz.errors import UserError
from dcgan_viz.networks.spec import Activation, Output

T = TypeVar("T")

Source = Literal["uniform", "normal", "unit"]
"""What z was drawn from: U(-1, 1), N(0, 1) or U(0, 1)."""


@dataclass(frozen=True)
class Step:
    """How one convolution moves over its maps.

    Parameters
    ----------
    stride, padding, output_padding, upsample : int
        As in `Convolution`.
    """

    stride: int
    padding: int
    output_padding: int = 0
    upsample: int = 1

    def __str__(self) -> str:
        text = f"stride {self.stride}, padding {self.padding}"
        text += f", output padding {self.output_padding}" if self.output_padding else ""
        return f"upsampled x{self.upsample}, {text}" if self.upsample > 1 else text


@dataclass(frozen=True)
class Wishes:
    """What the user knows of a network's geometry.

    Parameters
    ----------
    size : int, optional
        Side of its images.
    strides, paddings, output_paddings, upsamples : tuple of int
        Of its convolutions, from the first; empty where not given.
    steps : tuple of Step
        All of these, of every convolution.
    """

    size: int | None = None
    strides: tuple[int, ...] = ()
    paddings: tuple[int, ...] = ()
    output_paddings: tuple[int, ...] = ()
    upsamples: tuple[int, ...] = ()
    steps: tuple[Step, ...] = ()

    def allow(self, number: int, step: Step) -> bool:
        """Whether a step is what was given for a convolution, counted from 0."""
        given = (
            (self.strides, step.stride),
            (self.paddings, step.padding),
            (self.output_paddings, step.output_padding),
            (self.upsamples, step.upsample),
        )
        return all(not values or values[number] == value for values, value in given)

    def check(self, count: int) -> None:
        """Refuse lists of another length than there are convolutions."""
        for name in ("strides", "paddings", "output_paddings", "upsamples"):
            values = getattr(self, name)
            if values and len(values) != count:
                option = name.replace("_", "-")
                raise UserError(f"`{option}` gives {len(values)} numbers, but the network has {count} convolutions")


@dataclass(frozen=True)
class Knowledge:
    """What the user knows of one network that its weights do not tell; None and empty where nothing is known.

    Parameters
    ----------
    wishes : Wishes
        Of the geometry.
    order : tuple of str
        Modules as they run.
    activation : Activation, optional
    slope : float, optional
    norm_first, first_activated : bool, optional
    eps : float, optional
    first_eps : float, optional
        Of the first normalisation, where it is not that of the others.
    output : Output, optional
        What ends a generator.
    as_drawn : bool, optional
        Whether every convolution is known to be given as a generator's is run: fractionally strided.
    customary : tuple of str
        What of this is not known, but taken for granted.
    """

    wishes: Wishes = field(default_factory=Wishes)
    order: tuple[str, ...] = ()
    activation: Activation | None = None
    slope: float | None = None
    norm_first: bool | None = None
    first_activated: bool | None = None
    eps: float | None = None
    first_eps: float | None = None
    output: Output | None = None
    as_drawn: bool | None = None
    customary: tuple[str, ...] = ()

    def over(self, other: Knowledge) -> Knowledge:
        """What is known here, and where nothing is, the other's."""
        wishes = _overlaid(self.wishes, other.wishes)
        customary = tuple(name for name in other.customary if getattr(self, name) is None)
        return replace(_overlaid(self, other), wishes=wishes, customary=customary)


def _overlaid(first: T, second: T) -> T:
    """A dataclass with the fields of a first, and where those are None or empty of a second."""
    values = {f.name: getattr(first, f.name) for f in fields(first)}  # type: ignore[arg-type]
    taken = {name: getattr(second, name) if value in (None, ()) else value for name, value in values.items()}
    return replace(first, **taken)  # type: ignore[type-var]
