"""Weights on disk: the one writer and the one reader of every file of tensors, and small networks as folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file
from dcgan_viz.folders import check_folder, staged_folder
from dcgan_viz.networks.protocol import TorchModule
from dcgan_viz.networks.spec import MAXIMUM_SIDE

WEIGHTS_FILE = "weights.safetensors"


class NotFiniteError(UserError):
    """Tensors that are not written, since some of their values are infinite or no numbers."""


MAXIMUM_HEADER = 2**20
"""Bytes of names and shapes that are read before anything is known of a file: eight thousand tensors."""

MAXIMUM_SCALE = 2**11
"""Maps of one scale of a network that reads pictures: sixteen times the widest of those here."""

WORST_ROUNDING = 2**-9
"""Of a map's weights, that storing them as fp16 may change; ordinary rounding changes 2**-12 of them."""

SMALLEST = 1e-30
"""In place of a norm of 0."""

Network = TypeVar("Network", bound=nn.Module)


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """Write tensors as they are to a safetensors file, whole or not at all, readable by whom the umask says.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        On any device, of any dtype.
    path : Path
        Replaced if it exists.
    metadata : mapping of str to str, optional
        Read again as `TensorFile.metadata`.

    Raises
    ------
    UserError
        If a value is not finite, the folder cannot be written, or the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_tensors({"bias": torch.zeros(2)}, Path(folder) / "weights.safetensors", {"step": "7"})
    ...     with open_tensors(path) as file:
    ...         file.metadata, file.read({"bias": (2,)})
    ({'step': '7'}, {'bias': tensor([0., 0.])})
    """
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise NotFiniteError(
                f"{path.name} is not written, since {name} holds values that are not finite: go back to an earlier "
                "checkpoint or to weights that are whole"
            )
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_file(path) as temporary:
        try:
            save_file(plain, temporary, metadata=dict(metadata or {}))
        except SafetensorError as error:
            raise OSError(0, str(error)) from error
    return path


def save_network(network: TorchModule, path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """Write what evaluation needs of a network: kernels and matrices as fp16, vectors as they are.

    Running variances and gains are few and reach far, and keep their precision; so does a kernel that fp16, which ends
    at 65,504 and loses what is small, would not hold.

    Raises
    ------
    UserError
        As in `save_tensors`.
    """
    return save_tensors({name: _compact(tensor) for name, tensor in network_tensors(network).items()}, path, metadata)


def network_tensors(network: TorchModule) -> dict[str, Tensor]:
    """Parameters and running statistics by name, without the counters that evaluation does not use."""
    return {name: t for name, t in network.state_dict().items() if not name.endswith("num_batches_tracked")}


def _compact(tensor: Tensor) -> Tensor:
    if tensor.ndim < 2:
        return tensor
    half = tensor.half()
    # By row and by column: batch normalisation blows up again what is small in one map alone.
    changes = [
        torch.linalg.vector_norm((half.float() - tensor).flatten(1), dim=1)
        / torch.linalg.vector_norm(tensor.flatten(1), dim=1).clamp(min=SMALLEST)
        for half, tensor in ((half, tensor), (half.transpose(0, 1), tensor.transpose(0, 1)))
    ]
    # An infinite change, or one that is no number, is none to accept.
    return half if all(bool((change <= WORST_ROUNDING).all()) for change in changes) else tensor


@dataclass(frozen=True)
class TensorFile:
    """An open file of tensors, of which only names, shapes and metadata have been read.

    Parameters
    ----------
    path : Path
    metadata : mapping of str to str
    """

    path: Path
    metadata: Mapping[str, str]
    _file: Any

    def read(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Tensor]:
        """The tensors as they were written, on the CPU.

        Parameters
        ----------
        shapes : mapping of str to tuple of int, optional
            Which there must be, and no others. Compared before memory is asked for.

        Raises
        ------
        UserError
            If a tensor is missing, unknown or of another shape, or holds values that are not finite.
        """
        names = list(self._file.keys())
        if shapes is not None:
            self._compare(names, shapes)
        tensors = {name: self._file.get_tensor(name) for name in names}
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise UserError(
                    f"{self.path}: {name} holds values that are not finite, and nothing can be drawn or measured with "
                    "them: make the file again"
                )
        return tensors

    def _compare(self, names: list[str], shapes: Mapping[str, tuple[int, ...]]) -> None:
        missing = next((name for name in shapes if name not in set(names)), None)
        if missing is not None:
            raise UserError(f"{self.path} has no tensor {missing}, which the networks on its card need")
        for name in names:
            if name not in shapes:
                raise UserError(f"{self.path} has a tensor {name:.80}, which the networks on its card do not have")
            found = tuple(self._file.get_slice(name).get_shape())
            if found != tuple(shapes[name]):
                raise UserError(
                    f"{self.path}: {name} has shape {found}, but the networks on its card need {tuple(shapes[name])}"
                )

    def network(self, build: Callable[[], Network]) -> Network:
        """A network with the weights of the file, float32 on the CPU, in evaluation mode, without gradients.

        Parameters
        ----------
        build : callable
            Makes the network. It is called where tensors have shapes but no memory.

        Raises
        ------
        UserError
            As in `read`; also if there can be no such network, or a tensor is not of floating point.
        """
        try:
            with torch.device("meta"):
                network = build()
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"there is no network as the card beside {self.path} describes it: {error}") from error
        shapes = {name: tuple(tensor.shape) for name, tensor in network_tensors(network).items()}
        tensors = self.read(shapes)
        whole = next((name for name, tensor in tensors.items() if not tensor.is_floating_point()), None)
        if whole is not None:
            raise UserError(f"{self.path}: {whole} holds {tensors[whole].dtype}, and weights are of floating point")
        counters = {name: torch.zeros((), dtype=torch.long) for name in network.state_dict() if name not in shapes}
        network.load_state_dict({**{name: t.float() for name, t in tensors.items()}, **counters}, assign=True)
        return network.eval().requires_grad_(False)


