"""Keras models, read by h5py alone: their configuration tells what weights do not, and no TensorFlow is needed.

Both of Keras' formats are read: HDF5 of `model.save("model.h5")`, whose groups are named as the layers, and the ``.keras``
archive of Keras 3; and weights alone, of `model.save_weights`, as far as their shapes tell (`keras_shapes`). Keras keeps
channels last and pads unevenly where a kernel is larger than its stride by an odd number; a row and a column of zeros before
the kernel make that padding even, exactly.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.elsewhere import survives
from dcgan_viz.foreign.keras_shapes import EPSILON, Stored, configurations
from dcgan_viz.foreign.knowledge import Knowledge, Step, Wishes
from dcgan_viz.foreign.weights import Weights, digest
from dcgan_viz.networks.spec import Activation

MAXIMUM_CONFIG, MAXIMUM_BYTES, MAXIMUM_LAYERS = 4 * 2**20, 2**30, 500

PATIENCE, BYTES_A_SECOND = 20.0, 10 * 2**20
"""Seconds in which a small file is read, and how much longer a large one takes at most."""

_ELSEWHERE = (
    "such a network cannot be imported; write it in PyTorch, with these weights, in a function of your own, and give that to a "
    "command as the model file.py:function"
)
_CONTAINERS = {"Sequential", "Model", "Functional"}
_VARIABLES = {
    "Dense": ("kernel", "bias"),
    "Conv2D": ("kernel", "bias"),
    "Conv2DTranspose": ("kernel", "bias"),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}
_TOUCHES_ZEROS = {"Dense", "Conv2DTranspose", "BatchNormalization", "Reshape", "Flatten", "UpSampling2D", "Activation"}
"""Layers that must not come between a ZeroPadding2D and the convolution that reads its zeros."""

_NOTHING = {
    "InputLayer",
    "Dropout",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "ActivityRegularization",
}
_ACTIVATIONS: dict[str, tuple[Activation, float]] = {
    "relu": ("rectifier", 0.0),
    "leaky_relu": ("rectifier", 0.2),
    "elu": ("elu", 0.0),
    "selu": ("selu", 0.0),
    "gelu": ("gelu", 0.0),
    "silu": ("silu", 0.0),
    "swish": ("silu", 0.0),
    "softplus": ("softplus", 0.0),
    "tanh": ("tanh", 0.0),
}
"""By their names in configurations; the slope is that of `keras.activations.leaky_relu`."""


@dataclass(frozen=True)
class _Layer:
    """A layer of a flattened configuration, and the names of the models around it."""

    kind: str
    settings: Mapping[str, Any]
    outer: tuple[str, ...]
    keys: tuple[str, ...]
    """Where an archive keeps its variables: names of containers and of the layer."""

    @property
    def name(self) -> str:
        return str(self.settings.get("name", self.keys[-1]))


@dataclass
class _Walk:
    """The network as far as it has been read."""

    path: Path
    channels: int
    side: int = 0
    tensors: dict[str, Tensor] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    layers: list[list[str]] = field(default_factory=list)
    """For every layer with weights, what follows it: ``norm`` and activations by name."""
    activations: list[tuple[Activation, float]] = field(default_factory=list)
    epsilons: set[float] = field(default_factory=set)
    upsample: int = 1
    flattened: bool = False
    order: NDArray[np.int64] | None = None
    """Where the units of a dense layer go when they are folded into maps."""
    padding: tuple[int, int] = (0, 0)
    """Rows of zeros that a ZeroPadding2D has put before and after, which the next convolution reads."""
    drawing: bool = True


def read_keras(path: Path) -> Weights:
    """The weights of one network that Keras saved, and what its configuration tells, if there is one.

    Parameters
    ----------
    path : Path
        ``.h5``, ``.hdf5`` or ``.keras``.

    Raises
    ------
    UserError
        If h5py is missing, the file is damaged or holds weights alone that do not tell enough, or a layer is none of a plain
        DCGAN.
    """
    try:
        import h5py
    except ImportError as error:
        raise UserError(
            "Keras files are read by h5py, which is not installed: pip install 'dcgan-viz[keras]'"
        ) from error
    if path.is_file() and not survives(partial(_visit, path), PATIENCE + path.stat().st_size / BYTES_A_SECOND):
        raise UserError(f"{path} is damaged, and HDF5 comes to no end with it: copy it again")
    with _opened(path, h5py) as (config, file):
        if config is None:
            return _by_shapes(file, path, h5py)
        layers = list(_flattened(config, (), (), path))
        if len(layers) > MAXIMUM_LAYERS:
            raise UserError(f"{path} has {len(layers)} layers, more than a DCGAN has")
        find = _finder(file, layers, path, h5py)
        arrays = [_arrays(find, layer, path, h5py) for layer in layers]
    walk = _walked(layers, arrays, path)
    return Weights(walk.tensors, path.name, digest=digest(path), known=_told(walk))


def _walked(layers: list[_Layer], arrays: list[dict[str, Tensor]], path: Path) -> _Walk:
    """The network, from its first layer to its last."""
    walk = _begin(layers, path)
    for number, layer in enumerate(layers):
        _take(walk, layer, arrays[number], layers[number + 1 :])
    return walk


def _by_shapes(file: Any, path: Path, h5py: Any) -> Weights:
    """Weights that came without a configuration, in every way that their shapes allow."""
    stored, ordered, kept = _alone(file, path, h5py)
    ways = []
    arrays: dict[str, dict[str, Tensor]] = {}

    def find(layer: _Layer, _: list[str]) -> Mapping[str, Any]:
        return {name: kept[layer.name][key] for name, key in names.get(layer.name, {}).items()}

    try:
        names = {layer.name: layer.variables for layer in stored}
        for config, unusual in configurations(stored, ordered):
            layers = list(_flattened(config, (), (), path))
            for layer in layers:
                if layer.name not in arrays:
                    arrays[layer.name] = _arrays(find, layer, path, h5py)
            walk = _walked(layers, [arrays[layer.name] for layer in layers], path)
            known = Knowledge(Wishes(steps=tuple(walk.steps)), as_drawn=True)
            ways.append(Weights(walk.tensors, path.name, known=known, unusual=unusual))
    except UserError as error:
        raise _without_configuration(path, str(error)) from error
    if not ways:
        raise _without_configuration(path, "no strides of 1 and 2 lead to pictures of a usual size")
    known = Knowledge(eps=EPSILON, first_eps=EPSILON, as_drawn=True, customary=("eps",))
    return Weights(ways[0].tensors, path.name, digest=digest(path), known=known, ways=tuple(ways))


def _without_configuration(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} holds Keras weights without the configuration of their layers, and these do not tell enough ({why}): build the "
        "model in your code, load this file into it with model.load_weights(...), and save it whole, with "
        'model.save("generator.keras")'
    )


def _alone(file: Any, path: Path, h5py: Any) -> tuple[list[Stored], bool, dict[str, dict[str, Any]]]:
    """Layers of a file without configuration, whether they are in their order, and their variables."""
    root = file.get("model_weights", file)
    listed = [_text(n) for a in sorted(root.attrs) if a.startswith("layer_names") for n in root.attrs[a]]
    kept = _listed(root, listed, h5py) if listed else _numbered(file, h5py)
    if len(kept) > MAXIMUM_LAYERS:
        raise UserError(f"{path} has {len(kept)} layers, more than a DCGAN has")
    stored = [Stored(name, {key: tuple(v.shape) for key, v in found.items()}) for name, found in kept.items()]
    return stored, bool(listed), kept


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _listed(root: Any, names: list[str], h5py: Any) -> dict[str, dict[str, Any]]:
    """Variables of layers as Keras 2 lists them, those of models inside too; layers without any where there are none such."""
    kept: dict[str, dict[str, Any]] = {}
    nested = False
    for outer in names[:MAXIMUM_LAYERS]:
        group = root.get(outer)
        variables = _weight_names(group) if isinstance(group, h5py.Group) else []
        found: dict[str, dict[str, Any]] = {} if variables else {outer: {}}
        for variable in variables:
            *places, last = variable.split("/")
            layer = places[-1] if places else outer
            found.setdefault(layer, {})[last.partition(":")[0]] = group[variable]
        nested |= len(found) > 1
        kept |= found
    return {name: found for name, found in kept.items() if found or not nested}


def _numbered(file: Any, h5py: Any) -> dict[str, dict[str, Any]]:
    """Variables of layers as Keras 3 numbers them."""
    kept: dict[str, dict[str, Any]] = {}

    def note(name: str, item: Any) -> None:
        *outer, layer, last = ("", *name.split("/"))
        if last == "vars" and isinstance(item, h5py.Group) and "optimizer" not in outer and layer:
            datasets = {key: item[key] for key in item if isinstance(item[key], h5py.Dataset)}
            kept[layer if layer not in kept else name] = datasets

    file.visititems(note)
    return kept


def _visit(path: Path) -> None:
    """Read all that is read of a file later, and what else lies in it."""
    import h5py

    size = path.stat().st_size

    def read(_: str, item: Any) -> None:
        list(item.attrs.items())
        if isinstance(item, h5py.Dataset) and not (item.external or item.is_virtual) and item.nbytes <= _most(size):
            item[()]

    with _opened(path, h5py) as (_, file):
        list(file.attrs.items())
        file.visititems(read)


def _most(size: int) -> int:
    """Bytes that a variable in a file of a size may have."""
    return min(4 * size + 2**20, MAXIMUM_BYTES)


@contextmanager
def _opened(path: Path, h5py: Any) -> Iterator[tuple[Mapping[str, Any] | None, Any]]:
    """Configuration, if there is one, and file of variables, whichever format it is."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                config = _json(_member(archive, "config.json", MAXIMUM_CONFIG), path)
                data = io.BytesIO(_member(archive, "model.weights.h5", MAXIMUM_BYTES))
            with h5py.File(data, "r") as file:
                yield config, file
            return
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            yield (None if text is None else _json(text, path)), file
    except UserError:
        raise
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is not a whole Keras model ({type(error).__name__}: {error}): copy it again"
        ) from error


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > min(limit, 4 * info.compress_size + 2**20):
        raise ValueError(f"{name} would be {info.file_size:,} bytes")
    return archive.read(info)


