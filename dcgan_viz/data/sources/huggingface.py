"""A Hugging Face dataset of pictures, as ``datasets.save_to_disk`` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dcgan_viz.data.decoding import Entry, UnreadableError
from dcgan_viz.data.sources.source import Numbered, Source
from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import as_text

STATE_FILE, SPLITS_FILE = "state.json", "dataset_dict.json"


def is_dataset(folder: Path) -> bool:
    """Whether a folder was written by ``save_to_disk``."""
    return (folder / SPLITS_FILE).is_file() or ((folder / STATE_FILE).is_file() and any(folder.glob("*.arrow")))


class HuggingFaceSource(Source):
    """The pictures of one split, memory-mapped.

    Raises
    ------
    UserError
        If ``datasets`` is not installed, the folder is damaged, holds several splits, or no column of pictures.
    """

    kind = "a Hugging Face dataset"

    def __init__(self, path: Path) -> None:
        if (path / SPLITS_FILE).is_file():
            splits = sorted(folder.name for folder in path.iterdir() if is_dataset(folder))
            if not splits:
                raise UserError(f"{path} names splits in {SPLITS_FILE}, but holds none: copy or save it again")
            if len(splits) > 1:
                raise UserError(f"{path} holds several splits: give one of the folders {', '.join(splits)} in it")
            path /= splits[0]
        rows = _load(path)
        kinds = {name: type(feature).__name__ for name, feature in rows.features.items()}
        pictures = [name for name, kind in kinds.items() if kind == "Image"]
        if len(pictures) != 1:
            raise UserError(
                f"{path} should have one column of pictures, and has {len(pictures)} ({kinds}): give another dataset, or save it "
                "with the column that is to be used alone"
            )
        self.column = pictures[0]
        classes = [name for name, kind in kinds.items() if kind == "ClassLabel"]
        names = Numbered(as_text(path.name), len(rows))
        if len(classes) == 1:
            known = [as_text(name.replace("/", "_")) for name in rows.features[classes[0]].names]
            labels = [known[label] if label >= 0 else "unlabelled" for label in rows[classes[0]]]
            super().__init__(path, [f"{label}/{name}" for label, name in zip(labels, names, strict=True)])
        else:
            super().__init__(path, names)

    def _open(self) -> Any:
        import datasets

        return _load(self.path).select_columns([self.column]).cast_column(self.column, datasets.Image(decode=False))

    def _entry(self, index: int) -> Entry:
        try:
            found = self._handle[index][self.column]
        except Exception as error:  # Arrow raises its own errors for damaged bytes.
            raise UnreadableError(f"the dataset is damaged here ({error})") from error
        if found and found.get("bytes"):
            return bytes(found["bytes"])
        if found and found.get("path"):
            return Path(found["path"])
        raise UnreadableError("it is missing")


def _load(path: Path) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            f"{path} is a Hugging Face dataset: install what reads it, pip install 'dcgan-viz[huggingface]'"
        ) from error
    try:
        return datasets.load_from_disk(str(path))
    except Exception as error:  # Arrow and JSON raise their own errors for damaged bytes.
        raise UserError(f"{path} is not a readable Hugging Face dataset: {error}") from error
