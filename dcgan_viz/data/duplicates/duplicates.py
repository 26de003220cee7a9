"""Which pictures of a set are the same, in stages: equal codes, near codes, and what a look at the pixels leaves of both."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.data.decoding import decode_square, quiet_decoders
from dcgan_viz.data.duplicates.alignment import aligned_correlation, detail_correlation
from dcgan_viz.data.duplicates.autoencoder import CODE, SIDE, STEPS, encode, train_autoencoder
from dcgan_viz.data.duplicates.linked import first_linked
from dcgan_viz.data.duplicates.near import collisions, near_pairs
from dcgan_viz.data.parts import Part, has_parts
from dcgan_viz.data.prepare import Prepared, prepare
from dcgan_viz.data.sources import Source, open_images
from dcgan_viz.data.sources.keep_list import keep_list_text
from dcgan_viz.errors import UserError
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.results import Result
from dcgan_viz.statistics import Estimate, share_estimate, stream
from dcgan_viz.untrusted import printable
from dcgan_viz.words import counted

RADIUS = 24
"""Bits of 128 in which codes may differ: nearly all crops of 5 % are within it, and one in 100,000 pairs of other pictures."""
THRESHOLD = 0.94
"""Of the correlation after the fit. Planted crops stay above 0.95, other bedrooms of one composition below 0.91."""
LEADERS = 64
"""Of pictures of one code at most so many different ones are told apart."""
SAMPLE, CONTROLS = 200, 200
"""Pairs a stage whose details are looked at, and pairs of any two pictures beside them."""
DETAIL_SIDE = 64
SHOWN_GROUPS, SHOWN_MEMBERS, SHOWN_SIDE = 60, 6, 96
CROPS = "crops.npy"


@dataclass(frozen=True)
class Search:
    """What a stage of the search took for duplicates.

    Parameters
    ----------
    name : str
    pairs : int
    false : Estimate
        Share of its pairs, in a sample, that do not agree in details finer than the search has seen.
    """

    name: str
    pairs: int
    false: Estimate


class DuplicatesSettings(TypedDict):
    """How a `Duplicates` was obtained."""

    radius: int
    threshold: float
    steps: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Duplicates(Result):
    """The pictures of a set that show the same.

    Parameters
    ----------
    source : str
    pictures, broken, groups, removed : int
        Read; not readable and so not kept; with duplicates; in a group without being its first.
    stages : tuple of Search
        Equal codes, the paper's criterion; codes within the radius; those of both that correlate.
    detail_limit : float
        The 99th percentile of the correlation in details of any two pictures that are not in one group: a pair below it is
        called false. NaN where there are no such pictures.
    names : sequence of str
        Of all pictures that were read.
    group : ndarray of int64 (N,)
        Of each picture; -1 of those without duplicates.
    candidates : ndarray of int64 (n, 2)
        Pairs of equal and near codes.
    distances, correlations : ndarray (n,)
        Of their codes in bits, and of their pixels after the fit.
    shown : ndarray of int64 (m,)
        Some of the pictures in groups, those of a group together.
    shown_pictures : ndarray of uint8 (m, 96, 96, 3)
    """

    settings: DuplicatesSettings
    source: str
    pictures: int
    broken: int
    groups: int
    removed: int
    stages: tuple[Search, ...]
    detail_limit: float
    names: Sequence[str] = field(repr=False, metadata={"saved": False})
    group: NDArray[np.int64]
    candidates: NDArray[np.int64]
    distances: NDArray[np.int64]
    correlations: NDArray[np.float32]
    shown: NDArray[np.int64]
    shown_pictures: NDArray[np.uint8]

    def kept(self) -> NDArray[np.int64]:
        """The numbers of the pictures that are no duplicates, or the first of their group."""
        _, first = np.unique(self.group, return_index=True)
        return np.union1d(np.flatnonzero(self.group < 0), first[self.group[first] >= 0])

    def members(self) -> list[NDArray[np.int64]]:
        """The numbers of the pictures of each group, ascending."""
        order = np.argsort(self.group, kind="stable")
        order = order[self.group[order] >= 0]
        return np.split(order, np.flatnonzero(np.diff(self.group[order])) + 1) if len(order) else []

    def texts(self) -> dict[str, str]:
        """``keep.jsonl``, a name a line, and ``groups.jsonl``, a group a line, of which the first picture is kept."""
        groups = (json.dumps([self.names[i] for i in members]) + "\n" for members in self.members())
        return {
            "keep.jsonl": keep_list_text(self.names[i] for i in self.kept()),
            "groups.jsonl": "".join(groups),
        }


def find_duplicates(
    source: str | Path,
    folder: str | Path | None = None,
    *,
    radius: int = RADIUS,
    threshold: float = THRESHOLD,
    steps: int = STEPS,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = silent,
) -> Duplicates:
    """Find the pictures of a source that are the same but for compression, size, a small crop or brightness.

    The paper's autoencoder gives 32x32 crops codes of 128 bits; pictures of equal codes, and of codes that differ in a few
    bits, are candidates. Those are duplicates whose crops correlate once one is fitted to the other.

    Parameters
    ----------
    source : path
        Whatever `open_images` opens; 32x32 RGB in an ``.npy`` is taken as it is.
    folder : path, optional
        Where the crops are kept, so that a call that was killed goes on, and another radius costs little.
    radius : int
        0 for equal codes alone.
    threshold : float
    steps : int
        To train the autoencoder for.
    seed : int
    workers : int, optional
        Processes that decode; by default one per core.
    progress : Progress

    Returns
    -------
    Duplicates

    Raises
    ------
    UserError
        As in `prepare` and `near_pairs`; or if there are fewer than two pictures, or two of one name.
    """
    if not 0 <= radius < CODE // 2:
        raise UserError(
            f"codes have {CODE} bits and differ in half of them by chance: choose a radius below {CODE // 2}"
        )
    if not 0 < threshold <= 1:
        raise UserError(f"the threshold of a correlation lies between 0 and 1: choose another than {threshold}")
    found = open_images(source)
    if len(found) < 2:
        raise UserError(f"{source} holds one picture, which has no duplicates: give more")
    if len(set(found.names)) < len(found.names):
        raise UserError(
            f"{source} holds several pictures of one name, so that a list of names could not tell which to keep: give each a "
            "name of its own"
        )
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory())) if folder is None else Path(folder)
        if not (place / CROPS).exists() and has_parts(place / CROPS):
            raise UserError(
                f"{place} holds parts of the crops: join them with dcgan-viz merge {place / CROPS}, or remove them, to "
                "have all of them cut here"
            )
        prepared = cut_crops(source, place, workers=workers, progress=progress)
        if prepared.pictures < 2:
            raise UserError(f"{source} holds one readable picture, which has no duplicates: give more")
        crops = np.load(prepared.path, mmap_mode="r")
        broken = {picture.name for picture in prepared.broken}
        places = np.array([index for index, name in enumerate(found.names) if name not in broken], np.int64)
        codes = encode(train_autoencoder(crops, steps=steps, seed=seed, progress=progress), crops, progress)
        equal, leaders = _equal_codes(codes, crops, threshold)
        near = leaders[near_pairs(codes[leaders], radius, progress)] if radius else np.zeros((0, 2), np.int64)
        candidates = np.concatenate([equal, near])
        distances = np.bitwise_count(codes[candidates[:, 0]] ^ codes[candidates[:, 1]]).sum(1, dtype=np.int64)
        correlations = _correlations(crops, candidates, progress)
        del crops
    same = candidates[correlations >= threshold]
    group = _groups(same, len(places))
    check = OriginCheck(found, places, group, seed)
    stages = (
        check.search("equal codes", equal),
        check.search(f"codes within {radius} bits", candidates[distances > 0]),
        check.search(f"of both, pixels that correlate by {threshold:g}", same),
    )
    shown = _shown(group, seed)
    names = tuple(found.names[index] for index in places)
    grouped = int((group >= 0).sum())
    return Duplicates(
        settings={"radius": radius, "threshold": threshold, "steps": steps, "seed": seed},
        source=str(source),
        pictures=len(places),
        broken=len(broken),
        groups=int(group.max()) + 1,
        removed=grouped - int(group.max()) - 1,
        stages=stages,
        detail_limit=check.limit,
        names=names,
        group=group,
        candidates=candidates,
        distances=distances,
        correlations=correlations,
        shown=shown,
        shown_pictures=_read(found, places[shown], SHOWN_SIDE),
    )


def cut_crops(
    source: str | Path,
    folder: str | Path,
    *,
    part: Part | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Prepared:
    """Write the 32x32 crops of a source, or of a part of it, into ``crops.npy`` of a folder, unless they are there.

    Parameters
    ----------
    source, folder, workers, progress
        As in `find_duplicates`.
    part : Part, optional
        One of several; `merge_prepared` joins them.

    Returns
    -------
    Prepared
    """
    return prepare(source, Path(folder) / CROPS, SIDE, part=part, workers=workers, reuse=True, progress=progress)


def _equal_codes(
    codes: NDArray[np.uint8], crops: NDArray[np.uint8], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of pictures of equal codes, and the pictures that are no duplicates of one before them with the same code.

    Each is compared with the first of its code, and those that differ from it with the first of them, and so on.
    """
    pairs = [np.zeros((0, 2), np.int64)]
    leads = np.ones(len(codes), bool)
    for members in collisions(codes):
        left = members
        for _ in range(LEADERS):
            if len(left) < 2:
                break
            leader, left = left[0], left[1:]
            pairs.append(np.stack([np.full_like(left, leader), left], 1))
            same = aligned_correlation(np.repeat(crops[leader][None], len(left), 0), crops[left]) >= threshold
            leads[left[same]] = False
            left = left[~same]
    return np.concatenate(pairs), np.flatnonzero(leads)


