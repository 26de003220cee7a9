from __future__ import annotations

import numpy as np
import torch

from dcgan_viz.analysis.memorization.copy_search import TrainingSet, facing, query, search
from dcgan_viz.analysis.memorization.image_vectors import pixel_vectors
from dcgan_viz.data.images import TensorImages
from dcgan_viz.model import DCGAN


def test_the_nearest_in_pixels_and_features_are_those_of_a_loop(tiny_model: DCGAN) -> None:
    images = torch.rand(60, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    images[20] = images[7]
    training = TrainingSet(tiny_model.discriminator, TensorImages(images))
    assert training.firsts[20] == 7
    assert 20 not in training.different
    copies = TensorImages(torch.cat([images[[3, 20]], images[[5]].flip(-1)]) * 0.98)
    ((pixels, features),) = search(training, [query(training.space, copies, np.arange(3))])
    # A mirrored copy is found in pixels; of near-duplicates the first is.
    assert pixels.number.tolist() == [3, 7, 5]
    vectors, known = training.space.vectors(copies.images), training.space.vectors(images[training.different])
    expected = [int(training.different[int((known - v).square().sum(1).argmin())]) for v in vectors]
    assert features.number.tolist() == expected


def test_an_image_does_not_find_itself(tiny_model: DCGAN) -> None:
    images = torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    training = TrainingSet(tiny_model.discriminator, TensorImages(images))
    ((pixels, _),) = search(training, [query(training.space, training.images, np.arange(4), firsts=training.firsts)])
    assert not np.any(pixels.number == np.arange(4))


def test_others_are_mirrored_where_they_are_nearer_then() -> None:
    picture = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    shown = facing(picture, torch.stack([picture[0].flip(-1), picture[1]]))
    assert torch.allclose(pixel_vectors(shown), pixel_vectors(picture))