def _json(text: Any, path: Path) -> Mapping[str, Any]:
    text = text.decode() if isinstance(text, bytes) else str(text)
    try:
        config = json.loads(text) if len(text) <= MAXIMUM_CONFIG else None
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise UserError(f"the configuration in {path} is not JSON of a Keras model")
    return config


def _flattened(
    config: Mapping[str, Any], outer: tuple[str, ...], keys: tuple[str, ...], path: Path
) -> Iterator[_Layer]:
    """The layers of a model and of the models inside it, in their order."""
    inner = config.get("config")
    layers = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, dict) else None
    outputs: Any = inner.get("output_layers") if isinstance(inner, dict) else None
    several = isinstance(outputs, list) and len(outputs) > 1 and isinstance(outputs[0], list)
    if not isinstance(layers, list) or len(outer) > 4 or several:
        raise UserError(f"the configuration in {path} is none of layers that follow one another")
    counted: Counter[str] = Counter()
    for layer in layers:
        kind, settings = str(layer["class_name"]), layer.get("config")
        key = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower().replace("2_d", "2d")
        numbered = f"{key}_{counted[key]}" if counted[key] else key
        counted[key] += 1
        if kind in _CONTAINERS:
            name = (
                str(settings.get("name", numbered)) if isinstance(settings, dict) else str(layer.get("name", numbered))
            )
            yield from _flattened(layer, (*outer, name), (*keys, numbered), path)
        else:
            yield _Layer(kind, settings if isinstance(settings, dict) else {}, outer, (*keys, numbered))


