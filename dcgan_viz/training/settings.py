"""What a training run is told: the paper's hyper-parameters unless said otherwise."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

from dcgan_viz.errors import UserError
from dcgan_viz.training.augment import POLICIES
from dcgan_viz.untrusted import EXACT, validate

Updates = Literal["both", "alternate"]

MOST_STEPS = 99_999_999
"""Checkpoints are numbered in eight digits."""

LARGEST_SEED = 2**63 - 1


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
    joint_norm : bool
        Of several processes: normalise batches over all of them, as one process with the joint batch would, and not each
        process's own.
    seed : int
        Of the initial weights, the order of the images, the latents and the augmentation.
    """

    __pydantic_config__: ClassVar = EXACT

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
    joint_norm: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _check_whole("the number of steps", self.steps, 1, MOST_STEPS)
        # Batch normalisation has nothing to average in a batch of 1.
        _check_whole("the batch size", self.batch_size, 2, 2**20)
        _check_whole("the seed", self.seed, 0, LARGEST_SEED)
        if not 0 < self.learning_rate <= 1:
            raise UserError(
                f"the learning rate must be above 0 and at most 1, not {self.learning_rate:g}: the paper's is 0.0002"
            )
        for name in ("beta1", "beta2", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        for name in ("l2", "r1", "copying"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} must be a number that is not negative, not {getattr(self, name)}")
        if self.updates not in get_args(Updates):
            raise UserError(f"updates {self.updates!r} is not known: choose both or alternate")
        unknown = [p for p in self.augment if p not in POLICIES]
        if unknown:
            raise UserError(f"augmentation {unknown[0]!r} is not known: choose from {', '.join(POLICIES)}")

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain data for JSON."""
        # A list, as it is read again: the page of a card must not tell a new one from one that was loaded.
        return {**asdict(self), "augment": list(self.augment)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TrainingSettings:
        """The settings that `to_dict` wrote, here or in an earlier version, which lacked some of them.

        Raises
        ------
        UserError
            If a setting is unknown, of a wrong type or out of range.
        """
        try:
            return validate(data, cls)
        except UserError as error:
            raise UserError(f"these are not training settings of this version of dcgan-viz: {error}") from error


def _check_whole(what: str, value: int, least: int, most: int) -> None:
    if not isinstance(value, int) or not least <= value <= most:
        raise UserError(f"{what} must be a whole number from {least} to {most}, not {value}")
