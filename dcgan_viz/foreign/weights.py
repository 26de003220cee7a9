"""The tensors of one network, wherever they were kept."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from dcgan_viz.foreign.knowledge import Knowledge

_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Weights:
    """The tensors of one network.

    Parameters
    ----------
    tensors : dict of str to Tensor
        float32, in the order of the file, or of their names where the file keeps none.
    source : str
        The file and, where it holds several networks, which; for messages and cards.
    ordered : bool
        Whether the order is that in which the modules were registered.
    versions : dict of str to int
        PyTorch's versions of modules by name, of those without tensors too; empty where a file does not tell.
    digest : str
        SHA-256 of the file.
    known : Knowledge
        What the file tells beside them.
    measured : bool
        Whether normalisations have running statistics; otherwise they must be measured anew.
    ways : tuple of Weights
        The same in every way that its layers may stride, where that changes kernels too; empty where it does not.
    unusual : float
        How unusual one of these ways is.
    """

    tensors: dict[str, Tensor]
    source: str
    ordered: bool = True
    versions: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    known: Knowledge = field(default_factory=Knowledge)
    measured: bool = True
    ways: tuple[Weights, ...] = ()
    unusual: float = 0.0


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A key by which names sort as their numbers count: ``main.9`` before ``main.10``.

    Examples
    --------
    >>> sorted(["main.10.weight", "main.9.weight"], key=natural)
    ['main.9.weight', 'main.10.weight']
    """
    return tuple((int(p), "") if p.isdigit() else (-1, p) for p in _NUMBERS.split(name) if p)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