def _begin(layers: list[_Layer], path: Path) -> _Walk:
    """A walk that begins with what the first layer reads: a latent, a 1x1 map of it, or a picture."""
    for layer in layers:
        shape = layer.settings.get("batch_input_shape") or layer.settings.get("batch_shape")
        if shape is None and "input_dim" in layer.settings:
            shape = [None, layer.settings["input_dim"]]
        if isinstance(shape, list) and shape and isinstance(shape[0], list):
            shape = shape[0]
        if isinstance(shape, list) and len(shape) == 2 and isinstance(shape[1], int):
            return _Walk(path, shape[1])
        if isinstance(shape, list) and len(shape) == 4 and all(isinstance(n, int) for n in shape[1:]):
            if shape[1] != shape[2]:
                raise UserError(
                    f"{path} reads pictures of {shape[2]}x{shape[1]} pixels; only square ones are supported"
                )
            return _Walk(path, shape[3], shape[1], drawing=shape[1] == 1)
    raise UserError(f"the configuration in {path} does not say what its first layer reads")


def _arrays(
    find: Callable[[_Layer, list[str]], Mapping[str, Any]], layer: _Layer, path: Path, h5py: Any
) -> dict[str, Tensor]:
    """The variables of a layer by their names."""
    size = path.stat().st_size
    wanted = [n for n in _VARIABLES.get(layer.kind, ()) if _has(layer, n)]
    found = find(layer, wanted) if wanted else {}
    arrays = {}
    for name in wanted:
        dataset = found.get(name)
        if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
            raise UserError(f"{path} lacks the {name} of its layer {layer.name}")
        if dataset.dtype.kind != "f" or dataset.nbytes > _most(size):
            raise UserError(f"{path}: the {name} of {layer.name} would be {dataset.nbytes:,} bytes of {dataset.dtype}")
        values = torch.from_numpy(np.asarray(dataset[()], np.float32))
        if not values.isfinite().all():
            raise UserError(
                f"{path}: the {name} of {layer.name} is not finite: training diverged, or the file is damaged"
            )
        arrays[name] = values
    return arrays


