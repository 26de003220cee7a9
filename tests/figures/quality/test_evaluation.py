from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from dcgan_viz.analysis.quality.evaluation import evaluate
from dcgan_viz.data.images import TensorImages
from dcgan_viz.figures.quality.evaluation import evaluation_figure
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN
from tests.figures.columns import faults


class Averages:
    """Stands in for an encoder: the mean colour of each quarter of a picture."""

    name, note, dimensions = "averages", "not trained", 12

    def features(self, images: Tensor) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def photographs(count: int, seed: int = 0) -> TensorImages:
    return TensorImages(torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1)


def test_a_result_with_objects_is_drawn_and_saved(tiny_model: DCGAN, tiny_segmenter: Segmenter, tmp_path: Path) -> None:
    result = evaluate(tiny_model, photographs(400), Averages(), segmenter=tiny_segmenter)
    assert [entry.object for entry in result.objects] == list(tiny_segmenter.objects)
    assert not faults(lambda: evaluation_figure(result))
    [distances] = [axes for axes in evaluation_figure(result).axes if "kernel" in axes.get_ylabel()]
    low, high = distances.get_ylim()
    assert low < min(d.kernel for d in result.disturbances)
    assert high > max(d.kernel for d in result.disturbances)
    # The floor is near 0, to either side of which there is no more than is needed.
    assert low >= min(-10, 1.5 * min(d.kernel for d in result.disturbances), 1.5 * result.floor.kernel.low)
    result.save(tmp_path / "out", {"evaluate": evaluation_figure(result)})
    assert (tmp_path / "out" / "evaluate.png").stat().st_size > 10_000
