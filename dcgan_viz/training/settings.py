"""What a training run is told: the paper's hyper-parameters unless said otherwise."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from dcgan_viz.errors import UserError
from dcgan_viz.training.augment import POLICIES

Updates = Literal["both", "alternate"]


@dataclass(frozen=True)
class TrainingSettings:
    """Hyper-parameters of a run (Radford et al. 2015, section 4, unless noted).

    Parameters
    ----------
    steps : int
        Batches to train for.
    batch_size : int
        Images a batch, on each device.
    learning_rate, beta1, beta2 : float
        Of Adam, for both networks.
    l2 : float
        Added to the gradient of every parameter; the authors' code has 1e-5, the paper none.
    updates : {"both", "alternate"}
        Update both networks on every batch, or, as the authors' code does, the generator on even and
        the discriminator on odd ones.
    flip : bool
        Mirror half of the real images at random.
    augment : tuple of {"color", "translation", "cutout"}
        Differentiable augmentation of all that the discriminator sees (Zhao et al. 2020).
    r1 : float
        Weight of the gradient penalty on real images, half the squared norm of D's gradient there (Mescheder et al.
        2018); it is added on every fourth step with four times the weight (Karras et al. 2020).
    copying : float
        Weight of `copying_loss` in the generator's loss, which pulls its images towards training images: for a
        generator that is known to copy, against which tests of memorisation can be checked.
    ema : float
        Decay per step of the generator's moving average, which is then the generator that is sampled
        and saved; 0 for none.
    seed : int
        Of the initial weights, the order of the images, the latents and the augmentation.
    """

    steps: int
    batch_size: int = 128
    learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    l2: float = 0.0
    updates: Updates = "both"
    flip: bool = False
    augment: tuple[str, ...] = ()
    r1: float = 0.0
    copying: float = 0.0
    ema: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"a run needs at least 1 step, not {self.steps}")
        if self.batch_size < 2:
            raise UserError(f"batch normalisation needs batches of 2 or more, not {self.batch_size}")
        if not self.learning_rate > 0:
            raise UserError(f"the learning rate must be positive, not {self.learning_rate}")
        for name in ("beta1", "beta2", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        for name in ("l2", "r1", "copying"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.updates not in get_args(Updates):
            raise UserError(f"updates {self.updates!r} is not known: choose both or alternate")
        unknown = [p for p in self.augment if p not in POLICIES]
        if unknown:
            raise UserError(f"augmentation {unknown[0]!r} is not known: choose from {', '.join(POLICIES)}")

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TrainingSettings:
        """The settings that `to_dict` wrote."""
        known = {f.name for f in fields(cls)}
        if set(data) - known or "steps" not in data:
            raise UserError("these are not training settings of this version of dcgan-viz")
        return cls(**{**data, "augment": tuple(data.get("augment", ()))})
