from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from dcgan_viz.analysis.memorization.dwelling import closed_walks, dwelling


@pytest.mark.parametrize(("prior", "law"), [("normal", "norm"), ("uniform", "uniform")])
def test_every_point_of_a_walk_is_distributed_as_the_prior(prior: str, law: str) -> None:
    walks = closed_walks(400, 6, 5, prior, seed=0)
    assert walks.shape == (400, 6, 5)
    for step in range(6):
        values = walks[:, step].flatten().numpy()
        assert kstest(values / 2 + 0.5 if prior == "uniform" else values, law).pvalue > 0.001
    steps = (walks.roll(-1, 1) - walks).norm(dim=2)
    # Closed: the way back to the start is no longer than the others.
    assert steps[:, -1].mean().item() == pytest.approx(steps.mean().item(), rel=0.05)
    assert torch.equal(walks[:100], closed_walks(400, 6, 5, prior, seed=0)[:100])


def waves(seed: int, walks: int, steps: int, coupling: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smooth distances, and changes that follow the distance between their ends as far as they are coupled."""
    random = np.random.default_rng(seed)
    turn = 2 * np.pi * np.arange(steps) / steps
    phase, other = random.uniform(0, 2 * np.pi, (2, walks, 1))
    relative = 0.8 + 0.1 * np.sin(2 * turn + phase)
    changes = 1 + coupling * np.sin(2 * turn + np.pi / steps * 2 + phase) + 0.3 * np.sin(3 * turn + other)
    return relative.astype(np.float32), np.zeros((walks, steps), np.int64), changes.astype(np.float32)


def test_it_agrees_with_a_loop() -> None:
    relative, numbers, changes = waves(0, 5, 8, 0.4)
    numbers[:, 4:] = 3
    contrasts, largest = [], []
    for near, change in zip(relative, changes, strict=True):
        order = sorted(range(8), key=lambda k, change=change: change[k])
        between = [(near[k] + near[(k + 1) % 8]) / 2 for k in range(8)]
        contrasts.append(np.mean([between[k] for k in order[4:]]) - np.mean([between[k] for k in order[:4]]))
        largest.append(max(change) / np.mean(change))
    found = dwelling(relative, numbers, changes, threshold=0.75)
    assert found.contrast.value == pytest.approx(np.mean(contrasts), abs=1e-6)
    assert found.largest_step.value == pytest.approx(np.mean(largest), rel=1e-6)
    assert found.near == pytest.approx(np.mean(relative < 0.75))
    assert (found.visited, found.walks, found.steps) == (2, 5, 8)


def test_coupled_walks_dwell_and_uncoupled_ones_do_not() -> None:
    coupled = dwelling(*waves(1, 30, 24, 0.5), threshold=0.6)
    assert coupled.contrast.low > 0
    assert coupled.p_value < 0.001
    assert coupled.contrast.value > coupled.null.high
    p_values = [dwelling(*waves(k, 30, 24, 0.0), threshold=0.6).p_value for k in range(60)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.15
    assert dwelling(*waves(1, 30, 24, 0.5), threshold=0.6) == coupled