def _has(layer: _Layer, name: str) -> bool:
    switch = {"bias": "use_bias", "gamma": "scale", "beta": "center"}.get(name)
    return switch is None or bool(layer.settings.get(switch, True))


def _variables(file: Any, layer: _Layer, keys: tuple[str, ...], h5py: Any) -> Any:
    """The group of an archive that keeps a layer's variables, by the names of the groups around and of its own."""
    for root in ("layers", "_layer_checkpoint_dependencies"):
        group: Any = file
        for key in keys:
            inside = group.get(root) if isinstance(group, h5py.Group) else None
            group = None if inside is None else inside.get(key)
        variables = group.get("vars") if isinstance(group, h5py.Group) else None
        if isinstance(variables, h5py.Group):
            return variables
    return None


def _finder(file: Any, layers: list[_Layer], path: Path, h5py: Any) -> Callable[[_Layer, list[str]], Mapping[str, Any]]:
    """How the variables of layers are found.

    In archives they are numbered, in groups of the layers' kinds, or lately of their names; ``conv2d_1`` may be either, so
    all of them decide.
    """
    if path.suffix != ".keras":
        return lambda layer, _: _by_name(file, layer, h5py)
    weighted = [layer for layer in layers if layer.kind in _VARIABLES]
    named = all(_variables(file, layer, (*layer.outer, layer.name), h5py) is not None for layer in weighted)

    def find(layer: _Layer, wanted: list[str]) -> Mapping[str, Any]:
        variables = _variables(file, layer, (*layer.outer, layer.name) if named else layer.keys, h5py)
        return {} if variables is None else {name: variables.get(str(k)) for k, name in enumerate(wanted)}

    return find


def _by_name(file: Any, layer: _Layer, h5py: Any) -> dict[str, Any]:
    """In HDF5 a group of the outermost layer lists its variables: ``dense/kernel:0``, ``sequential/dense/kernel:0``."""
    root = file.get("model_weights", file)
    group = root.get(layer.outer[0] if layer.outer else layer.name)
    if not isinstance(group, h5py.Group):
        return {}
    found = {}
    for name in _weight_names(group):
        *places, last = name.split("/")
        if not layer.outer or layer.name in places:
            found[last.partition(":")[0]] = group.get(name)
    return found


def _weight_names(group: Any) -> list[str]:
    """Paths of a group's variables, from the lists in its attributes."""
    lists = [group.attrs[a] for a in sorted(group.attrs) if a.startswith("weight_names")]
    return [_text(name) for names in lists for name in names][: 10 * MAXIMUM_LAYERS]


