"""Architectures as data, the networks built from them, and their numbered layers."""

from dcgan_viz.networks.presets import PRESETS, Preset, preset
from dcgan_viz.networks.spec import (
    Convolution,
    DiscriminatorSpec,
    GeneratorSpec,
    NetworkSpec,
    Prior,
    dcgan,
)

__all__ = [
    "PRESETS",
    "Convolution",
    "DiscriminatorSpec",
    "GeneratorSpec",
    "NetworkSpec",
    "Preset",
    "Prior",
    "dcgan",
    "preset",
]