@contextmanager
def open_tensors(path: Path) -> Iterator[TensorFile]:
    """Open a file that `save_tensors` wrote; nothing is unpickled.

    Raises
    ------
    UserError
        If it is missing, truncated or something else, also where that shows only while it is read.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: a model folder holds its weights in {path.name}")
    try:
        with path.open("rb") as start:
            header = int.from_bytes(start.read(8), "little")
        if header > MAXIMUM_HEADER:
            raise ValueError(f"its header would have {header} bytes")
        with safe_open(path, framework="pt") as file:
            yield TensorFile(path, file.metadata() or {}, file)
    except (OSError, SafetensorError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{path} is not a whole safetensors file ({error}): copy it again; pickled weights are never loaded"
        ) from error


def check_judge(names: Sequence[str], size: int, channels: int, widths: Sequence[int]) -> None:
    """Refuse what no small network that reads pictures can be.

    Parameters
    ----------
    names : sequence of str
        What it tells apart.
    size, channels : int
        Of the pictures.
    widths : sequence of int
        Maps at each scale.

    Raises
    ------
    UserError
        If names are missing, doubled or more than 1000, or another value is out of range.
    """
    if not 1 <= len(names) <= 1000 or len(set(names)) < len(names) or not all(names):
        raise UserError("it must name 1 to 1000 things, each once")
    if channels not in (1, 3) or not 1 <= size <= MAXIMUM_SIDE:
        raise UserError(f"it must read pictures of 1 or 3 channels and up to {MAXIMUM_SIDE} pixels a side")
    if not 1 <= len(widths) <= 8 or not all(1 <= width <= MAXIMUM_SCALE for width in widths):
        raise UserError(f"widths must be 1 to 8 numbers of maps from 1 to {MAXIMUM_SCALE:,}")


def check_network_folder(folder: str | Path, card_file: str, overwrite: bool = False) -> None:
    """Refuse a folder in which `save_folder` would find something in its way, before a network is trained for it.

    Raises
    ------
    UserError
        As in `save_folder`.
    """
    check_folder(Path(folder), Path(card_file).stem, (WEIGHTS_FILE, card_file), overwrite)


def save_folder(network: nn.Module, card: Any, folder: str | Path, card_file: str, overwrite: bool = False) -> Path:
    """Write weights and card, a dataclass, as a folder, all or nothing.

    Parameters
    ----------
    network : nn.Module
    card : dataclass
    folder : path
        Made, or written into beside what lies there.
    card_file : str
        Its name tells the kind.
    overwrite : bool
        Replace files of the same names, whoever wrote them.

    Raises
    ------
    UserError
        If somebody else's file has one of the names, the folder cannot be written, or the disk is full.
    """
    path = Path(folder)
    check_network_folder(path, card_file, overwrite)
    with staged_folder(path, Path(card_file).stem, first=WEIGHTS_FILE, overwrite=overwrite) as stage:
        save_network(network, stage / WEIGHTS_FILE)
        (stage / card_file).write_text(json.dumps(asdict(card), indent=2) + "\n")
    return path


@contextmanager
def reading_folder(folder: Path, kind: str, command: str) -> Iterator[None]:
    """Say in one sentence that a folder holds no whole network of a kind, whatever is wrong with it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{folder} holds no whole {kind} ({error}): make one with {command}") from error
