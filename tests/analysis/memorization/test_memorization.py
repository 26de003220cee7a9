from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dcgan_viz.analysis.memorization.memorization import Memorization, memorization
from dcgan_viz.analysis.memorization.planted import ALTERATIONS, blur
from dcgan_viz.analysis.quality.coverage import coverage
from dcgan_viz.data.images import TensorImages, load_images, to_tensor
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan
from dcgan_viz.networks.modules import Generator
from dcgan_viz.rooms.drawing import draw_rooms

SAMPLES = 200
PLANTED = 60

pytestmark = pytest.mark.usefixtures("few_controls")
NETWORKS = dcgan(64, width=4, latent_dim=8)


class Recall(Generator):
    """A generator that draws given images: the one whose latent is nearest."""

    def __init__(self, latents: Tensor, images: Tensor) -> None:
        super().__init__(NETWORKS.generator)
        self.latents, self.images = nn.Parameter(latents, requires_grad=False), images

    def forward(self, z: Tensor) -> Tensor:
        return self.images[torch.cdist(z, self.latents).argmin(1)]


@pytest.fixture
def drawing(make_model: Callable[..., DCGAN]) -> Callable[[Tensor], DCGAN]:
    """Makes a model whose samples with seed 0 are given images."""
    model = make_model(NETWORKS)
    return lambda images: replace(model, generator=Recall(model.latents(len(images), 0), images))


@pytest.fixture(scope="module")
def rooms() -> tuple[Tensor, Tensor, Tensor]:
    """Training rooms, held-out rooms, and rooms to draw."""
    pixels = draw_rooms(3 * SAMPLES, seed=5).pixels
    training, held_out, others = to_tensor(pixels).split(SAMPLES)
    return training, held_out, others


def judge(model: DCGAN, training: Tensor, held_out: Tensor | None) -> Memorization:
    reference = None if held_out is None else TensorImages(held_out)
    return memorization(model, TensorImages(training), reference, samples=SAMPLES)


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_copies_among_the_samples_are_found(drawing, rooms, kind: str) -> None:
    """A quarter of the samples are copies of training rooms, each altered in the same way."""
    training, held_out, others = rooms
    drawn = torch.cat([ALTERATIONS[kind](training[25:75]), others[: SAMPLES - 50]])
    found = judge(drawing(drawn), training, held_out)
    assert found.copies
    assert found.verdict.startswith("The generator copies: ")
    planted = next(p for p in found.planted if p.kind == kind)
    assert planted.pixels.share.value > 0.8
    assert planted.detectable_share < 0.12
    assert found.near[0].samples.share.value == pytest.approx(planted.pixels.share.value / 4, abs=0.04)


