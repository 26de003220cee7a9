"""The weight files of the DCGAN authors' Theano code: a joblib index, which is a pickle and not read, and its arrays.

The arrays lie beside the index as ``NAME.jl_01.npy``, ``NAME.jl_02.npy``, … in the order of the layers: weights of a layer,
then gain and bias of its normalisation. Theano turns kernels around, dense weights are (in, out), normalisations are over
the batch at hand, with an epsilon of 1e-8: no running statistics are kept.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dcgan_viz.data.arrays import read_arrays
from dcgan_viz.errors import UserError
from dcgan_viz.foreign.knowledge import Knowledge, Step, Wishes
from dcgan_viz.foreign.weights import Weights

MAXIMUM_ARRAYS, MAXIMUM_BYTES = 100, 2**30


def read_theano(path: Path) -> Weights:
    """The weights of one network of the authors' code.

    Parameters
    ----------
    path : Path
        The index, such as ``200_gen_params.jl``; its arrays lie beside it.

    Raises
    ------
    UserError
        If arrays are missing or damaged, or are not in the order of the authors' networks.
    """
    files = sorted(path.parent.glob(f"{path.name}_*.npy"))
    if not 3 <= len(files) <= MAXIMUM_ARRAYS:
        raise UserError(
            f"{path} is the index of a Theano network, and {path.name}_01.npy, … are not beside it: copy them too"
        )
    tensors: dict[str, Tensor] = {}
    digest = hashlib.sha256()
    layer = 0
    pending: list[Tensor] = []
    for file in files:
        array = _read(file)
        digest.update(file.read_bytes())
        if array.ndim > 1:
            layer += 1
            tensors[f"layer{layer}.weight"] = array.flip(2, 3) if array.ndim == 4 else array.T
            pending = []
            continue
        pending.append(array)
        if not layer or len(pending) > 2:
            raise UserError(f"{file} is no gain or bias that follows weights: these are not the authors' networks")
        entry = ("weight", "bias")[len(pending) - 1]
        tensors[f"norm{layer}.{entry}"] = array
        tensors.setdefault(f"norm{layer}.running_mean", torch.zeros_like(array))
        tensors.setdefault(f"norm{layer}.running_var", torch.ones_like(array))
    kernels = [t.shape[-1] for t in tensors.values() if t.ndim == 4]
    # Theirs of 5x5 stride by 2; only the 3x3 ones of their ImageNet networks do so in turn.
    step = Step(2, 2, 1) if tensors["layer1.weight"].ndim == 2 else Step(2, 2)
    wishes = Wishes(steps=(step,) * len(kernels)) if set(kernels) == {5} else Wishes()
    known = Knowledge(wishes, eps=1e-8, first_eps=1e-8)
    return Weights(tensors, path.name, digest=digest.hexdigest(), known=known, measured=False)


def _read(file: Path) -> Tensor:
    if file.stat().st_size > MAXIMUM_BYTES:
        raise UserError(f"{file} is larger than {MAXIMUM_BYTES >> 30} GiB: that is not a layer of a DCGAN")
    try:
        (array,) = read_arrays(file).values()
    except (UserError, ValueError) as error:
        raise UserError(f"{file} is not an array of numbers ({error}): copy it again") from error
    if array.dtype.kind != "f" or array.ndim not in (1, 2, 4) or not np.isfinite(array).all():
        raise UserError(f"{file} holds no finite weights of a layer, but {array.dtype} of shape {array.shape}")
    return torch.from_numpy(array.astype(np.float32))
