"""Boxes on samples of the tiny model, and pictures without some maps, for the tests of forgetting and of rankings."""

from __future__ import annotations

import torch

from dcgan_viz.analysis.forgetting.ablation import Ablation, draw_with
from dcgan_viz.annotations.boxes import Annotations, Box
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer


def draw_without(model: DCGAN, layer: Layer, choices: list, latents: torch.Tensor, strength: float = 1.0) -> list:
    """Pictures without each of several choices of maps."""
    return draw_with(model, [Ablation(layer, tuple(maps), strength) for maps in choices], latents)


def window_boxes(model: DCGAN) -> Annotations:
    """A box on every second of twenty samples."""
    boxes = tuple(Box(i, "window", 1, 1 + i % 3, 6, 5) for i in range(0, 20, 2))
    return Annotations(boxes, ("window",), 20, 11, 16, model.generator_digest(), "a tester", "by hand")
