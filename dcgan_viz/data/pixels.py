"""Small PNG pictures as this package writes them, pixel for pixel: of blind trials, and masks of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.errors import UserError
from dcgan_viz.networks.spec import MAXIMUM_SIDE


def read_pixels(path: Path, mode: Literal["L", "RGB"] | None = None) -> NDArray[np.uint8]:
    """The pixels of a PNG file, which is not decoded before its size is known.

    Parameters
    ----------
    path : Path
    mode : {"L", "RGB"}, optional
        Grey or colour; by default as the file is.

    Returns
    -------
    ndarray of uint8 (H, W) or (H, W, 3)

    Raises
    ------
    UserError
        If it is missing, damaged, no PNG or larger than 4096 pixels a side.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (3, 2), 7).save(Path(folder) / "a.png")
    ...     read_pixels(Path(folder) / "a.png")
    array([[7, 7, 7],
           [7, 7, 7]], dtype=uint8)
    """
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if max(picture.size) > MAXIMUM_SIDE:
                raise ValueError(
                    f"it has {picture.width}x{picture.height} pixels, and at most {MAXIMUM_SIDE} a side are read"
                )
            return np.asarray(picture.convert(mode or ("L" if picture.mode == "L" else "RGB")))
    except Exception as error:
        # Pillow raises a dozen kinds of errors for damaged bytes.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UserError(f"{path} is missing or damaged ({reason})") from error
