"""Generators whose truth is known, read from their weights and statistics alone: rightly, or asked about, never wrongly."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.candidates import UndecidedError
from dcgan_viz.foreign.chains import find_chains
from dcgan_viz.foreign.geometry import generator_geometries
from dcgan_viz.foreign.importing import import_pair
from dcgan_viz.foreign.knowledge import Wishes
from dcgan_viz.foreign.readings import CLEAR
from dcgan_viz.foreign.weights import Weights
from tests.foreign.synthetic import FAMILIES, Move, Truth, assess, random_truth, seed_of, weights

QUICK = {
    "tutorial, LeakyReLU 0.01": "right",
    "tutorial, norm last, LeakyReLU 0.2": "right",
    "tutorial, eps 0.8": "right",
    "Udacity, ReLU first": "right",
    # No statistics hear the epsilon of a single hidden normalisation, and few change it.
    "Keras-like": "right",
    # What follows was once read wrongly, without a word. Weights that grow while statistics are taken look like a leakier
    # activation,
    "7x7 at once, early in training": "asked",
    # nothing tells the activation after that normalisation,
    "random 102": "asked",
    # and without a discriminator nobody knows whether the last convolution reads its maps enlarged,
    "random 45": "asked",
    # Nobody triples grey pictures by a kernel of 5 after those of 4, as in colour.
    "random 175": "right",
}


def truth_of(name: str) -> Truth:
    return FAMILIES[name] if name in FAMILIES else random_truth(int(name.removeprefix("random ")))


@pytest.mark.parametrize("name", QUICK)
def test_what_nothing_tells_is_asked_and_all_else_read_rightly(name: str) -> None:
    assert assess(truth_of(name), seed_of(name)) == QUICK[name]


@pytest.mark.long
def test_none_is_read_wrongly() -> None:
    names = {**FAMILIES, **{f"random {seed}": random_truth(seed) for seed in range(24)}}
    verdicts = {name: assess(truth, seed_of(name)) for name, truth in names.items()}
    counts = Counter(verdicts.values())
    assert not counts["wrong"] + counts["refused"], verdicts
    assert counts["right"] >= 0.75 * len(verdicts), verdicts


def test_a_network_that_strides_and_upsamples_may_do_either_last() -> None:
    """Two layers that upsample were once taken for one: 32 pixels for 64."""
    last = Move(3, 1, 1, upsample=2, plain=True)
    truth = replace(FAMILIES["tutorial"], moves=(Move(3, 2, 1, 1), last, last), side=8)
    file, _ = weights(truth, 0)
    unusual = {
        g.sizes[-1]: g.unusual
        for chain in find_chains(file, "generator").options
        for g in reversed(generator_geometries(chain, Wishes()))
        if [link.forward for link in chain] == [False, False, True, True] and g.steps[2].upsample == 2
    }
    assert abs(unusual[64] - unusual[32]) < CLEAR


def test_statistics_of_other_weights_are_refused_with_candidates() -> None:
    """The control: statistics of another seed's network fit no reading."""
    truth = replace(FAMILIES["tutorial"], moves=FAMILIES["tutorial"].moves[1:], side=8, widths=(16, 12))
    file, _ = weights(truth, 1)
    others, _ = weights(truth, 2)
    mixed = {n: others.tensors[n] if "running" in n else t for n, t in file.tensors.items()}
    with pytest.raises(UndecidedError, match="no way to read these weights gives their running statistics") as caught:
        import_pair(Weights(mixed, "here"))
    assert len(caught.value.candidates) > 1


def test_what_nothing_hears_and_one_would_see_is_said() -> None:
    """An epsilon of 0.8 in a single normalisation, and the activation after it."""
    file, _ = weights(random_truth(33), seed_of("random 33"))
    granted = "; ".join(import_pair(file).told["generator"].granted)
    assert re.search(r"epsilon 1e-05 \(with epsilon 0\.[89] a pixel would change by \d\d grey levels", granted)
    assert "LeakyReLU 0.1 after the last hidden layer too" in granted


def test_conditional_generators_are_recognised() -> None:
    """A one-hot label beside z: as many numbers as a plain latent has."""
    truth = replace(FAMILIES["tutorial"], prior="labelled", latent=34)
    file, _ = weights(truth, 3)
    with pytest.raises(
        UserError, match=r"conditional: .* 24 numbers of a normal distribution and a label of 10 classes"
    ):
        import_pair(file)


def test_many_latents_are_not_taken_for_fewer_and_a_label() -> None:
    """Ten of 256 numbers weigh little, and of a few latents all maps of a wide layer see the same that is odd of them."""
    truth = replace(FAMILIES["tutorial"], moves=(Move(4), Move(4)), widths=(512, 8), latent=256, prior="uniform")
    file, _ = weights(truth, 0)
    assert "z from U(-1, 1)" in import_pair(file).told["generator"].decided


def test_who_pads_nowhere_is_nearly_as_usual_as_any() -> None:
    """A course's layout of 28 pixels, whose paddings were asked for beside a rarer one with an output padding."""
    file, _ = weights(FAMILIES["Coursera"], 0)
    (chain,) = find_chains(file, "generator").options
    ways = [g for g in generator_geometries(chain, Wishes()) if g.sizes == (3, 6, 13, 28)]
    assert [s.padding for s in ways[0].steps] == [0, 0, 0, 0]
    assert ways[0].unusual < 0.5
