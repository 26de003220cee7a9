from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.memorization.duplicates import DUPLICATE, count_duplicates, first_alike
from dcgan_viz.analysis.memorization.image_vectors import pixel_vectors
from dcgan_viz.data.images import TensorImages


def pictures() -> torch.Tensor:
    """Forty, of which some are there again, a little noisy or brighter."""
    random = torch.Generator().manual_seed(0)
    base = torch.nn.functional.interpolate(torch.rand(40, 3, 8, 8, generator=random), size=32) * 2 - 1
    again = 0.8 * base[[3, 3, 3, 17, 20]] + 0.1 + 0.02 * torch.randn(5, 3, 32, 32, generator=random)
    return torch.cat([base, again, base[5:6].flip(-1)])


@pytest.mark.parametrize("block", [7, 1024])
def test_it_agrees_with_a_loop(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_viz.data.duplicates.linked.BLOCK", block)
    images = pictures()
    vectors = pixel_vectors(images)
    groups = [{k} for k in range(len(images))]
    for i in range(len(images)):
        for j in range(i):
            if (vectors[i] - vectors[j]).norm() < DUPLICATE:
                both = groups[i] | groups[j]
                for k in both:
                    groups[k] = both
    found = first_alike(TensorImages(images))
    assert found.tolist() == [min(group) for group in groups]
    assert found[40:45].tolist() == [3, 3, 3, 17, 20]
    assert found[45] == 45
    assert count_duplicates(found).repeated == 5
    assert count_duplicates(found).largest == 4


def test_a_chain_of_duplicates_is_one_group() -> None:
    random = np.random.default_rng(0)
    first, other = torch.from_numpy(random.random((2, 3, 8, 8), dtype=np.float32))
    chain = torch.stack([first + 0.05 * k * other for k in range(30)])
    assert (pixel_vectors(chain[:1]) - pixel_vectors(chain[-1:])).norm() > 2 * DUPLICATE
    assert first_alike(TensorImages(chain)).tolist() == [0] * 30


def test_pictures_of_one_colour_are_no_duplicates_of_any() -> None:
    assert first_alike(TensorImages(torch.zeros(3, 1, 8, 8))).tolist() == [0, 1, 2]