def _take(walk: _Walk, layer: _Layer, arrays: dict[str, Tensor], rest: list[_Layer]) -> None:
    """One layer further."""
    settings = layer.settings
    if settings.get("data_format") not in (None, "channels_last"):
        raise _strange(walk, layer, "keeps channels first")
    if any(walk.padding) and layer.kind in _TOUCHES_ZEROS:
        raise _strange(walk, layer, "reads zeros of a ZeroPadding2D that it does not keep")
    if layer.kind == "Dense":
        if arrays["kernel"].ndim != 2:
            raise _strange(walk, layer, f"has a kernel of shape {tuple(arrays['kernel'].shape)}")
        _dense(walk, arrays, rest)
    elif layer.kind in ("Conv2D", "Conv2DTranspose"):
        _convolution(walk, layer, arrays, rest)
    elif layer.kind == "ZeroPadding2D":
        before, after = _margins(walk, layer, "padding")
        walk.padding = walk.padding[0] + before, walk.padding[1] + after
        return
    elif layer.kind == "Cropping2D":
        # The convolution before has left it out.
        return
    elif layer.kind == "BatchNormalization":
        _normalisation(walk, layer, arrays)
    elif layer.kind == "Reshape":
        *sides, channels = _target_shape(layer) or (0,)
        if len(sides) != 2 or sides[0] != sides[1]:
            raise _strange(walk, layer, f"reshapes to {settings.get('target_shape')}")
        walk.side, walk.channels, walk.order = sides[0], channels, None
    elif layer.kind == "Flatten":
        walk.flattened = walk.side > 0
    elif layer.kind == "UpSampling2D":
        size = settings.get("size", 2)
        if settings.get("interpolation", "nearest") != "nearest" or len(set(np.atleast_1d(size).tolist())) != 1:
            raise _strange(walk, layer, "interpolates")
        walk.upsample *= int(np.atleast_1d(size)[0])
    elif layer.kind in ("LeakyReLU", "ReLU", "ELU", "Activation"):
        _activation(walk, layer)
        return
    elif layer.kind not in _NOTHING:
        raise _strange(walk, layer, "is not one that a plain DCGAN has")
    if isinstance(settings.get("activation"), str | dict):
        _activation(walk, layer)


def _strange(walk: _Walk, layer: _Layer, what: str) -> UserError:
    return UserError(f"the layer {layer.name} ({layer.kind}) of {walk.path} {what}: {_ELSEWHERE}")


def _dense(walk: _Walk, arrays: dict[str, Tensor], rest: list[_Layer]) -> None:
    weight = arrays["kernel"].T
    if walk.flattened:
        # Flattened maps have their channels last.
        weight = weight.unflatten(1, (walk.side, walk.side, walk.channels)).permute(0, 3, 1, 2).flatten(1)
    walk.order = _folding(len(weight), rest)
    _add(walk, weight, arrays.get("bias"))
    walk.flattened, walk.side, walk.channels = False, 0, len(weight)


def _folding(units: int, rest: list[_Layer]) -> NDArray[np.int64] | None:
    """Where units go that are soon reshaped to maps with channels last."""
    for layer in rest:
        if layer.kind in ("Dense", "Conv2D", "Conv2DTranspose"):
            return None
        if layer.kind == "Reshape":
            shape = _target_shape(layer)
            if len(shape) == 3 and math.prod(shape) == units:
                return np.arange(units).reshape(shape).transpose(2, 0, 1).ravel()
    return None


def _target_shape(layer: _Layer) -> tuple[int, ...]:
    """What a layer reshapes to; nothing where its settings do not say it."""
    shape = layer.settings.get("target_shape")
    if isinstance(shape, list | tuple) and all(type(side) is int for side in shape):
        return tuple(shape)
    return ()


def _add(walk: _Walk, weight: Tensor, bias: Tensor | None) -> None:
    walk.layers.append([])
    name = f"layer{len(walk.layers)}"
    walk.tensors[f"{name}.weight"] = _in_order(weight, walk.order).contiguous()
    if bias is not None:
        walk.tensors[f"{name}.bias"] = _in_order(bias, walk.order)


def _in_order(values: Tensor, order: NDArray[np.int64] | None) -> Tensor:
    return values if order is None else values[torch.from_numpy(order)]


