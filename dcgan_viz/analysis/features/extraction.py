"""Features of many images as one array on disk: written a batch at a time, gone on with where it was killed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.data.arrays import read_header
from dcgan_viz.data.images import Images
from dcgan_viz.data.parts import Part, parts_of
from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, json_holds, refuse_existing, writing
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.untrusted import load_plain
from dcgan_viz.versions import versions

BATCH = 128
"""Images at a time, always: the last batch is filled up, so that no image's features depend on how many there are."""

ROWS_A_SAVE = 16 * BATCH
"""Rows between two notes of how far an extraction is, which is what a killed one does again."""

LARGEST_NOTE = 2**20
"""Bytes of the file that says what lies in an array."""


@dataclass(frozen=True)
class Extractor:
    """One way to turn images into features.

    Parameters
    ----------
    name : str
        What they are, in words.
    parts : mapping of str to int
        How many features come from each part, in the order of the columns: a layer, for instance.
    digest : str
        Of all that they depend on, beside the images.
    compute : callable
        Takes images (N, C, H, W) in [-1, 1] and returns float (N, d) on the CPU.
    """

    name: str
    parts: Mapping[str, int]
    digest: str
    compute: Callable[[Tensor], Tensor]

    @property
    def size(self) -> int:
        """Features an image."""
        return sum(self.parts.values())

    @property
    def columns(self) -> dict[str, slice]:
        """Where the features of each part are."""
        ends = np.cumsum([0, *self.parts.values()]).tolist()
        return {name: slice(*ends[k : k + 2]) for k, name in enumerate(self.parts)}


@dataclass(frozen=True)
class FeatureFile:
    """Features on disk.

    Parameters
    ----------
    path : Path
        The ``.npy``; beside it a ``.json`` of the same name says what is in it.
    values : ndarray of float16 (N, d)
        Memory-mapped for reading.
    first : int
        Rows that an earlier extraction, which was killed, had left.
    """

    path: Path
    values: NDArray[np.float16] = field(repr=False)
    first: int = 0


