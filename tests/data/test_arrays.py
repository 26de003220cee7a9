from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from dcgan_viz.data.arrays import read_arrays
from dcgan_viz.data.images import load_images
from dcgan_viz.errors import UserError


def npz_of_zeros(path: Path, shape: tuple[int, ...]) -> Path:
    """An .npz of an array that is written as a header and zeros, without ever being in memory."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as member:
        member.write(header.getvalue())
        left = int(np.prod(shape))
        while left > 0:
            left -= member.write(bytes(min(left, 2**24)))
    return path


def test_zeros_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = npz_of_zeros(tmp_path / "zeros.npz", (30_000, 64, 64, 1))
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("memory was asked for"))
    for read in (read_arrays, lambda file: load_images(file, 64)):
        with pytest.raises(UserError, match="would be unpacked to 122,880,000, as no pictures"):
            read(path)


def test_pictures_of_two_colours_are_unpacked(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pictures = np.zeros((2000, 64, 64), np.uint8)
    for picture, (top, left) in zip(pictures, random.integers(0, 48, (2000, 2)), strict=True):
        picture[top : top + 16, left : left + 16] = 255
    np.savez_compressed(tmp_path / "shapes.npz", imgs=pictures)
    assert pictures.nbytes > 20 * (tmp_path / "shapes.npz").stat().st_size
    assert np.array_equal(read_arrays(tmp_path / "shapes.npz")["imgs"], pictures)


def test_a_matlab_file_of_zeros_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = np.zeros((32, 32, 3, 25_000), np.uint8)
    savemat(tmp_path / "zeros.mat", {"X": zeros, "y": np.ones((25_000, 1), np.uint8)}, do_compression=True)
    monkeypatch.setattr("scipy.io.loadmat", lambda *_, **__: pytest.fail("memory was asked for"))
    with pytest.raises(UserError, match="would be unpacked to 77,000,000"):
        load_images(tmp_path / "zeros.mat", 32)
