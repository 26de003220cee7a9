"""The discriminator's maps as features: every layer max-pooled to 4x4 and concatenated (Radford et al. 2015, 5.1)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dcgan_viz.data.images import Images
from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, writing
from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.protocol import DiscriminatorNetwork
from dcgan_viz.progress import Progress, Stage, silent

GRID = 4
BATCH = 128
"""Images at a time, always: the last batch is filled up, so that no image's features depend on how many there are."""

ROWS_A_SAVE = 16 * BATCH
"""Rows between two notes of how far an extraction is, which is what a killed one does again."""

Precision = Literal["fp32", "bf16"]


def feature_sizes(discriminator: DiscriminatorNetwork) -> tuple[int, ...]:
    """How many features each layer contributes, from the first layer on.

    Examples
    --------
    >>> from dcgan_viz.networks import preset
    >>> from dcgan_viz.networks.modules import Discriminator
    >>> sum(feature_sizes(Discriminator(preset("imagenet32").discriminator)))
    28672
    """
    return tuple(layer.channels * min(GRID, layer.size) ** 2 for layer in discriminator.numbered_layers)


@torch.no_grad()
def pooled_features(discriminator: DiscriminatorNetwork, images: Tensor, precision: Precision = "fp32") -> Tensor:
    """Features (N, d), float32 on the CPU, of images (N, C, H, W) in [-1, 1].

    The maps of every layer after their rectifier, max-pooled to 4x4 (smaller ones stay as they are), flattened and
    concatenated from the first layer to the last.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
        Evaluated with its running statistics.
    images : Tensor
    precision : {"fp32", "bf16"}
        Of the convolutions.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> model = load("bedrooms")
    >>> pooled_features(model.discriminator, model.sample(2)).shape
    torch.Size([2, 23552])
    """
    device = discriminator.device
    with evaluation(discriminator), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        every = discriminator.all_activations(images.to(device).contiguous(memory_format=torch.channels_last))
        pooled = [functional.adaptive_max_pool2d(maps, min(GRID, maps.shape[-1])) for maps in every]
    return torch.cat([maps.float().flatten(1) for maps in pooled], dim=1).cpu()


def extract_features(
    discriminator: DiscriminatorNetwork,
    images: Images,
    out: str | Path,
    *,
    digest: str,
    precision: Precision = "fp32",
    overwrite: bool = False,
    progress: Progress = silent,
) -> NDArray[np.float16]:
    """Write the features of all images to an array on disk, a batch at a time, and go on where an earlier call was killed.

    Until it is whole the array lies beside `out` under another name, with a note of how many rows are done and of which
    network and images; with others the note is refused.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
    images : Images
    out : path
        An ``.npy`` file to write.
    digest : str
        Of the images: what a resumed extraction must have been begun with.
    precision : {"fp32", "bf16"}
    overwrite : bool
        Replace `out` if there is one.
    progress : Progress

    Returns
    -------
    ndarray of float16 (N, d)
        Memory-mapped for reading.

    Raises
    ------
    UserError
        If `out` exists, another extraction has been begun there, a feature does not fit into float16, or the disk is full.
    """
    path = Path(out)
    if path.suffix != ".npy":
        raise UserError(f"features are written to an .npy file, not to {path.name}")
    if path.exists() and not overwrite:
        raise UserError(f"{path} is there already: name another file, or say that it may be overwritten")
    shape = len(images), sum(feature_sizes(discriminator))
    identity = {"network": _digest(discriminator), "images": digest, "precision": precision, "shape": list(shape)}
    part, note = path.with_name(f"{path.stem}.part.npy"), path.with_name(f"{path.stem}.part.json")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        done = _rows_done(part, note, identity)
        array = open_memmap(part, "r+" if done else "w+", np.float16, shape)
        starts = range(done, shape[0], BATCH)
        stage = Stage("computing features", -(-shape[0] // BATCH), "batch", first=done // BATCH)
        for start in progress(starts, stage):
            rows = slice(start, min(start + BATCH, shape[0]))
            array[rows] = _batch(discriminator, images.tensor(rows), precision, rows)
            if rows.stop % ROWS_A_SAVE == 0:
                array.flush()
                _write_note(note, identity, rows.stop)
        array.flush()
        del array
        part.replace(path)
        note.unlink(missing_ok=True)
    found: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return found


def _batch(
    discriminator: DiscriminatorNetwork, images: Tensor, precision: Precision, rows: slice
) -> NDArray[np.float16]:
    count = len(images)
    filled = torch.cat([images, images.new_zeros(BATCH - count, *images.shape[1:])])
    features = pooled_features(discriminator, filled, precision)[:count].half()
    if not torch.isfinite(features).all():
        wrong = int(torch.nonzero(~torch.isfinite(features).all(1))[0]) + rows.start
        raise UserError(f"the features of image {wrong} are not finite in float16, or beyond its 65,504")
    return features.numpy()


def _rows_done(part: Path, note: Path, identity: dict[str, Any]) -> int:
    """Rows of an earlier extraction that can be kept; 0 where there is none."""
    if not note.exists():
        if part.exists():
            raise UserError(f"{part} is in the way, and nothing says what it is: move it away")
        return 0
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
        begun, rows = found["of"], int(found["rows"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{note} does not say how far the extraction in {part} is: remove both to begin anew"
        ) from error
    if begun != identity:
        changed = ", ".join(key for key in identity if not isinstance(begun, dict) or begun.get(key) != identity[key])
        raise UserError(f"{part} was begun with another {changed}: remove it and {note.name} to begin anew")
    whole = part.exists() and 0 <= rows <= identity["shape"][0]
    return rows if whole else 0


def _write_note(note: Path, identity: dict[str, Any], rows: int) -> None:
    with atomic_file(note) as temporary:
        temporary.write_text(json.dumps({"of": identity, "rows": rows}), encoding="utf-8")


def _digest(discriminator: DiscriminatorNetwork) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(discriminator.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
