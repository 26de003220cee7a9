"""All ways back through a convolution give autograd's gradient, whatever the window."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.attribution import backward_step
from dcgan_viz.analysis.attribution.backward_step import BackwardStep
from dcgan_viz.networks.receptive_field import Window

WINDOWS = [(0, 1), (0, 2), (1, 3), (0, 4), (2, 4), (3, 4)]


def slow(kernel: Tensor, stride: int, padding: int, size: int, window: Window, gradient: Tensor) -> Tensor:
    """Through autograd, from whole maps that are zero outside of the window."""
    below = torch.zeros(len(gradient), kernel.shape[1], size, size, dtype=kernel.dtype, requires_grad=True)
    maps = functional.conv2d(below, kernel, stride=stride, padding=padding)
    whole = torch.zeros_like(maps)
    whole[:, :, window.top : window.bottom, window.left : window.right] = gradient
    return torch.autograd.grad(maps, below, whole)[0]


@pytest.mark.parametrize(("side", "stride", "padding"), [(5, 2, 2), (4, 2, 1), (3, 1, 1), (3, 2, 1)])
@pytest.mark.parametrize("way", ["folded", "multiplied", "convolved"])
@pytest.mark.parametrize("rows", WINDOWS)
@pytest.mark.parametrize("columns", WINDOWS)
def test_every_way_is_the_gradient(
    side: int,
    stride: int,
    padding: int,
    way: str,
    rows: tuple[int, int],
    columns: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    size = 4 * stride
    kernel = torch.randn(6, 5, side, side, dtype=torch.float64)
    window = Window(rows[0], columns[0], rows[1], columns[1])
    gradient = torch.randn(3, 6, rows[1] - rows[0], columns[1] - columns[0], dtype=torch.float64)
    monkeypatch.setattr(backward_step, "FEW_CHANNELS", 5 if way == "folded" else 0)
    monkeypatch.setattr(backward_step, "FEW_POSITIONS", 100 if way == "multiplied" else 0)
    below, found = BackwardStep(kernel, stride, padding, size)(window, gradient.permute(0, 2, 3, 1))
    expected = slow(kernel, stride, padding, size, window, gradient)
    inside = expected[:, :, below.top : below.bottom, below.left : below.right]
    assert torch.allclose(found.permute(0, 3, 1, 2), inside, atol=1e-12)
    expected[:, :, below.top : below.bottom, below.left : below.right] = 0
    assert not expected.any()