def _margins(walk: _Walk, layer: _Layer, name: str) -> tuple[int, int]:
    """Rows before and after of a ZeroPadding2D or Cropping2D, which must be as many as its columns."""
    given = layer.settings.get(name, 1)
    rows, columns = given if isinstance(given, list) else (given, given)
    sides = [tuple(side) if isinstance(side, list) else (side, side) for side in (rows, columns)]
    if sides[0] != sides[1] or len(sides[0]) != 2 or any(not isinstance(n, int) or n < 0 for n in sides[0]):
        raise _strange(walk, layer, f"has the {name} {given}, not alike in both directions")
    return sides[0][0], sides[0][1]


def _cropped(walk: _Walk, rest: list[_Layer]) -> tuple[int, int]:
    """What Cropping2D layers before the next one with weights leave out; normalisations and activations do not mind."""
    before, after = 0, 0
    for layer in rest:
        if layer.kind == "Cropping2D":
            more = _margins(walk, layer, "cropping")
            before, after = before + more[0], after + more[1]
        elif layer.kind not in _NOTHING | {"BatchNormalization", "LeakyReLU", "ReLU", "ELU", "Activation"}:
            break
    return before, after


def _convolution(walk: _Walk, layer: _Layer, arrays: dict[str, Tensor], rest: list[_Layer]) -> None:
    settings, kernel = layer.settings, arrays["kernel"]
    strides, dilation = (np.atleast_1d(settings.get(n) or 1) for n in ("strides", "dilation_rate"))
    odd = kernel.shape[0] != kernel.shape[1] or len(set(strides.tolist())) != 1 or (dilation != 1).any()
    if odd or settings.get("groups", 1) != 1 or settings.get("output_padding") is not None:
        raise _strange(walk, layer, "has no square kernel and stride, is dilated, grouped or padded by hand")
    if walk.side < 1:
        walk.side = 1
    stride, same = int(strides[0]), settings.get("padding", "valid") == "same"
    transposed = layer.kind == "Conv2DTranspose"
    if not transposed and walk.drawing and stride != 1:
        raise _strange(walk, layer, "strides downwards in a generator")
    # (h, w, out, in) of a transposed convolution, (h, w, in, out) of an ordinary one, to (in, out, h, w).
    weight = kernel.permute(3, 2, 0, 1) if transposed else kernel.permute(2, 3, 0, 1)
    side = walk.side * walk.upsample + sum(walk.padding)
    before, after = _padding(side, weight.shape[-1], stride, transposed) if same else (0, 0)
    cropped = _cropped(walk, rest)
    if transposed:
        before, after = before + cropped[0], after + cropped[1]
    elif any(cropped):
        raise _strange(walk, layer, "is cropped, which only a transposed convolution can be")
    else:
        before, after = before + walk.padding[0], after + walk.padding[1]
    walk.padding = 0, 0
    if after > before:
        weight, before = torch.nn.functional.pad(weight, (after - before, 0) * 2), after
    elif after < before:
        weight = torch.nn.functional.pad(weight, (0, before - after) * 2)
    size = weight.shape[-1]
    if transposed:
        more = max(stride - size, 0)
        walk.side = (walk.side * walk.upsample - 1) * stride - 2 * before + size + more
        step = Step(stride, before, more, walk.upsample)
    elif walk.drawing:
        walk.side = walk.side * walk.upsample + 2 * before - size + 1
        weight, step = weight.flip(2, 3), Step(1, size - 1 - before, 0, walk.upsample)
    else:
        walk.side = (walk.side + 2 * before - size) // stride + 1
        weight, step = weight.transpose(0, 1), Step(stride, before)
    walk.steps.append(step)
    walk.upsample, walk.order = 1, None
    _add(walk, weight, arrays.get("bias"))
    walk.channels = len(weight) if not walk.drawing else weight.shape[1]


