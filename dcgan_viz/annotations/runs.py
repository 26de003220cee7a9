"""Masks as COCO's uncompressed run lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.errors import UserError


def encode_runs(mask: NDArray[np.bool_]) -> list[int]:
    """A mask (H, W) as COCO's uncompressed run lengths: column by column, zeros first.

    Examples
    --------
    >>> encode_runs(np.array([[False, True], [True, True]]))
    [1, 3]
    """
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, len(flat)]).tolist()
    return [0, *runs] if flat[0] else runs


def decode_runs(counts: Sequence[int] | str, width: int, height: int) -> NDArray[np.bool_]:
    """The mask (height, width) of COCO's uncompressed run lengths.

    Raises
    ------
    UserError
        If they are compressed text or do not fill the mask.

    Examples
    --------
    >>> decode_runs([1, 3], width=2, height=2)
    array([[False,  True],
           [ True,  True]])
    """
    if isinstance(counts, str) or any(count < 0 for count in counts):
        raise UserError("its runs are compressed: write them as a list of counts")
    # Before memory is asked for as many pixels as they claim.
    if sum(counts) != width * height:
        raise UserError(f"its runs hold {sum(counts)} pixels of {width}x{height}")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width, order="F")
