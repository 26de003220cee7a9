"""Files that others keep weights in: what a file is, which network of several is meant, and its tensors by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.keras import read_keras
from dcgan_viz.foreign.theano import read_theano
from dcgan_viz.foreign.torch_files import MAXIMUM_ENTRIES, Blank, StateDict, StoredTensor, read_torch_file
from dcgan_viz.foreign.weights import Weights, digest, natural

MAXIMUM_HEADER = 4 * 2**20
WRAPPERS = ("module.", "_orig_mod.", "_module.")
"""Prefixes of DataParallel, torch.compile and a few trainers, which say nothing about the network."""

_SIDES = re.compile(
    r"(net_?|model_?)?(g|d|gen|dis|disc|generator|discriminator|critic)(_?(ema|model|net|network|state_dict))?", re.I
)


def read_weights(place: str | Path) -> Weights:
    """The weights of one network in a file of PyTorch, safetensors, Keras or the authors' Theano code.

    Nothing in the file is run, and no more memory is asked for than the file has.

    Parameters
    ----------
    place : str or Path
        A file, or ``file.pth:netG`` for one network of several.

    Raises
    ------
    UserError
        If there is no such file or network, or the file is something else; the message says what it is.
    """
    path, key = _split(place)
    what_is_it(path)
    if path.suffix == ".jl":
        return read_theano(path)
    if path.suffix in (".h5", ".hdf5", ".keras"):
        return read_keras(path)
    if path.suffix == ".safetensors":
        networks = _networks(_read_safetensors(path))
        ordered = False
    else:
        loaded, strangers = read_torch_file(path)
        networks = _networks(loaded)
        ordered = True
        if not networks:
            raise _no_weights(path, loaded, strangers)
    name, chosen = _choose(path, networks, key)
    source = path.name if len(networks) == 1 and not key else f"{path.name}:{name}"
    return _materialise(chosen, path, source, ordered)


def what_is_it(path: Path) -> None:
    """Refuse what is no file of weights, in a sentence that says what it is instead.

    Raises
    ------
    UserError
    """
    part = path.is_file() and (path.suffix in (".pb", ".index") or ".data-0" in path.name)
    if part or (path / "saved_model.pb").is_file():
        raise UserError(
            f"{path} is TensorFlow's own format, whose graph this package does not run: load it in your code and save the Keras "
            'model whole, with model.save("generator.keras")'
        )
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the file of weights in it")
    if not path.is_file():
        raise UserError(f"{path} does not exist: give a file of weights")
    with path.open("rb") as stream:
        head = stream.read(512)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        raise UserError(f"{path} is empty: copy or download it again")
    if head.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} is a pointer of Git LFS, not the weights themselves: fetch them with git lfs pull")
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise UserError(f"{path} is a web page, not weights: download the file itself (on GitHub, its raw version)")
    if head.startswith(b"\x89HDF\r\n\x1a\n") and path.suffix not in (".h5", ".hdf5"):
        raise UserError(f"{path} is an HDF5 file under another name: call it .h5 if Keras wrote it")
    if start.startswith((b"{", b"[")) and path.suffix != ".safetensors":
        raise UserError(f"{path} is text (JSON), not weights: give the file that torch.save wrote")
    if path.suffix != ".jl" and _is_text(head):
        raise UserError(f"{path} is text, not weights: give the file that torch.save or Keras wrote")
    if head.startswith((b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"BZh", b"\xfd7zXZ")):
        raise UserError(f"{path} is a compressed archive: unpack it and give the file of weights in it")


def _is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a text; the last of them may be half of a character."""
    try:
        text = head[:-3].decode() + head[-3:].decode(errors="ignore")
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text)


def _split(place: str | Path) -> tuple[Path, str | None]:
    """A file and the key after its last colon; a colon in the name of an existing file is part of it."""
    path = Path(place)
    file, colon, key = str(place).rpartition(":")
    if path.exists() or not colon or not file or "/" in key or "\\" in key:
        return path, None
    return Path(file), key


def _networks(loaded: Any) -> dict[str, dict[str, Any]]:
    """The state dicts in an object by their keys; a flat one of several networks is divided by its prefixes."""
    found: dict[str, dict[str, Any]] = {}
    for name, mapping in _state_dicts(loaded, (), set()):
        for prefix, part in _divided(mapping):
            key = ".".join(filter(None, (name, prefix)))
            found[key] = part
    return found


