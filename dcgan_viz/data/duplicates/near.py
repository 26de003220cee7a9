"""Pairs of codes that are the same, or differ in few bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.errors import UserError
from dcgan_viz.progress import Progress, Stage, silent

BLOCK = 4096
EXHAUSTIVE = 20_000
"""Up to so many codes each is compared with each; of more, with those of the cells that it lies nearest to."""
CELLS, VISITED = 2, 24
"""Cells by the root of the number of codes, and how many of them a code is compared with: of the copies planted among 10,000
bedrooms none is lost by it, of all pairs within 24 bits one in 900."""
TRAINED_ON, ROUNDS = 50, 5
"""Codes a cell that its centre is found from, by so many rounds of k-means."""
MOST_PAIRS = 50_000_000
"""More candidates than this are refused: a radius that lets nearly every pair through finds nothing."""


def collisions(codes: NDArray[np.uint8]) -> list[NDArray[np.int64]]:
    """The numbers of those that share a code, by code, where more than one does; in time linear in their number.

    Parameters
    ----------
    codes : ndarray of uint8 (N, B)

    Returns
    -------
    list of ndarray of int64 (n,)
        Ascending, n > 1; ordered by their first.

    Examples
    --------
    >>> collisions(np.array([[3], [5], [3], [7], [5], [3]], np.uint8))
    [array([0, 2, 5]), array([1, 4])]
    """
    first: dict[bytes, int] = {}
    shared: dict[int, list[int]] = {}
    for number, code in enumerate(codes):
        found = first.setdefault(code.tobytes(), number)
        if found != number:
            shared.setdefault(found, [found]).append(number)
    return [np.array(shared[number], np.int64) for number in sorted(shared)]


def near_pairs(codes: NDArray[np.uint8], radius: int, progress: Progress = silent) -> NDArray[np.int64]:
    """Pairs of different codes that differ in at most `radius` bits.

    Of up to `EXHAUSTIVE` codes all pairs, by comparing each with each. Of more, whose square would take hours, nearly all: the
    codes are sorted into cells around centres, and each is compared with those of the nearest cells (faiss's inverted file).

    Parameters
    ----------
    codes : ndarray of uint8 (N, B)
    radius : int
    progress : Progress

    Returns
    -------
    ndarray of int64 (n, 2)
        Each pair once, the smaller number first.

    Raises
    ------
    UserError
        If faiss is not installed, or more than `MOST_PAIRS` are so near.

    Examples
    --------
    >>> near_pairs(np.array([[0], [0], [1], [7]], np.uint8), 1)
    array([[0, 2],
           [1, 2]])
    """
    try:
        import faiss
    except ImportError as error:
        raise UserError(
            "codes that differ in some bits are found by faiss, which is not installed: pip install 'dcgan-viz[dedup]', or "
            "look for equal codes alone with `radius=0`"
        ) from error
    codes = np.ascontiguousarray(codes)
    cells = CELLS * math.isqrt(len(codes))
    exhaustive = len(codes) <= EXHAUSTIVE
    index: Any = faiss.index_binary_factory(8 * codes.shape[1], "BFlat" if exhaustive else f"BIVF{cells}")
    if not exhaustive:
        index.nprobe, index.cp.niter = VISITED, ROUNDS
        index.train(np.ascontiguousarray(codes[:: max(1, len(codes) // (TRAINED_ON * cells))]))
    index.add(codes)
    found: list[NDArray[np.int64]] = []
    count = 0
    starts = range(0, len(codes), BLOCK)
    for start in progress(starts, Stage("comparing codes", len(starts), "block")):
        block = np.ascontiguousarray(codes[start : start + BLOCK])
        # faiss wants distances *below* its radius.
        limits, distances, others = index.range_search(block, radius + 1)
        counts: NDArray[np.int64] = np.diff(limits).astype(np.int64)
        ones = np.repeat(np.arange(start, start + len(block)), counts)
        chosen = (ones < others) & (distances > 0)
        found.append(np.stack([ones[chosen], others[chosen]], 1))
        count += int(chosen.sum())
        if count > MOST_PAIRS:
            raise UserError(
                f"more than {MOST_PAIRS:,} pairs of codes differ in {radius} bits or fewer: choose a smaller radius"
            )
    pairs = np.concatenate(found) if found else np.zeros((0, 2), np.int64)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