def _correlations(crops: NDArray[np.uint8], pairs: NDArray[np.int64], progress: Progress) -> NDArray[np.float32]:
    starts = range(0, len(pairs), 512)
    parts = [np.zeros(0, np.float32)]
    for start in progress(starts, Stage("comparing pixels", len(starts), "batch")):
        chosen = pairs[start : start + 512]
        parts.append(aligned_correlation(crops[chosen[:, 0]], crops[chosen[:, 1]]))
    return np.concatenate(parts)


class OriginCheck:
    """Says of pairs whether they are of one origin by what the search does not see: details finer than its crops."""

    def __init__(self, source: Source, places: NDArray[np.int64], group: NDArray[np.int64], seed: int) -> None:
        self.source, self.places, self.seed, self.searches = source, places, seed, 0
        random = np.random.default_rng(stream(seed, 1))
        count = len(places)
        first = random.integers(0, count, CONTROLS)
        others = (first + random.integers(1, count, CONTROLS)) % count
        # In a small set many pairs are duplicates, which would make a limit that hardly any passes.
        apart = (group[first] < 0) | (group[first] != group[others])
        controls = np.stack([first, others], 1)[apart]
        self.limit = float(np.quantile(self._details(controls), 0.99)) if len(controls) else math.nan

    def search(self, name: str, pairs: NDArray[np.int64]) -> Search:
        """A stage with the share of its pairs that are false, in a sample."""
        self.searches += 1
        random = np.random.default_rng(stream(self.seed, 1 + self.searches))
        sample = pairs[np.sort(random.permutation(len(pairs))[: 0 if math.isnan(self.limit) else SAMPLE])]
        false = int((self._details(sample) <= self.limit).sum())
        return Search(name, len(pairs), share_estimate(false, len(sample), over="pairs"))

    def _details(self, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        pictures = [_read(self.source, self.places[pairs[:, k]], DETAIL_SIDE) for k in range(2)]
        # Pictures without any detail at all, such as a 32x32 array enlarged, agree in it where they are the same.
        return detail_correlation(pictures[0], pictures[1])


def _read(source: Source, indices: NDArray[np.int64], side: int) -> NDArray[np.uint8]:
    """Pictures of a source, all of which have been read before."""
    pictures = np.empty((len(indices), side, side, 3), np.uint8)
    with quiet_decoders():
        # In ascending order a compressed tar is read once.
        for place in np.argsort(indices, kind="stable"):
            pictures[place] = decode_square(source.entry(int(indices[place])), side, 3).pixels
    return pictures


def _groups(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The group of each picture, numbered in the order of their first pictures; -1 of those that are in no pair."""
    paired = np.unique(pairs)
    group = np.full(count, -1, np.int64)
    group[paired] = np.unique(first_linked(pairs, count)[paired], return_inverse=True)[1]
    return group


def _shown(group: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Some pictures of some groups."""
    count = int(group.max()) + 1
    chosen = np.sort(np.random.default_rng(stream(seed, 9)).permutation(count)[:SHOWN_GROUPS])
    parts = [np.flatnonzero(group == number)[:SHOWN_MEMBERS] for number in chosen]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def sentences(result: Duplicates) -> str:
    """What came out, in lines.

    Parameters
    ----------
    result : Duplicates

    Returns
    -------
    str
    """
    lines = [
        f"{counted(result.pictures, 'picture')}, {counted(result.groups, 'group')} of duplicates: {result.removed:,} can be "
        f"left out, and the keep-list has {result.pictures - result.removed:,}"
    ]
    if result.broken:
        lines.append(f"it has none of {counted(result.broken, 'picture')} that cannot be decoded")
    for stage in result.stages:
        share = f"; false, in a sample: {stage.false:.1%}" if stage.false.n else ""
        lines.append(f"{stage.name}: {counted(stage.pairs, 'pair')}{share}")
    if result.groups:
        first = result.members()[0]
        lines.append(f"such as {' and '.join(printable(result.names[i]) for i in first[:2])}")
    return "\n".join(lines)
