"""Train DCGANs (Radford, Metz & Chintala 2015) and see what they have learned.

Every command of ``dcgan-viz`` is a thin shell over a function of this package. The names below are loaded
when they are first used, so that importing the package costs nothing.

Examples
--------
>>> import dcgan_viz
>>> "bedrooms" in dcgan_viz.bundled_models()
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcgan_viz.analysis.attribution.guided_backprop import guided_backprop
    from dcgan_viz.analysis.forgetting.forgetting import forget
    from dcgan_viz.analysis.latent.arithmetic import arithmetic
    from dcgan_viz.analysis.latent.directions import directions
    from dcgan_viz.analysis.latent.inversion import invert
    from dcgan_viz.analysis.latent.turn import turn
    from dcgan_viz.analysis.latent.walks import walk
    from dcgan_viz.analysis.memorization.memorization import memorization
    from dcgan_viz.annotations.boxes import load_annotations
    from dcgan_viz.card import bundled_models
    from dcgan_viz.data.images import load_images
    from dcgan_viz.errors import UserError
    from dcgan_viz.foreign.live import wrap
    from dcgan_viz.model import DCGAN, load
    from dcgan_viz.training.loop import resume_training, train
    from dcgan_viz.training.settings import TrainingSettings

_HOMES = {
    "DCGAN": "dcgan_viz.model",
    "TrainingSettings": "dcgan_viz.training.settings",
    "UserError": "dcgan_viz.errors",
    "arithmetic": "dcgan_viz.analysis.latent.arithmetic",
    "bundled_models": "dcgan_viz.card",
    "directions": "dcgan_viz.analysis.latent.directions",
    "forget": "dcgan_viz.analysis.forgetting.forgetting",
    "guided_backprop": "dcgan_viz.analysis.attribution.guided_backprop",
    "invert": "dcgan_viz.analysis.latent.inversion",
    "load": "dcgan_viz.model",
    "load_annotations": "dcgan_viz.annotations.boxes",
    "load_images": "dcgan_viz.data.images",
    "memorization": "dcgan_viz.analysis.memorization.memorization",
    "resume_training": "dcgan_viz.training.loop",
    "train": "dcgan_viz.training.loop",
    "turn": "dcgan_viz.analysis.latent.turn",
    "walk": "dcgan_viz.analysis.latent.walks",
    "wrap": "dcgan_viz.foreign.live",
}

__all__ = [
    "DCGAN",
    "TrainingSettings",
    "UserError",
    "arithmetic",
    "bundled_models",
    "directions",
    "forget",
    "guided_backprop",
    "invert",
    "load",
    "load_annotations",
    "load_images",
    "memorization",
    "resume_training",
    "train",
    "turn",
    "walk",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
