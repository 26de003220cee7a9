from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from dcgan_viz.analysis.latent.turn import BLIND, MEASURED, RESAMPLED, Turn, blind_trial, odd_share, turn, turn_verdict
from dcgan_viz.annotations.concepts import Concepts
from dcgan_viz.card import Card
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan
from dcgan_viz.networks.modules import Generator
from dcgan_viz.statistics import Estimate, stream
from tests.concepts import sides


@pytest.fixture
def concepts(tiny_model: DCGAN) -> Concepts:
    return sides(tiny_model)


@pytest.fixture
def result(tiny_model: DCGAN, concepts: Concepts) -> Turn:
    return turn(tiny_model, concepts, rows=3, positions=5, strength=1.5, directions=39, resamples=50, seed=2)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.abs(a.astype(int) - b.astype(int)).max() <= 1)


def draw(model: DCGAN, latent: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return to_pixels(model.generator(torch.from_numpy(np.asarray(latent, np.float32))[None]))[0]


def test_rows_are_samples_plus_multiples_of_the_difference_of_means(tiny_model: DCGAN, result: Turn) -> None:
    everything = tiny_model.latents(12, 11).double().numpy()
    left = sum(everything[i] for i in (7, 2, 5, 9)) / 4
    right = sum(everything[i] for i in (1, 3, 4, 8)) / 4
    assert np.allclose(result.turn, right - left, atol=1e-6)
    assert result.left_exemplars == (7, 2, 5, 9)
    samples = tiny_model.latents(3, 2).double().numpy()
    outside = []
    for row in range(3):
        for position, amount in enumerate((-1.5, -0.75, 0, 0.75, 1.5)):
            assert result.amounts[position] == amount
            moved = samples[row] + amount * (right - left)
            assert close(result.pictures[row, position], draw(tiny_model, moved))
            if position in (0, 4):
                outside.extend(np.abs(moved) > 1)
    for position, share in enumerate((0, 0.25, 0.5, 0.75, 1)):
        assert close(result.averages[position], draw(tiny_model, left + share * (right - left)))
    assert result.outside == pytest.approx(np.mean(outside))
    assert close(result.exemplars[1, 2], draw(tiny_model, everything[4]))


def test_the_change_is_that_between_the_ends(tiny_model: DCGAN, result: Turn) -> None:
    total = np.zeros((16, 16))
    for z in tiny_model.latents(64, stream(2, MEASURED)).numpy():
        with torch.no_grad():
            ends = tiny_model.generator(torch.from_numpy(np.stack([z - 1.5 * result.turn, z + 1.5 * result.turn])))
        total += 127.5 * (ends[1] - ends[0]).mean(0).double().numpy()
    assert np.allclose(result.change, total / 64, atol=1e-2)
    assert result.oddness.low <= result.oddness.value <= result.oddness.high


def test_exemplars_are_drawn_anew_with_replacement(tiny_model: DCGAN, result: Turn) -> None:
    everything, random = tiny_model.latents(12, 11).double().numpy(), np.random.default_rng(stream(2, RESAMPLED))
    z = tiny_model.latents(64, stream(2, MEASURED)).numpy()
    shares = []
    for _ in range(50):
        left, right = (
            everything[np.array(pool)[random.integers(0, len(pool), 4)]].mean(0)
            for pool in ((7, 2, 5, 9, 10), (1, 3, 4, 8))
        )
        step = 1.5 * (right - left)
        with torch.no_grad():
            ends = [tiny_model.generator(torch.from_numpy((z + sign * step).astype(np.float32))) for sign in (-1, 1)]
        grey = 127.5 * (ends[1] - ends[0]).mean(1).double().numpy()
        shares.append(odd_share((grey - gaussian_filter(grey, (0, 1, 1))).mean(0)))
    low, high = np.quantile(shares, [0.025, 0.975])
    assert (result.over_exemplars.low, result.over_exemplars.high) == pytest.approx((low, high), abs=1e-3)
    assert result.with_shading == pytest.approx(float(odd_share(result.change)))


def test_the_odd_share_agrees_with_a_loop() -> None:
    change = np.random.default_rng(0).standard_normal((5, 6))
    odd = even = 0.0
    for row in range(5):
        for column in range(6):
            mirrored = change[row, 5 - column]
            odd += ((change[row, column] - mirrored) / 2) ** 2
            even += ((change[row, column] + mirrored) / 2) ** 2
    assert odd_share(change) == pytest.approx(odd / (odd + even))
    assert odd_share(change[:, ::-1]) == pytest.approx(odd_share(change))
    assert odd_share(-3 * change) == pytest.approx(odd_share(change))
    assert np.isnan(odd_share(np.zeros((2, 2))))


NETWORKS = dcgan(32, width=4, latent_dim=14)


class Heads(Generator):
    """Draws heads: z0 turns them, z1 opens the mouth, the rest moves, lights and shapes them a little on either side."""

    def __init__(self) -> None:
        super().__init__(NETWORKS.generator)
        noise = np.random.default_rng(0).standard_normal((12, 32, 32))
        self.texture = nn.Parameter(torch.from_numpy(gaussian_filter(noise, (0, 3, 3))).float() * 0.6)

    def forward(self, z: Tensor) -> Tensor:
        rows, columns = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
        yaw, mouth = z[:, 0, None, None], z[:, 1, None, None]

        def blob(x: Tensor | float, y: float, width: float, height: Tensor | float) -> Tensor:
            return torch.exp(-(((columns - x) / width) ** 2) - ((rows - y) / height) ** 2)

        # Features slide over the head as it turns, the nose farthest.
        face = blob(0.0, 0.0, 0.7, 0.8) - 0.6 * blob(0.3 + 0.2 * yaw, -0.2, 0.1, 0.08)
        face = face - 0.6 * blob(-0.3 + 0.2 * yaw, -0.2, 0.1, 0.08) - 0.3 * blob(0.3 * yaw, 0.1, 0.06, 0.2)
        face = face - 0.5 * blob(0.15 * yaw, 0.45, 0.25, 0.06 + 0.05 * (mouth + 1))
        face = face + torch.einsum("nk,khw->nhw", z[:, 2:], self.texture)
        return (face[:, None].expand(-1, 3, -1, -1) * 1.6 - 0.9).tanh()


@pytest.fixture
def heads() -> DCGAN:
    return DCGAN(Heads(), None, Card("heads", "drawn heads", NETWORKS))  # type: ignore[arg-type]


def extremes(model: DCGAN, coordinate: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The samples that are lowest and highest in a coordinate, as somebody would pick them."""
    order = torch.argsort(model.latents(400, 0)[:, coordinate])
    return tuple(order[:4].tolist()), tuple(order[-4:].tolist())


@pytest.mark.slow
def test_a_turn_is_odd_and_an_opening_mouth_is_not(heads: DCGAN) -> None:
    left, right = extremes(heads, 0)
    closed, opened = extremes(heads, 1)
    picked = {"looking left": left, "looking right": right, "closed": closed, "open": opened}
    concepts = Concepts(0, 400, heads.generator_digest(), exemplars=picked)
    turned = turn(heads, concepts, directions=39, resamples=39, seed=1)
    assert turned.oddness.value > turned.random_interval.high
    assert turned.p_value == 1 / 40
    assert turned.over_exemplars.low <= turned.oddness.value
    speaking = turn(heads, concepts, left="closed", right="open", directions=39, resamples=39, seed=1)
    assert speaking.oddness.value < speaking.random_interval.low
    assert speaking.p_value > 0.9
    assert speaking.verdict.startswith("no turn is shown")
    # Backwards is as odd as forwards.
    back = turn(heads, concepts, left="looking right", right="looking left", directions=39, resamples=39, seed=1)
    assert back.oddness.value == pytest.approx(turned.oddness.value, abs=1e-4)
    assert np.allclose(back.change, -turned.change, atol=1e-3)


def test_a_turn_is_shown_only_if_other_exemplars_show_it_too() -> None:
    steady, shaky = (Estimate(0.7, low, 0.8, 8, "") for low in (0.5, 0.4))
    assert turn_verdict(steady, 0.45, 0.01).startswith("the change is odd under mirroring")
    assert "with others it may not be" in turn_verdict(shaky, 0.45, 0.01)
    assert "no odder under mirroring than in random directions" in turn_verdict(steady, 0.45, 0.2)


@pytest.mark.slow
def test_seeds_reproduce(tiny_model: DCGAN, concepts: Concepts, result: Turn) -> None:
    again = turn(tiny_model, concepts, rows=3, positions=5, strength=1.5, directions=39, resamples=50, seed=2)
    assert again.numbers() == result.numbers()
    for name, array in result.arrays().items():
        assert np.array_equal(array, again.arrays()[name])
    assert not np.array_equal(
        turn(tiny_model, concepts, rows=3, positions=5, directions=39, resamples=39, seed=3).pictures, result.pictures
    )


def test_a_blind_trial_holds_the_same_samples_moved_both_ways(tiny_model: DCGAN, result: Turn) -> None:
    trial = blind_trial(tiny_model, result, pictures=4, seed=9)
    assert trial.conditions == ("sample", "towards looking right", "towards looking left")
    samples = tiny_model.latents(4, stream(9, BLIND)).numpy()
    for picture, condition, pair in zip(trial.pictures, trial.condition, trial.pair, strict=True):
        moved = samples[pair] + (0, 1.5, -1.5)[condition] * result.turn
        assert close(picture, draw(tiny_model, moved))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0}, "show no turn"),
        ({"directions": 10}, "at least 39"),
        ({"positions": 4}, "odd number"),
        ({"strength": 0.0}, "strength above 0"),
        ({"strength": float("nan")}, "strength above 0"),
        ({"left": "few"}, "'few' has 3 exemplars and needs at least 4"),
        ({"right": "up"}, "no concept 'up': choose from looking left"),
        ({"left": "looking right"}, "cannot turn into itself"),
    ],
)
def test_wrong_requests_are_refused(tiny_model: DCGAN, concepts: Concepts, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        turn(tiny_model, concepts, **options)
    with pytest.raises(UserError, match="other weights"):
        turn(tiny_model, replace(concepts, generator_digest="0" * 64))