def _padding(side: int, kernel: int, stride: int, transposed: bool) -> tuple[int, int]:
    """What "same" pads, or crops of a transposed convolution, before and after; by half a pixel more at the end."""
    reach = 0 if transposed else (-(-side // stride) - 1) * stride - side
    total = max(kernel - stride if transposed else reach + kernel, 0)
    return total // 2, total - total // 2


def _normalisation(walk: _Walk, layer: _Layer, arrays: dict[str, Tensor]) -> None:
    axis = layer.settings.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) else axis
    if axis not in (-1, 3 if walk.side else 1) or not walk.layers:
        raise _strange(walk, layer, f"normalises along axis {axis}, or what no layer wrote")
    mean = arrays["moving_mean"]
    entries = {
        "weight": arrays.get("gamma", torch.ones_like(mean)),
        "bias": arrays.get("beta", torch.zeros_like(mean)),
        "running_mean": mean,
        "running_var": arrays["moving_variance"],
    }
    for entry, values in entries.items():
        walk.tensors[f"norm{len(walk.layers)}.{entry}"] = _in_order(values, walk.order)
    walk.epsilons.add(float(layer.settings.get("epsilon", 1e-3)))
    walk.layers[-1].append("norm")


def _activation(walk: _Walk, layer: _Layer) -> None:
    name, slope = layer.settings.get("activation"), 0.0
    if isinstance(name, dict):
        name = str(name.get("config", name.get("class_name")))
    if layer.kind == "LeakyReLU":
        slope = layer.settings.get("negative_slope", layer.settings.get("alpha", 0.3))
        slope = slope.get("config", {}).get("value", 0.3) if isinstance(slope, dict) else slope
        kind: Activation = "rectifier"
    elif layer.kind == "ReLU":
        if layer.settings.get("max_value") is not None or layer.settings.get("threshold"):
            raise _strange(walk, layer, "is capped")
        kind, slope = "rectifier", layer.settings.get("negative_slope") or 0.0
    elif layer.kind == "ELU":
        kind = "elu"
    elif name in (None, "linear"):
        return
    elif name == "sigmoid":
        walk.layers[-1].append("sigmoid")
        return
    elif name in _ACTIVATIONS:
        kind, slope = _ACTIVATIONS[str(name)]
    else:
        raise _strange(walk, layer, f"ends in {name}, which is not supported")
    if not walk.layers:
        raise _strange(walk, layer, "follows no layer with weights")
    walk.layers[-1].append("tanh" if kind == "tanh" else "activation")
    # Stored as float32.
    walk.activations.append((kind, round(float(slope), 6)))


def _told(walk: _Walk) -> Knowledge:
    """What the configuration tells, once all layers are read."""
    if len(walk.layers) < 2:
        raise UserError(f"{walk.path} has {len(walk.layers)} layers with weights: a DCGAN has several")
    *hidden, last = walk.layers
    ending = [what for what in last if what != "norm"]
    activations = walk.activations[: len(walk.activations) - ("tanh" in ending or "activation" in ending)]
    if len(set(activations)) > 1 or len(walk.epsilons) > 1:
        raise UserError(f"the layers of {walk.path} have several activations or epsilons: {_ELSEWHERE}")
    bare = [k for k, what in enumerate(hidden) if not set(what) - {"norm"}]
    if any(len(what) != len(set(what)) or "sigmoid" in what for what in hidden) or bare not in (
        [],
        [0][: walk.drawing],
    ):
        raise UserError(f"not every hidden layer of {walk.path} ends in one activation: {_ELSEWHERE}")
    orders = {what.index("norm") == 0 for what in hidden if len(what) == 2}
    if len(orders) > 1 or (walk.drawing and "activation" in ending):
        raise UserError(f"{walk.path} normalises now before, now after its activations: {_ELSEWHERE}")
    activation, slope = activations[0] if activations else ("rectifier", 0.0)
    outputs = {"tanh": "tanh", "sigmoid": "sigmoid"}
    return Knowledge(
        Wishes(steps=tuple(walk.steps)),
        activation=activation,
        slope=slope,
        norm_first=orders == {True} or not orders,
        first_activated=not bare,
        eps=next(iter(walk.epsilons), None),
        first_eps=next(iter(walk.epsilons), None),
        output=outputs.get(ending[0], "none") if walk.drawing and ending else "none" if walk.drawing else None,  # type: ignore[arg-type]
        as_drawn=True,
    )
