"""Results: arrays and numbers with how they were obtained, saved as a folder."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.folders import check_folder, staged_folder
from dcgan_viz.untrusted import as_text
from dcgan_viz.versions import versions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULT_FILE, ARRAYS_FILE, CAPTIONS_FILE = "result.json", "arrays.npz", "captions.txt"

figure_formats: ContextVar[tuple[str, ...]] = ContextVar("figure formats", default=("png",))
"""As which files figures are saved."""


class Settings(TypedDict):
    """How a result was obtained: what all results of one model say; each adds choices of its own."""

    model: str
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What an analysis found; the base of every result type.

    Parameters
    ----------
    settings : mapping
        Model, seed and every choice that the numbers depend on, as plain data; a `TypedDict` of each result's own.
    """

    settings: Mapping[str, Any]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The fields that are arrays, by name."""
        fields = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return {name: value for name, value in fields if isinstance(value, np.ndarray)}

    def numbers(self) -> dict[str, Any]:
        """The fields that are not arrays, as plain data for JSON, with the versions that made them.

        A field whose metadata says ``{"saved": False}`` is left out.
        """
        kept = (f for f in dataclasses.fields(self) if f.metadata.get("saved", True))
        fields = {f.name: getattr(self, f.name) for f in kept}
        plain = {n: _plain(v) for n, v in fields.items() if not isinstance(v, np.ndarray)}
        return {"kind": type(self).__name__, **plain, "versions": versions()}

    def sentences(self) -> str:
        """What came out, in plain words, a line each; the figures and numbers say the rest."""
        return ""

    def separate_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays that are also saved as ``.npy`` files of their own, by name, for commands that read them."""
        return {}

    def texts(self) -> dict[str, str]:
        """Further files by name, for commands that read them and people who search them."""
        return {}

    @classmethod
    def check_folder(cls, folder: str | Path, overwrite: bool = False, further: Iterable[str] = ()) -> None:
        """Refuse a folder in which `save` would find something in its way, before anything is computed.

        Parameters
        ----------
        folder : path
        overwrite : bool
            As in `save`.
        further : iterable of str
            Names of files beyond numbers and arrays that will be written, as far as they are known.

        Raises
        ------
        UserError
            As in `save`.
        """
        check_folder(Path(folder), cls.__name__, (RESULT_FILE, ARRAYS_FILE, *further), overwrite)

    def save(
        self,
        folder: str | Path,
        figures: Mapping[str, Figure],
        pages: Mapping[str, str] | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write ``result.json``, ``arrays.npz``, figures (PNGs, see `figure_formats`), their captions and pages; all or nothing.

        Parameters
        ----------
        folder : path
            Made, or written into beside what lies there.
        figures : mapping of str to matplotlib Figure
            By file name without ending.
        pages : mapping of str to str, optional
            HTML text by file name without ending.
        overwrite : bool
            Replace an earlier result and files of the same names, whoever wrote them.

        Raises
        ------
        UserError
            If an earlier result lies there, somebody else's file has one of the names, the folder cannot be written, or
            the disk is full.
        """
        path = Path(folder)
        self.check_folder(path, overwrite)
        with staged_folder(path, type(self).__name__, overwrite=overwrite) as stage:
            (stage / RESULT_FILE).write_text(json.dumps(self.numbers(), indent=2) + "\n")
            arrays: dict[str, Any] = self.arrays()
            np.savez_compressed(stage / ARRAYS_FILE, **arrays)
            for name, array in self.separate_arrays().items():
                np.save(stage / f"{name}.npy", array)
            # What a figure has no room for; figures of other people's making say nothing.
            said = {name: text for name, figure in figures.items() if (text := getattr(figure, "said", ""))}
            if said:
                captions = "\n\n".join(f"{name}\n{textwrap.fill(text, 120)}" for name, text in said.items())
                _write(stage / CAPTIONS_FILE, captions + "\n")
            for name, figure in figures.items():
                for kind in figure_formats.get():
                    figure.savefig(stage / f"{name}.{kind}")
            for name, text in self.texts().items():
                _write(stage / name, text)
            for name, text in (pages or {}).items():
                _write(stage / f"{name}.html", text)
        return path


def _write(file: Path, text: str) -> None:
    """Write text that may quote the names of files."""
    file.write_text(as_text(text), encoding="utf-8")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        # JSON has no NaN and no infinity.
        return None
    return str(value) if isinstance(value, Path) else value