def _state_dicts(value: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Mappings that hold weights, with the keys that lead to them; the states of optimisers are none."""
    if not isinstance(value, Mapping) or len(path) > 4 or id(value) in seen:
        return
    seen.add(id(value))
    if any(_is_tensor(v) and len(_shape(v)) in (2, 4) for v in value.values()):
        yield ".".join(path), dict(value) if not isinstance(value, StateDict) else value
        return
    for key, inner in value.items():
        if isinstance(key, str) and not ("optim" in key.lower() or key.lower().startswith("opt")):
            yield from _state_dicts(inner, (*path, key), seen)


def _divided(mapping: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The parts of a flat mapping whose first names are those of generators and discriminators, as Lightning saves them."""
    parts: dict[str, dict[str, Any]] = {}
    for name, tensor in mapping.items():
        bare = _unwrapped(str(name))
        prefix, dot, rest = bare.partition(".")
        if not dot or not _SIDES.fullmatch(prefix):
            return [("", mapping)]
        part = parts.setdefault(prefix, StateDict())
        part[rest] = tensor
    if len(parts) < 2:
        return [("", mapping)]
    return list(parts.items())


def _choose(path: Path, networks: dict[str, dict[str, Any]], key: str | None) -> tuple[str, dict[str, Any]]:
    if key is None:
        if len(networks) > 1:
            listing = ", ".join(f"{path.name}:{name}" for name in networks)
            raise UserError(f"{path} holds {len(networks)} networks: give one of {listing}")
        return next(iter(networks.items()))
    named = {n: part for n, part in networks.items() if n == key or n.split(".")[-1] == key}
    if len(named) == 1:
        return next(iter(named.items()))
    # A prefix that is no usual one divides a flat state dict all the same.
    for mapping in networks.values():
        part = {
            _unwrapped(n).removeprefix(f"{key}."): t for n, t in mapping.items() if _unwrapped(n).startswith(f"{key}.")
        }
        if part:
            return key, part
    raise UserError(f"{path} holds no network {key}: it has {', '.join(n or 'one without a name' for n in networks)}")


def _materialise(mapping: dict[str, Any], path: Path, source: str, ordered: bool) -> Weights:
    """Descriptions as tensors, once they are known to be no larger than the file."""
    entries = {_unwrapped(str(name)): value for name, value in mapping.items()}
    strange = [name for name, value in entries.items() if not _is_tensor(value)]
    if strange:
        raise UserError(f"{source}: {strange[0]} is not a tensor, so this is not a state_dict")
    described = sum(v.count * v.dtype.itemsize for v in entries.values() if isinstance(v, StoredTensor))
    if len(entries) > MAXIMUM_ENTRIES or described > 2 * path.stat().st_size:
        raise UserError(f"{source} describes {described:,} bytes of weights, more than the file has: it is damaged")
    tensors = {}
    for name, value in entries.items():
        try:
            tensor = value.load() if isinstance(value, StoredTensor) else value
        except Exception as error:
            # A storage is read from an archive only now, and its bytes may be damaged in any way.
            raise UserError(f"{source}: {name} cannot be read ({error}): the file is damaged") from error
        tensors[name] = _checked(tensor, name, source)
    if not ordered:
        tensors = dict(sorted(tensors.items(), key=lambda item: natural(item[0])))
    versions = {_unwrapped(n): v for n, v in getattr(mapping, "versions", {}).items()}
    return Weights(folded(tensors), source, ordered, versions, digest(path))


def _checked(tensor: Tensor, name: str, source: str) -> Tensor:
    counter = name.endswith("num_batches_tracked")
    if not tensor.is_floating_point() and not counter:
        raise UserError(
            f"{source}: {name} holds {str(tensor.dtype).removeprefix('torch.')} numbers, which no weights are"
        )
    numbers = tensor.float()
    if not numbers.isfinite().all():
        raise UserError(f"{source}: {name} is not finite: training diverged, or the file is damaged")
    return numbers


def _unwrapped(name: str) -> str:
    changed = True
    while changed:
        changed = False
        for wrapper in WRAPPERS:
            if name.startswith(wrapper):
                name, changed = name[len(wrapper) :], True
            name = name.replace(f".{wrapper}", ".") if wrapper != "module." else name
    return name


def _is_tensor(value: Any) -> bool:
    return isinstance(value, StoredTensor | Tensor)


def _shape(value: StoredTensor | Tensor) -> tuple[int, ...]:
    return tuple(value.shape)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(min(length, MAXIMUM_HEADER + 1))
    try:
        if length > MAXIMUM_HEADER or len(json.loads(header)) > MAXIMUM_ENTRIES:
            raise UserError(f"{path} describes more than a pair of DCGANs has")
        return load_file(path)
    except (SafetensorError, ValueError, OSError, RecursionError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is not a whole safetensors file ({error}): copy or download it again") from error


def _no_weights(path: Path, loaded: Any, strangers: tuple[str, ...]) -> UserError:
    whole = loaded.named if isinstance(loaded, Blank) else next((s for s in strangers if not _harmless(s)), None)
    if whole is not None:
        return UserError(
            f"{path} is a whole pickled object ({whole}), which would have to run code to be read: load it in your code "
            "and save model.state_dict(), or give file.py:function as the model"
        )
    return UserError(f"{path} holds no weights: save them with torch.save(network.state_dict(), ...)")


def _harmless(name: str) -> bool:
    return name.startswith(("numpy.", "argparse.", "builtins.", "__builtin__.", "collections."))


def folded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights with spectral and weight normalisation, old or parametrised, multiplied out as evaluation does.

    Parameters
    ----------
    weights : mapping of str to Tensor

    Returns
    -------
    dict of str to Tensor
        Every ``weight`` is the one that the layer uses.

    Raises
    ------
    UserError
        If the parts of a normalisation do not fit together.
    """
    result: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        module, form, entry = _form(name)
        if form is None:
            result[name] = tensor
        elif entry == "first":
            companions = {e: weights.get(f"{module}{s}") for e, s in form.items()}
            if any(c is None for c in companions.values()):
                raise UserError(f"{name} is part of a weight or spectral norm whose other parts are missing")
            given = {e: c for e, c in companions.items() if c is not None}
            result[f"{module}weight"] = _spectral(name, given) if "u" in given else _weight_norm(name, given)
    return result


_SPECTRAL = {"first": "weight_orig", "u": "weight_u", "v": "weight_v"}
_SPECTRAL_NEW = {
    "first": "parametrizations.weight.original",
    "u": "parametrizations.weight.0._u",
    "v": "parametrizations.weight.0._v",
}
_WEIGHT_NORM = {"first": "weight_g", "direction": "weight_v"}
_WEIGHT_NORM_NEW = {"first": "parametrizations.weight.original0", "direction": "parametrizations.weight.original1"}


def _form(name: str) -> tuple[str, dict[str, str] | None, str]:
    """The module of an entry, and which part of which normalisation it is."""
    for form in (_SPECTRAL, _SPECTRAL_NEW, _WEIGHT_NORM, _WEIGHT_NORM_NEW):
        for entry, suffix in form.items():
            if name == suffix or name.endswith(f".{suffix}"):
                return name[: len(name) - len(suffix)], form, entry
    return "", None, ""


def _spectral(name: str, parts: Mapping[str, Tensor]) -> Tensor:
    """W / (uᵀ W v), W as a matrix whose rows are the outputs: the first axis, or the second of a transposed convolution."""
    weight, u, v = parts["first"], parts["u"], parts["v"]
    norms = []
    for axis in range(min(weight.ndim, 2)):
        matrix = weight.movedim(axis, 0).flatten(1)
        if matrix.shape == (u.numel(), v.numel()):
            norms.append((u.double() @ matrix.double() @ v.double()).item())
    if not norms or max(map(abs, norms)) == 0:
        raise UserError(f"the spectral norm of {name} does not fit its weight {tuple(weight.shape)}")
    # Of a square weight both fit; its singular vectors are those by which it is large.
    return weight / max(norms, key=abs)


def _weight_norm(name: str, parts: Mapping[str, Tensor]) -> Tensor:
    """The direction v at length g: g v / |v|, the length over every axis along which g does not vary."""
    gain, direction = parts["first"], parts["direction"]
    if gain.ndim not in (0, direction.ndim) or any(
        g not in (1, d) for g, d in zip(gain.shape, direction.shape, strict=False)
    ):
        raise UserError(f"the weight norm of {name} does not fit its weight {tuple(direction.shape)}")
    axes = [a for a in range(direction.ndim) if gain.ndim == 0 or gain.shape[a] == 1]
    return direction * (gain / torch.linalg.vector_norm(direction, dim=axes, keepdim=True))
