"""One function for pictures from anywhere."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path

from dcgan_viz.data.decoding import readable_endings
from dcgan_viz.data.sources.archives import SHARDS, TarSource, ZipSource, expand_shards
from dcgan_viz.data.sources.arrays import ArraySource, MatSource
from dcgan_viz.data.sources.cifar import CifarSource, batches_in, is_batch
from dcgan_viz.data.sources.folder import FileSource, FolderSource
from dcgan_viz.data.sources.huggingface import HuggingFaceSource, is_dataset
from dcgan_viz.data.sources.keep_list import KeptSource
from dcgan_viz.data.sources.lmdb import DATA_FILE, LmdbSource
from dcgan_viz.data.sources.source import Source
from dcgan_viz.errors import UserError

PACKED = (".mdb", ".meta", ".mat", ".npy", ".npz", ".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2")
"""Endings of sets of images in one file, and of files that lie beside others of a set."""

KINDS = (
    "a folder, a zip or a tar of images, an .npy or .npz array, LSUN's LMDB, CIFAR's batches, SVHN's .mat, a range of "
    "WebDataset shards such as 'train-{000..146}.tar' (in quotes, or the shell makes many of it), or a "
    "Hugging Face dataset saved to disk"
)


def open_images(path: str | Path, keep_list: str | Path | None = None) -> Source:
    """The pictures of a folder, an archive, an array, or one of the forms in which data sets are distributed.

    Nothing is decoded yet, and of archives and databases only the directory is read.

    Parameters
    ----------
    path : path
        A single picture; a folder of any depth; a zip or tar, compressed or not; uint8 pictures (N, H, W, C) or (N,
        H, W) as ``.npy`` or ``.npz``; the folder of an LMDB (LSUN); of CIFAR's batches in the binary version or the
        one for Python; SVHN's ``.mat`` of cropped digits; tars by a range, ``train-{000..146}.tar``, or a folder of
        tars (WebDataset); a folder of ``datasets.save_to_disk`` (Hugging Face).
    keep_list : path, optional
        The names of those pictures that are to be used, a JSON string a line.

    Returns
    -------
    Source
        Its `found` says what was found, its `left_out` what else lies there.

    Raises
    ------
    UserError
        If there is nothing, or it is damaged, holds no pictures, or not those of the keep-list.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "a.npy", np.zeros((3, 16, 16, 3), np.uint8))
    ...     source = open_images(Path(folder) / "a.npy")
    ...     len(source), source.names[2], source[2].size
    (3, 'a.npy[2]', (16, 16))
    """
    source = _open(Path(path))
    if not len(source):
        left_out = f" among {', '.join(source.left_out)}" if source.left_out else ""
        raise UserError(f"{path} holds no images{left_out}: {_instead(source)}")
    return source if keep_list is None else KeptSource(source, Path(keep_list))


def _instead(source: Source) -> str:
    """What to give where a folder or an archive holds sets of images and no images, as they are downloaded."""
    if source.path.is_dir():
        sets = sorted(entry.name for entry in source.path.iterdir() if _is_set(entry))
        if sets:
            more = f", or another of {len(sets)} sets in it" if len(sets) > 1 else ", which lies in it"
            return f"give {source.path / sets[0]}{more}"
    elif any(left_out.endswith(PACKED) for left_out in source.left_out):
        return "unpack it, and give what lies in it"
    return f"give {KINDS}"


def _is_set(entry: Path) -> bool:
    """Whether something in a folder is a set of images of its own, by the names of its files."""
    if entry.is_dir():
        return (entry / DATA_FILE).is_file() or bool(batches_in(entry)) or is_dataset(entry)
    return entry.name.endswith(PACKED)


def _open(path: Path) -> Source:
    if re.fullmatch(SHARDS, str(path)) and not path.exists():
        shards = expand_shards(str(path))
        missing = [shard for shard in shards if not shard.is_file()]
        if missing:
            raise UserError(f"{len(missing)} of {len(shards)} shards of {path} do not exist, such as {missing[0]}")
        return TarSource(path, shards)
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist: give {KINDS}")
    ending = path.suffix.lower()
    if ending in (".npy", ".npz"):
        return ArraySource(path)
    if ending == ".mat":
        return MatSource(path)
    if ending == ".mdb":
        return LmdbSource(path)
    if ending in readable_endings():
        return FileSource(path)
    if is_batch(path):
        return CifarSource(path)
    return _open_archive(path)


def _open_folder(path: Path) -> Source:
    if (path / DATA_FILE).is_file():
        return LmdbSource(path)
    if batches_in(path):
        return CifarSource(path)
    if is_dataset(path):
        return HuggingFaceSource(path)
    folder = FolderSource(path)
    shards = [] if len(folder) else sorted(path.glob("*.tar"))
    return TarSource(path, shards) if shards else folder


def _open_archive(path: Path) -> Source:
    try:
        if zipfile.is_zipfile(path):
            return ZipSource(path)
        if path.suffix.lower() in (".tar", ".tgz", ".tbz2", ".txz") or ".tar." in path.name or tarfile.is_tarfile(path):
            return TarSource(path)
        if path.suffix.lower() == ".zip":
            # It says what is wrong with it.
            return ZipSource(path)
    except UserError:
        raise
    except Exception as error:  # Both look for their marks in bytes that may be anything.
        raise UserError(f"{path} cannot be read: {error}") from error
    raise UserError(f"{path} is neither a folder, a readable zip nor another set of images: give {KINDS}")
