from __future__ import annotations

import numpy as np

from dcgan_viz.analysis.forgetting.controls import matched_factors


def test_matched_maps_have_like_activations_and_are_never_the_chosen() -> None:
    activations = np.concatenate([np.linspace(0, 1, 20), np.linspace(10, 11, 20)])
    chosen = (0, 4, 25, 30)
    factors = matched_factors(activations, chosen, 50, seed=0)
    assert factors is not None
    taken = factors == 0
    assert (taken.sum(1) == 4).all()
    assert not taken[:, list(chosen)].any()
    # Two of each kind were chosen, so two of each kind are taken.
    assert (taken[:, :20].sum(1) == 2).all()
    assert len({tuple(row.nonzero().ravel().tolist()) for row in taken}) > 20
    assert matched_factors(activations, range(21), 5, seed=0) is None