def extract_features(
    extractor: Extractor,
    images: Images,
    out: str | Path,
    *,
    digest: str,
    about: Mapping[str, Any] | None = None,
    part: Part | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> FeatureFile:
    """Write the features of all images to an array on disk, a batch at a time, and go on where an earlier call was killed.

    Until it is whole the array lies beside `out` under another name, with a note of how many rows are done and of which
    features and images; with others the note is refused. Its place on the disk is taken before anything is computed. An
    array that is there already and is of the same features and images is left as it is.

    Parameters
    ----------
    extractor : Extractor
    images : Images
    out : path
        An ``.npy`` file to write.
    digest : str
        Of the images: what a resumed extraction must have been begun with.
    about : mapping, optional
        What else is to stand in the ``.json`` beside it.
    part : Part, optional
        Do this part of the images, beside `out` under a name with its number; `merge_features` joins them.
    overwrite : bool
        Replace `out` if it holds something else.
    progress : Progress

    Returns
    -------
    FeatureFile

    Raises
    ------
    UserError
        If something else is at `out`, another extraction has been begun there, a feature does not fit into float16, or
        the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> from dcgan_viz.data.images import TensorImages
    >>> means = Extractor("means", {"colours": 3}, "means", lambda images: images.mean((2, 3)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     extract_features(means, TensorImages(torch.zeros(5, 3, 8, 8)), f"{folder}/f.npy", digest="zeros").values.shape
    (5, 3)
    """
    path = Path(out) if part is None else part.path(Path(out))
    if path.suffix != ".npy":
        raise UserError(f"{path} should end in .npy: features are a NumPy array")
    of_all = range(len(images)) if part is None else part.rows(len(images))
    shape = len(of_all), extractor.size
    identity: dict[str, Any] = {"features": extractor.digest, "images": digest, "shape": list(shape)}
    if part is not None:
        identity["part"] = [part.number, part.of]
    if _is_of(path, identity):
        return FeatureFile(path, np.load(path, mmap_mode="r"), shape[0])
    beside = path.with_suffix(".json")
    refuse_existing(path, overwrite)
    refuse_existing(beside, overwrite, lambda file: json_holds(file, "of", "features"))
    unfinished, note = path.with_name(f"{path.stem}.part.npy"), path.with_name(f"{path.stem}.part.json")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        done = _rows_done(unfinished, note, identity)
        with _opened(unfinished, note, identity, done) as file:
            before = len(_header(shape))
            stage = Stage(f"computing {extractor.name}", -(-shape[0] // BATCH), "batch", first=done // BATCH)
            for start in progress(range(done, shape[0], BATCH), stage):
                rows = slice(start, min(start + BATCH, shape[0]))
                chosen = of_all[rows]
                features = _batch(extractor, images.tensor(slice(chosen.start, chosen.stop)), chosen.start)
                file.seek(before + 2 * start * shape[1])
                file.write(features.tobytes())
                if rows.stop % ROWS_A_SAVE == 0:
                    file.flush()
                    _write_note(note, identity, rows.stop)
        parts = [{"name": name, "columns": [where.start, where.stop]} for name, where in extractor.columns.items()]
        text = {"of": identity, "name": extractor.name, "parts": parts, **(about or {}), "versions": versions()}
        with atomic_file(beside) as temporary:
            temporary.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(path)
        note.unlink(missing_ok=True)
    return FeatureFile(path, np.load(path, mmap_mode="r"), done)


def merge_features(
    out: str | Path, *, about: Mapping[str, Any] | None = None, overwrite: bool = False, progress: Progress = silent
) -> FeatureFile:
    """Join the parts that `extract_features` has written with ``part``: the same array as it writes without.

    Parameters
    ----------
    out : path
        The whole, an ``.npy``; the parts lie beside it, and stay.
    about : mapping, optional
        As in `extract_features`, where it is to say something else than beside the first part.
    overwrite : bool
        Replace `out` if it holds something else.
    progress : Progress

    Returns
    -------
    FeatureFile

    Raises
    ------
    UserError
        If a part is missing or belongs to something else, or the disk is full.
    """
    path = Path(out)
    parts = parts_of(path)
    refuse_existing(path, overwrite)
    beside = path.with_suffix(".json")
    refuse_existing(beside, overwrite, lambda file: json_holds(file, "of", "features"))
    texts = [_text(part) for part in parts]
    identity = {**texts[0]["of"], "shape": [sum(text["of"]["shape"][0] for text in texts), texts[0]["of"]["shape"][1]]}
    del identity["part"]
    for number, (part, text) in enumerate(zip(parts, texts, strict=True), 1):
        as_part = {**identity, "part": [number, len(parts)], "shape": [text["of"]["shape"][0], identity["shape"][1]]}
        if text["of"] != as_part or not _is_of(part, as_part):
            raise UserError(f"{part} is a part of something else than {parts[0].name}, or damaged: write it again")
    with atomic_file(path) as temporary:
        with temporary.open("wb") as file:
            file.write(_header(identity["shape"]))
            for part in progress(parts, Stage("joining", len(parts), "part")):
                with part.open("rb") as rows:
                    rows.seek(read_header(rows).bytes_before)
                    shutil.copyfileobj(rows, file, 2**20)
        with atomic_file(beside) as note:
            note.write_text(
                json.dumps({**texts[0], "of": identity, **(about or {})}, indent=1) + "\n", encoding="utf-8"
            )
    return FeatureFile(path, np.load(path, mmap_mode="r"), 0)


def _text(part: Path) -> dict[str, Any]:
    """What stands beside a part."""
    beside = part.with_suffix(".json")
    try:
        with beside.open("rb") as file:
            text = load_plain(file.read(LARGEST_NOTE).decode("utf-8"))
        (rows, columns), (number, of) = text["of"]["shape"], text["of"]["part"]
        if not all(type(value) is int for value in (rows, columns, number, of)):
            raise ValueError("they are no whole numbers")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{beside} does not say what {part.name} holds: write it again") from error
    return {**text, "of": {**text["of"], "shape": [rows, columns], "part": [number, of]}}


def digest_of_pixels(pixels: NDArray[np.uint8]) -> str:
    """A digest of pictures (N, H, W, C), of all of them up to 256 MiB and of evenly spread ones beyond.

    Examples
    --------
    >>> digest_of_pixels(np.zeros((2, 4, 4, 3), np.uint8))[:8]
    '25c18f3e'
    """
    step = max(1, -(-pixels.nbytes // 2**28))
    digest = hashlib.sha256(str(pixels.shape).encode())
    for start in range(0, len(pixels), 1024 * step):
        digest.update(np.ascontiguousarray(pixels[start : start + 1024 * step : step]).tobytes())
    return digest.hexdigest()


def digest_of_tensors(tensors: Mapping[str, Tensor], *words: str) -> str:
    """A digest of named tensors, and of words that say what is done with them."""
    digest = hashlib.sha256("\n".join(words).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _batch(extractor: Extractor, images: Tensor, first: int) -> NDArray[np.float16]:
    count = len(images)
    filled = torch.cat([images, images.new_zeros(BATCH - count, *images.shape[1:])])
    features = extractor.compute(filled)[:count].half()
    if not torch.isfinite(features).all():
        wrong = int(torch.nonzero(~torch.isfinite(features).all(1))[0]) + first
        raise UserError(f"the features of image {wrong} are not finite in float16, or beyond its 65,504")
    return features.numpy()


def _header(shape: Sequence[int]) -> bytes:
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": tuple(shape)})
    return file.getvalue()


def _opened(part: Path, note: Path, identity: Mapping[str, Any], done: int) -> IO[bytes]:
    """The array that is being written, all of its place on the disk taken: a memory map of a full disk kills a process."""
    if done:
        return part.open("r+b")
    _write_note(note, identity, 0)
    try:
        with part.open("wb") as file:
            file.write(_header(identity["shape"]))
            size = file.tell() + 2 * int(np.prod(identity["shape"], dtype=np.int64))
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        return part.open("r+b")
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
            note.unlink(missing_ok=True)
        raise


def _is_of(path: Path, identity: Mapping[str, Any]) -> bool:
    """Whether there is an array already, and what stands beside it says that it is of the same features and images."""
    try:
        with path.open("rb") as file:
            header = read_header(file)
        whole = header.bytes_before + header.nbytes == path.stat().st_size and header.dtype == np.float16
        return whole and list(header.shape) == identity["shape"] and _read(path.with_suffix(".json")) == identity
    except (OSError, ValueError):
        return False


def _read(note: Path) -> Any:
    """What an array is of, by the file beside it; ValueError where that is damaged."""
    with note.open("rb") as file:
        data = json.loads(file.read(LARGEST_NOTE))
    return data.get("of") if isinstance(data, dict) else None


def _rows_done(part: Path, note: Path, identity: Mapping[str, Any]) -> int:
    """Rows of an earlier extraction that can be kept; 0 where there is none."""
    if not note.exists():
        if part.exists():
            raise UserError(f"{part} is in the way, and nothing says what it is: move it away")
        return 0
    try:
        begun = _read(note)
        rows = int(json.loads(note.read_text(encoding="utf-8"))["rows"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{note} does not say how far the extraction in {part} is: remove both to begin anew"
        ) from error
    if begun != identity:
        changed = ", ".join(key for key in identity if not isinstance(begun, dict) or begun.get(key) != identity[key])
        raise UserError(f"{part} was begun with another {changed}: remove it and {note.name} to begin anew")
    if not part.exists():
        return 0
    size = len(_header(identity["shape"])) + 2 * int(np.prod(identity["shape"], dtype=np.int64))
    whole = part.stat().st_size == size and 0 <= rows <= identity["shape"][0]
    return rows if whole else 0


def _write_note(note: Path, identity: Mapping[str, Any], rows: int) -> None:
    with atomic_file(note) as temporary:
        temporary.write_text(json.dumps({"of": identity, "rows": rows}), encoding="utf-8")
