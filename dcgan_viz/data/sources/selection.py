"""Which files of a folder or an archive are pictures, and what is said of the others."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dcgan_viz.data.decoding import HEIF_ENDINGS, readable_endings
from dcgan_viz.untrusted import printable

MACHINE_FOLDERS = frozenset({"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information"})
"""Folders that computers make on their own, with small copies of the pictures beside them."""
DRAWN, CUT = "samples of a model", "faces that were cut out"
OURS = {
    "a model": {"card.json", "weights.safetensors"},
    "a segmenter": {"segmenter.json", "weights.safetensors"},
    "a classifier": {"classifier.json", "weights.safetensors"},
    "a result": {"result.json", "arrays.npz"},
    "a training run": {"metrics.jsonl", "checkpoints"},
    "a blind trial": {"trial.json", "pictures"},
    CUT: {"faces.json", "skipped.jsonl"},
    DRAWN: {"samples.json", "manifest.json"},
}
"""What folders that ``dcgan-viz`` has written hold: their pictures are no photographs, or parts of some that lie beside them."""
GIVEN = frozenset({DRAWN, CUT})
"""Whoever names a folder of these gets its pictures; below another folder they are left out too."""
MARKS = frozenset[str]().union(*OURS.values())
PHOTOGRAPHS = frozenset({"images", "image", "imgs", "img", "jpegimages", "photos", "photographs", "pictures", "rgb"})
LABELS = frozenset(
    {
        *("masks", "mask", "segmentation", "segmentations", "segmentationclass", "segmentationobject"),
        *("segmentationclasspng", "segmentationclassvisualization", "segmentationobjectpng"),
        *("segmentationobjectvisualization", "annotations", "labels", "trimaps", "instances"),
    }
)
"""What data sets call the folder of photographs and, beside it, those of what is seen in them; in small letters.

Alone, any of them may hold photographs: there are sets of carnival masks.
"""
HIDDEN, BARE, SPECIAL = "hidden", "bare", "special"
OTHERS = {
    HIDDEN: ("hidden file", "hidden files"),
    BARE: ("file without an ending", "files without an ending"),
    SPECIAL: ("special file", "special files"),
}
"""What is counted beside endings: special are pipes, devices, and links in archives."""
NAMED = 5
"""At most this many folders that are left out are named."""


def ours(entries: Collection[str]) -> str | None:
    """What a folder with these entries is, if ``dcgan-viz`` has written it.

    Examples
    --------
    >>> ours(["notes.txt", "result.json", "arrays.npz", "walk.png"])
    'a result'
    """
    return next((what for what, marks in OURS.items() if marks <= set(entries)), None)


def machine_folder(name: str) -> bool:
    """Whether a folder is hidden or made by the computer itself."""
    return (name.startswith(".") and name != "..") or name in MACHINE_FOLDERS


def labels_of(name: str, beside: Collection[str]) -> str | None:
    """The folder of photographs of which a folder holds the labels, such as masks, by the names of those beside it.

    Examples
    --------
    >>> labels_of("SegmentationClass", ["JPEGImages", "SegmentationClass"])
    'JPEGImages'
    >>> labels_of("masks", ["hats", "masks"])
    """
    if name.lower() not in LABELS:
        return None
    return next((other for other in sorted(beside) if other.lower() in PHOTOGRAPHS), None)


@dataclass
class LeftOut:
    """Counts what is not read."""

    endings: Counter[str] = field(default_factory=Counter)
    folders: list[str] = field(default_factory=list)

    def wants(self, name: str) -> bool:
        """Whether the file of this name is a picture; it is counted if not."""
        # As pathlib has it, which takes longer than all the rest.
        file = name.rstrip("/").rpartition("/")[2]
        dot = file.rfind(".")
        ending = file[dot:].lower() if 0 < dot < len(file) - 1 else ""
        if file.startswith("."):
            self.endings[HIDDEN] += 1
        elif ending in readable_endings():
            return True
        else:
            self.endings[ending or BARE] += 1
        return False

    def sentences(self) -> tuple[str, ...]:
        """What was left out, most files first."""
        files = []
        for ending, count in self.endings.most_common():
            hint = " (dcgan-viz[heic] reads them)" if ending in HEIF_ENDINGS else ""
            what = ending if ending.startswith(".") else OTHERS[ending][count > 1]
            files.append(f"{count:,} {printable(what)}{hint}")
        more = len(self.folders) - NAMED
        return (*files, *map(printable, self.folders[:NAMED]), *([f"{more} more folders"] if more > 0 else []))


def select(files: Sequence[str], left_out: LeftOut) -> array[int]:
    """Which of an archive's files are pictures.

    Parameters
    ----------
    files : sequence of str
        Their names, with slashes; gone through twice, and only their folders are remembered.
    left_out : LeftOut
        Counts the others.

    Returns
    -------
    array of int
        Their places in `files`.
    """
    folders: dict[str, PurePosixPath] = {}
    inside: dict[PurePosixPath, set[str]] = {}
    folders_in: dict[PurePosixPath, set[str]] = {}
    for name in files:
        before, _, file = name.rpartition("/")
        if before not in folders:
            folders[before] = folder = PurePosixPath(before + "/" if name.startswith("/") else before)
            for child in (folder, *folder.parents):
                inside.setdefault(child, set())
                inside.setdefault(child.parent, set()).update({child.name} & MARKS)
                folders_in.setdefault(child.parent, set()).add(child.name)
        if file in MARKS:
            inside[folders[before]].add(file)
    skipped = {
        folder: f"{folder}/ ({what})" for folder, marks in inside.items() if (what := ours(marks)) and folder.name
    }
    skipped |= {
        folder: f"{folder}/ (labels of {photographs}/)"
        for folder in inside
        if (photographs := labels_of(folder.name, folders_in[folder.parent])) is not None
    }
    skipped |= {folder: f"{folder}/" for folder in inside if machine_folder(folder.name)}
    # The outermost one, which is named once.
    outermost = {
        before: next((outer for outer in (*reversed(folder.parents), folder) if outer in skipped), None)
        for before, folder in folders.items()
    }
    chosen = array("q")
    met: set[PurePosixPath] = set()
    for index, name in enumerate(files):
        outer = outermost[name.rpartition("/")[0]]
        if outer is not None:
            met.add(outer)
        elif left_out.wants(name):
            chosen.append(index)
    left_out.folders.extend(sorted(skipped[folder] for folder in met))
    return chosen
