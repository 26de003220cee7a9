from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan_viz.data.latents import load_latents, save_latents
from dcgan_viz.errors import UserError


def test_latents_survive_the_disk(tmp_path: Path) -> None:
    latents = torch.randn(3, 5)
    assert torch.equal(load_latents(save_latents(latents, tmp_path / "points.npy"), 5), latents)
    np.save(tmp_path / "double.npy", latents.double().numpy())
    assert load_latents(tmp_path / "double.npy", 5).dtype == torch.float32


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((2, 4)), "are floats (n, 5)"),
        (np.zeros(5), "are floats (n, 5)"),
        (np.zeros((0, 5)), "are floats (n, 5)"),
        (np.zeros((2, 5), int), "holds int64 (2, 5)"),
        (np.full((2, 5), np.nan), "not finite"),
        (np.full((2, 5), object()), "not a readable"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", array, allow_pickle=True)
    with pytest.raises(UserError) as error:
        load_latents(tmp_path / "points.npy", 5)
    assert said in str(error.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a readable"):
        load_latents(tmp_path / "missing.npy", 5)
    np.savez(tmp_path / "several.npz", a=np.zeros((2, 5)), b=np.zeros((2, 5)))
    with pytest.raises(UserError, match="several arrays"):
        load_latents(tmp_path / "several.npz", 5)
