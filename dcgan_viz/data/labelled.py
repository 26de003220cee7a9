"""Pictures with their classes, and which of them are for training and which for the test."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.data.images import ImageSet, load_images
from dcgan_viz.data.labels import UNLABELLED, read_labels
from dcgan_viz.data.sources.cifar import TEST, batches_in
from dcgan_viz.errors import Notice, UserError
from dcgan_viz.progress import Progress, silent

SPLIT = ("train", "test")
"""Folders of a set that is split already."""

SVHN = ("train_32x32.mat", "test_32x32.mat")


@dataclass(frozen=True)
class LabelledImages:
    """Pictures of one size with a class each.

    Parameters
    ----------
    images : ImageSet
    classes : tuple of str
    numbers : ndarray of int64 (N,)
        Of each picture's class.
    """

    images: ImageSet
    classes: tuple[str, ...]
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)

    def chosen(self, indices: NDArray[np.int64]) -> LabelledImages:
        """Some of them, in the order of the indices."""
        images = ImageSet(self.images.pixels[indices], tuple(self.images.names[int(i)] for i in indices))
        return LabelledImages(images, self.classes, self.numbers[indices])


@dataclass(frozen=True)
class LabelledSplit:
    """A set for training and, where there is one, another for the test, of the same classes.

    Parameters
    ----------
    training : LabelledImages
    test : LabelledImages, optional
    """

    training: LabelledImages
    test: LabelledImages | None


def load_labelled(
    source: str | Path,
    size: int,
    channels: int = 3,
    *,
    test: str | Path | None = None,
    labels: str | None = None,
    test_labels: str | None = None,
    skip_broken: bool = False,
    progress: Progress = silent,
) -> LabelledSplit:
    """Every picture of a source with its class.

    The class is the folder that a picture lies in; arrays, CIFAR's batches and SVHN's ``.mat`` have theirs inside. A set
    is split already if it lies in the folders ``train`` and ``test``, or is a folder of CIFAR's batches or of SVHN's two
    files. Pictures without a class are left out, with a `Notice`.

    Parameters
    ----------
    source : path
        Whatever `open_images` opens, or a folder of ``train_32x32.mat`` and ``test_32x32.mat``.
    size, channels : int
        As in `load_images`.
    test : path, optional
        Pictures for the test from elsewhere.
    labels, test_labels : str, optional
        A table of the classes, or ``"utkface"``, as in `read_labels`.
    skip_broken : bool
    progress : Progress

    Returns
    -------
    LabelledSplit

    Raises
    ------
    UserError
        If pictures cannot be read, have no classes, or those of the test are others than those of the training.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     x = np.zeros((4, 8, 8, 3), np.uint8)
    ...     np.savez(f"{folder}/a.npz", x=x, y=np.array([5, 7, 5, 5]))
    ...     load_labelled(f"{folder}/a.npz", 8).training.classes
    ('5', '7')
    """
    path = Path(source)
    if test is None:
        path, test = _parts_of(path)
    found, unlabelled = _read(path, size, channels, labels, skip_broken, progress)
    if test is None:
        split = _split_by_folders(found, unlabelled) if labels is None else None
        return split or LabelledSplit(_with_classes(found, labels, unlabelled, path), None)
    training = _with_classes(found, labels, unlabelled, path)
    further, _ = _read(Path(test), size, channels, test_labels, skip_broken, progress)
    return LabelledSplit(training, _of_same_classes(training, further, test_labels, Path(test)))


def _parts_of(path: Path) -> tuple[Path, Path | None]:
    """Where the pictures for training and for the test lie in the sets that are distributed as a folder."""
    if all((path / name).is_file() for name in SVHN):
        return path / SVHN[0], path / SVHN[1]
    if path.is_dir() and batches_in(path):
        tests = [file for name in TEST for ending in ("", ".bin") if (file := path / f"{name}{ending}").is_file()]
        return path, tests[0] if tests else None
    return path, None


def _read(
    path: Path, size: int, channels: int, labels: str | None, skip_broken: bool, progress: Progress
) -> tuple[ImageSet, bool]:
    """The pictures, their names without folders that all of them share; and whether they lie in no folders at all."""
    with warnings.catch_warnings():
        # It is read, as the test.
        warnings.filterwarnings("ignore", rf".*not read: ({'|'.join(TEST)})(\.bin)? \(give the file", Notice)
        images = load_images(path, size, channels, skip_broken=skip_broken, progress=progress)
    if labels is not None:
        return images, False
    parts = [PurePosixPath(name).parts for name in images.names]
    shared = 0
    while all(len(p) > shared + 2 and p[shared] == parts[0][shared] for p in parts):
        shared += 1
    if shared:
        images = ImageSet(images.pixels, tuple("/".join(p[shared:]) for p in parts))
    return images, all(len(p) == 1 for p in parts)


def _split_by_folders(images: ImageSet, unlabelled: bool) -> LabelledSplit | None:
    """The parts of a set in folders ``train`` and ``test``, each with a folder for each class."""
    parts = [PurePosixPath(name).parts for name in images.names]
    if unlabelled or {p[0] for p in parts} != set(SPLIT) or any(len(p) < 3 for p in parts):
        return None
    first = np.array([p[0] == SPLIT[0] for p in parts])
    training, test = (_part(images, np.flatnonzero(chosen)) for chosen in (first, ~first))
    return LabelledSplit(
        known := _with_classes(training, None, False, Path(SPLIT[0])),
        _of_same_classes(known, test, None, Path(SPLIT[1])),
    )


def _part(images: ImageSet, indices: NDArray[np.int64]) -> ImageSet:
    names = tuple(images.names[int(i)].partition("/")[2] for i in indices)
    return ImageSet(images.pixels[indices], names)


def _with_classes(images: ImageSet, labels: str | None, unlabelled: bool, path: Path) -> LabelledImages:
    if unlabelled and path.suffix.lower() in (".npy", ".npz"):
        raise UserError(
            f"{path} holds no class for each of its {len(images):,} pictures: put one array of as many whole numbers beside "
            "them into an .npz, or give a table as `labels`"
        )
    found = read_labels(labels, images.names)
    known = np.flatnonzero(found.numbers != UNLABELLED)
    if len(known) < len(images):
        missing = len(images) - len(known)
        warnings.warn(f"{missing} of {len(images)} pictures have no class and are left out", Notice, stacklevel=3)
        images = ImageSet(images.pixels[known], tuple(images.names[int(i)] for i in known))
    return LabelledImages(images, found.classes, found.numbers[known])


def _of_same_classes(training: LabelledImages, images: ImageSet, labels: str | None, path: Path) -> LabelledImages:
    test = _with_classes(images, labels, all("/" not in name for name in images.names) and labels is None, path)
    if set(test.classes) != set(training.classes):
        raise UserError(
            f"the classes of {path} are {_listed(test.classes)}, and those of the training {_listed(training.classes)}: "
            "name them alike"
        )
    return LabelledImages(test.images, training.classes, test.numbers)


def _listed(classes: Sequence[str], most: int = 10) -> str:
    more = f" and {len(classes) - most} more" if len(classes) > most else ""
    return f"{', '.join(classes[:most])}{more}"
