"""One convolution led back, for windows of its maps: the gradients of what they were computed from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.networks.receptive_field import Window

FEW_CHANNELS = 4
"""An image of at most so many channels is led back to by one product over all taps, and folded."""

FEW_POSITIONS = 16
"""Windows of at most so many positions are led back by matrix products."""


@dataclass(frozen=True)
class _Positions:
    """Positions along one axis, a stride apart, whose gradients come from neighbouring units by the same taps.

    Parameters
    ----------
    first, count : int
        The positions: where the first lies, and how many there are.
    unit : int
        The first of the units that read the first position; with every position they move on by one.
    taps : tuple of int
        By which tap of the kernel each of these units read the position.
    """

    first: int
    count: int
    unit: int
    taps: tuple[int, ...]


class BackwardStep:
    """The way back through one convolution, from a window of its maps to the window below.

    Three ways to the same numbers, each for the shapes at which a CPU does it fastest.

    Parameters
    ----------
    kernel : Tensor (C, C below, side, side)
        Of the convolution, in which C maps read those below.
    stride, padding : int
    size : int
        Side of the maps below.
    """

    def __init__(self, kernel: Tensor, stride: int, padding: int, size: int) -> None:
        self.stride, self.padding, self.size, self.side = stride, padding, size, kernel.shape[-1]
        self.kernel = kernel.contiguous(memory_format=torch.channels_last)
        self.matrices: dict[tuple[tuple[int, ...], tuple[int, ...]], Tensor] = {}

    def of_units(self, maps: list[int], row: int, column: int) -> tuple[Window, Tensor]:
        """The gradient (n, h, w, C) of units of some maps at one position: the kernels that they read with."""
        return self._clip(Window(row, column, row + 1, column + 1), self.kernel[maps].permute(0, 2, 3, 1))

    def __call__(self, window: Window, gradient: Tensor) -> tuple[Window, Tensor]:
        """The window below and the gradient (n, h, w, C) there."""
        if self.kernel.shape[1] <= FEW_CHANNELS:
            return self._clip(window, self._folded(gradient))
        if gradient.shape[1] * gradient.shape[2] <= FEW_POSITIONS:
            return self._below(window), self._multiplied(window, gradient)
        return self._convolved(window, gradient)

    def _folded(self, gradient: Tensor) -> Tensor:
        """By one product over all taps; padding included.

        A convolution fills its vectors with channels, and an image has three.
        """
        count, height, width, channels = gradient.shape
        taps = (gradient.reshape(-1, channels) @ self.kernel.flatten(1)).view(count, height * width, -1)
        below = ((height - 1) * self.stride + self.side, (width - 1) * self.stride + self.side)
        return functional.fold(taps.transpose(1, 2), below, self.side, stride=self.stride).permute(0, 2, 3, 1)

    def _multiplied(self, window: Window, gradient: Tensor) -> Tensor:
        """By one product for all positions that are read by the same taps; nothing of the padding is computed.

        On small maps torch's convolutions fall behind matrix products, in part because they lay out the kernel, which is
        the larger of the two, anew at every call; as a matrix it is kept.
        """
        count, channels, below = len(gradient), gradient.shape[-1], self._below(window)
        result = gradient.new_zeros(count, below.bottom - below.top, below.right - below.left, self.kernel.shape[1])
        for row in self._positions(window.top, window.bottom):
            for column in self._positions(window.left, window.right):
                units = gradient[:, row.unit - window.top :, column.unit - window.left :]
                units = units.unfold(1, len(row.taps), 1)[:, : row.count]
                units = units.unfold(2, len(column.taps), 1)[:, :, : column.count]
                matrix = units.permute(0, 1, 2, 4, 5, 3).reshape(-1, len(row.taps) * len(column.taps) * channels)
                positions = result[:, row.first - below.top :: self.stride, column.first - below.left :: self.stride]
                positions = positions[:, : row.count, : column.count]
                positions.copy_((matrix @ self._matrix(row.taps, column.taps)).view(positions.shape))
        return result

    def _matrix(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> Tensor:
        """Some taps of the kernel as a matrix (taps x C of the maps, C below)."""
        if (rows, columns) not in self.matrices:
            taps = torch.stack([self.kernel[:, :, row, column] for row in rows for column in columns])
            self.matrices[rows, columns] = taps.flatten(0, 1)
        return self.matrices[rows, columns]

    def _positions(self, first: int, last: int) -> list[_Positions]:
        """What units from `first` to before `last` see along one axis, grouped by the taps that they see it with."""
        groups: dict[tuple[int, ...], list[int]] = {}
        readers: dict[int, list[int]] = {}
        for position in range(*self._seen(first, last)):
            units = [u for u in range(first, last) if 0 <= position + self.padding - u * self.stride < self.side]
            taps = tuple(position + self.padding - u * self.stride for u in units)
            groups.setdefault(taps, []).append(position)
            readers[position] = units
        return [_Positions(at[0], len(at), readers[at[0]][0], taps) for taps, at in groups.items() if taps]

    def _convolved(self, window: Window, gradient: Tensor) -> tuple[Window, Tensor]:
        """By a fractionally-strided convolution, of which the padding is not computed."""
        skipped, more = [], []
        for first, last in ((window.top, window.bottom), (window.left, window.right)):
            seen, (start, end) = self._seen(first, last), self._span(first, last)
            before, after = seen[0] - start, end - seen[1]
            # The convolution leaves out as much at the end as at the beginning, less `more`, which is below the stride.
            skipped.append(min(before, after + self.stride - 1))
            more.append(max(skipped[-1] - after, 0))
        maps = gradient.permute(0, 3, 1, 2)
        below = functional.conv_transpose2d(maps, self.kernel, None, self.stride, skipped, more)
        return self._clip(window, below.permute(0, 2, 3, 1), (skipped[0], skipped[1]))

    def _span(self, first: int, last: int) -> tuple[int, int]:
        """What units from `first` to before `last` see along one axis, padding included."""
        return first * self.stride - self.padding, (last - 1) * self.stride - self.padding + self.side

    def _seen(self, first: int, last: int) -> tuple[int, int]:
        """The same without the padding."""
        start, end = self._span(first, last)
        return max(start, 0), min(end, self.size)

    def _below(self, window: Window) -> Window:
        """What a window of units sees."""
        (top, bottom), (left, right) = self._seen(window.top, window.bottom), self._seen(window.left, window.right)
        return Window(top, left, bottom, right)

    def _clip(self, window: Window, gradient: Tensor, skipped: tuple[int, int] = (0, 0)) -> tuple[Window, Tensor]:
        """The window below and the gradient there, without the padding; `skipped` rows and columns are gone already."""
        below = self._below(window)
        top, left = self._span(window.top, window.bottom)[0], self._span(window.left, window.right)[0]
        top, left = top + skipped[0], left + skipped[1]
        return below, gradient[:, below.top - top : below.bottom - top, below.left - left : below.right - left]