def test_new_rooms_are_no_copies_however_blurred_or_pale(drawing, rooms) -> None:
    training, held_out, others = rooms
    honest = {
        "new": others,
        "blurred": blur(others, 2.0),
        "blurred much": blur(others, 4.0),
        "pale": 0.5 * others + 0.2,
        "nearly all alike": others[:20].repeat(SAMPLES // 20, 1, 1, 1),
    }
    found = {kind: judge(drawing(images), training, held_out) for kind, images in honest.items()}
    assert [kind for kind, result in found.items() if result.copies] == []
    assert all(result.verdict.startswith("No sign of copying: ") for result in found.values())
    # The published statistic takes blur for copying, which is why it does not decide.
    new, blurred = found["new"].data_copying, found["blurred much"].data_copying
    assert new is not None
    assert blurred is not None
    assert new.null.low < new.statistic.value < new.null.high
    assert blurred.statistic.value < blurred.null.low
    assert found["new"].two_sample_reference.images == found["new"].two_sample.images == SAMPLES


@pytest.mark.realdata
def test_blurred_photographs_are_no_copies_and_copies_are(drawing, realdata: Path) -> None:
    pixels = load_images(realdata / "lsun_bedrooms_10k.zip", 64, limit=4 * SAMPLES).pixels
    images = to_tensor(pixels[np.random.default_rng(0).permutation(len(pixels))])
    training, held_out, others = images.split([2 * SAMPLES, SAMPLES, SAMPLES])
    for deviation in (1.0, 4.0):
        assert not judge(drawing(blur(others, deviation)), training, held_out).copies
    assert not judge(drawing(others), training, held_out).copies
    for kind in ("exact", "cropped to 80 %"):
        drawn = torch.cat([ALTERATIONS[kind](training[:40]), others[40:]])
        assert judge(drawing(drawn), training, held_out).copies


def test_a_copied_duplicate_is_found(drawing, rooms) -> None:
    """One of the training images is there twenty times, and a tenth of the samples are that image."""
    training, held_out, others = rooms
    repeated = torch.cat([training[:180], training[7].expand(20, -1, -1, -1)])
    drawn = torch.cat([training[7].expand(20, -1, -1, -1), others[:180]])
    found = judge(drawing(drawn), repeated, held_out)
    assert found.copies
    assert (found.duplicates.repeated, found.duplicates.largest) == (20, 21)
    assert found.near[0].samples.near >= 20
    assert {s.training_in_pixels for s in found.shown[:8]} == {7}
    honest = judge(drawing(others), repeated, None)
    assert not honest.copies
    # Duplicates are no neighbours of one another that a photograph could be a copy of.
    assert honest.near[0].references.near <= 2


def test_training_images_that_are_all_alike_are_refused(tiny_model: DCGAN) -> None:
    with pytest.raises(UserError, match="only 3 differ"):
        memorization(tiny_model, TensorImages(tiny_model.sample(3).repeat(40, 1, 1, 1)))


def test_an_encoder_measures_instead_of_the_models_own_discriminator(drawing, rooms) -> None:
    training, held_out, others = rooms

    class Averages:
        name, note, dimensions = "averages", "not trained", 192

        def features(self, images: Tensor) -> Tensor:
            return torch.nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)

    model, given = drawing(others), (TensorImages(training), TensorImages(held_out))
    found = memorization(model, *given, encoder=Averages(), samples=SAMPLES)
    real, generated = (Averages().features(images) for images in (training, others))
    expected = coverage(real, generated, 0)
    assert found.quality.precision.value == pytest.approx(expected.precision.value)
    assert found.measured_in == "the encoder averages, not trained"
    assert "own discriminator" in judge(model, training, held_out).measured_in


def test_sixty_four_training_images_are_enough(drawing, rooms) -> None:
    training, held_out, others = rooms
    copier, honest = drawing(training[:50].repeat(4, 1, 1, 1)), drawing(others)
    for reference in (held_out, None):
        assert judge(copier, training[:64], reference).copies
        found = judge(honest, training[:64], reference)
        assert not found.copies
        assert ("cannot be concluded" in found.verdict) == (reference is None)
        assert (found.data_copying is None) == (reference is None)
    # Training images among themselves are few, and so more copies are needed.
    assert found.planted[0].detectable_share > 2 * judge(honest, training[:64], held_out).planted[0].detectable_share


