"""What a class looks like to its linear classifier: the maps with the largest weights, and what excites them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.analysis.attribution.responses import collect, strongest_responses
from dcgan_viz.analysis.attribution.unit_gradients import unit_gradients
from dcgan_viz.analysis.features.protocols import Task
from dcgan_viz.analysis.features.svm import LinearSVM
from dcgan_viz.data.images import ImageSet
from dcgan_viz.networks.protocol import DiscriminatorNetwork
from dcgan_viz.statistics import Estimate, share_estimate

MAPS = 3
SHOWN = 2
"""Test images of a map that are shown."""

COUNTED = 25
"""Test images of a map whose classes are counted."""


@dataclass(frozen=True)
class Look:
    """The maps with the largest weights for a class.

    Parameters
    ----------
    name : str
        Of the class.
    layers, maps : tuple of int
        Of each map: its layer, counted from 1, and its number there, counted from 0.
    weights : tuple of float
        Of the map's features together, each in units of its standard deviation.
    own : Estimate
        Share of this class among the test images that excite these maps most.
    others : float
        The same for all maps of these layers: what the weights add to.
    share : float
        Of this class among all test images.
    """

    name: str
    layers: tuple[int, ...]
    maps: tuple[int, ...]
    weights: tuple[float, ...]
    own: Estimate
    others: float
    share: float


def looks_of(
    network: DiscriminatorNetwork,
    task: Task,
    features: NDArray[np.float16],
    columns: Mapping[str, slice],
    svm: LinearSVM,
) -> tuple[tuple[Look, ...], NDArray[np.uint8], NDArray[np.float32]]:
    """For each class its `MAPS` maps of largest weight, chosen by the training labels, and the test images that excite them.

    Parameters
    ----------
    network : DiscriminatorNetwork
    task : Task
    features : ndarray of float16 (N, d)
        Of all images of the task.
    columns : mapping of str to slice
        Where each layer's features are, from the first layer on.
    svm : LinearSVM
        Fitted to them.

    Returns
    -------
    tuple of Look
    ndarray of uint8 (K, MAPS, SHOWN, S, S, C)
        The test images that excite each map most, strongest first.
    ndarray of float32 (K, MAPS, SHOWN, C, S, S)
        The guided gradients of the units that respond most.
    """
    layers = network.numbered_layers
    weights = svm.coef_ if len(svm.coef_) > 1 else np.concatenate([-svm.coef_, svm.coef_])
    per_map, peaks, owners = [], [], []
    for layer, where in zip(layers, columns.values(), strict=True):
        spread = features[: task.training : max(1, task.training // 2000), where].astype(np.float32).std(0)
        per_map.append((weights[:, where] * spread).reshape(len(weights), layer.channels, -1).sum(2))
        maps = features[task.test, where].reshape(len(features) - task.training, layer.channels, -1)
        peaks.append(maps.max(2))
        owners += [(layer.number, number) for number in range(layer.channels)]
    importance, peak = np.concatenate(per_map, 1), np.concatenate(peaks, 1)
    truth = task.numbers[task.test]
    strongest = np.argsort(-peak.astype(np.float32), axis=0, kind="stable")[:COUNTED]
    of_layer = np.array([layer for layer, _ in owners])
    test = ImageSet(task.images.pixels[task.test], task.images.names[task.test])
    looks, pictures, gradients = [], [], []
    for number, name in enumerate(task.classes):
        chosen = np.argsort(-importance[number], kind="stable")[:MAPS]
        own = truth[strongest[:, chosen]] == number
        same = np.isin(of_layer, of_layer[chosen])
        looks.append(
            Look(
                name,
                tuple(owners[c][0] for c in chosen),
                tuple(owners[c][1] for c in chosen),
                tuple(float(importance[number, c]) for c in chosen),
                share_estimate(int(own.sum()), own.size, over="test images of the maps"),
                float(np.mean(truth[strongest[:, same]] == number)),
                float(np.mean(truth == number)),
            )
        )
        shown = [_shown(network, test, strongest[:SHOWN, c], *owners[c]) for c in chosen]
        pictures.append([part[0] for part in shown])
        gradients.append([part[1] for part in shown])
    return tuple(looks), np.array(pictures), np.array(gradients)


def _shown(
    network: DiscriminatorNetwork, test: ImageSet, images: NDArray[np.int64], layer: int, number: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A map's strongest images and the guided gradients of the units that respond."""
    few = ImageSet(test.pixels[images], tuple(test.names[int(i)] for i in images))
    responses = strongest_responses(network, layer, few, [number], len(images))
    needed, units = collect(few, responses)
    gradient = unit_gradients(network, layer, needed, units).numpy()
    return few.pixels[[response.image for response in responses]], gradient