def test_results_do_not_depend_on_blocks(drawing, rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """Except that folds are dealt otherwise; and every query finds the same image."""
    training, held_out, others = rooms
    drawn = torch.cat([training[:50], others[:150]])
    whole = judge(drawing(drawn), training, held_out)
    monkeypatch.setattr("dcgan_viz.analysis.memorization.image_vectors.FEATURE_BATCH", 50)
    monkeypatch.setattr("dcgan_viz.analysis.memorization.copy_search.FEATURE_BATCH", 50)
    monkeypatch.setattr("dcgan_viz.analysis.memorization.copy_search.BLOCK", 80)
    parts = judge(drawing(drawn), training, held_out)
    assert parts.copies == whole.copies
    assert [p.pixels.share.value for p in parts.planted] == pytest.approx(
        [p.pixels.share.value for p in whole.planted], abs=0.02
    )
    assert np.allclose(parts.sample_distances[0], whole.sample_distances[0], atol=0.25)
    suspects = [(s.sample, s.training_in_pixels) for s in parts.shown[:8]]
    assert all(sample == number for sample, number in suspects)


def test_the_pictures_show_what_was_found(drawing, rooms) -> None:
    training, held_out, others = rooms
    drawn = torch.cat([training[:100].flip(-1), others[:100]])
    found = judge(drawing(drawn), training, held_out)
    assert len(found.shown) == len(found.pictures) == 16
    for shown, picture, nearest in zip(found.shown[:8], found.pictures, found.nearest_in_pixels, strict=False):
        # Mirrored copies, shown facing the same way.
        assert shown.sample == shown.training_in_pixels < 100
        assert shown.pixels < 0.01
        assert np.array_equal(picture, nearest)
    assert len({s.sample for s in found.shown[8:]}) == 8
    assert found.sample_distances.shape == found.reference_distances.shape == (2, SAMPLES)


def test_a_walk_between_known_images_dwells_at_them(
    drawing, make_model: Callable[..., DCGAN], rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generator that fades between training rooms, and the same beside other rooms."""
    for name, number in (("WALKS", 32), ("WALK_STEPS", 48)):
        monkeypatch.setattr(f"dcgan_viz.analysis.memorization.memorization.{name}", number)
    model = make_model(NETWORKS)
    training, held_out, _ = rooms
    corners = model.latents(12, 3)

    class Fade(Generator):
        def __init__(self) -> None:
            super().__init__(NETWORKS.generator)
            self.corners = nn.Parameter(corners, requires_grad=False)

        def forward(self, z: Tensor) -> Tensor:
            return torch.einsum("nk,kchw->nchw", (-4 * torch.cdist(z, self.corners)).softmax(1), training[:12])

    fading = replace(model, generator=Fade())
    knows, other = judge(fading, training, held_out).dwelling, judge(fading, held_out, training).dwelling
    assert knows.p_value < 0.001
    assert knows.contrast.value > 3 * max(other.contrast.value, other.null.high)
    assert knows.largest_step == other.largest_step


def test_it_repeats_with_its_seed(tiny_model: DCGAN) -> None:
    training = TensorImages(tiny_model.sample(150, seed=1))
    first, again, other = (memorization(tiny_model, training, samples=120, seed=s) for s in (0, 0, 4))
    assert first.numbers() == again.numbers()
    assert not np.array_equal(first.sample_distances, other.sample_distances)


def test_progress_covers_every_phase(tiny_model: DCGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_viz.analysis.memorization.copy_search.BLOCK", 20)
    seen: dict[str, list[int]] = {}

    def progress(items, stage):
        seen[stage.what] = []
        for index, item in enumerate(items):
            seen[stage.what].append(index)
            yield item
        assert stage.total == len(seen[stage.what])

    memorization(tiny_model, TensorImages(tiny_model.sample(150, seed=1)), samples=120, progress=progress)
    assert seen == {
        "looking for duplicates": [0],
        "fitting features": [0, 1, 2, 3],
        "drawing samples and controls": list(range(3 + len(ALTERATIONS))),
        "comparing with training images": list(range(8)),
        "trying shifts, crops and turns": [0],
    }


def test_too_few_images_are_refused(tiny_model: DCGAN) -> None:
    few, many = TensorImages(tiny_model.sample(20)), TensorImages(tiny_model.sample(120))
    with pytest.raises(UserError, match="20 training images are too few"):
        memorization(tiny_model, few)
    with pytest.raises(UserError, match="20 held-out images are too few"):
        memorization(tiny_model, many, few)
    with pytest.raises(UserError, match="50 samples are too few"):
        memorization(tiny_model, many, samples=50)
