from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dcgan_viz.errors import UserError
from dcgan_viz.judges.inception import load_inception


class StandIn(nn.Module):
    """Takes torch-fidelity's class's place: it is built, filled and called alike."""

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: str) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(2048))
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=True))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        assert pixels.dtype == torch.uint8
        assert pixels.shape[1] == 3
        return (pixels.float().mean((1, 2, 3))[:, None] * self.scale,)


@pytest.fixture
def _fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", types.ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("_fidelity")
def test_pixels_go_in_and_features_come_out(tmp_path: Path) -> None:
    torch.save({"scale": torch.ones(2048)}, tmp_path / "weights.pth")
    inception = load_inception(tmp_path / "weights.pth")
    features = inception.features(torch.ones(2, 1, 16, 16))
    assert features.shape == (2, inception.dimensions)
    assert float(features[0, 0]) == pytest.approx(255)


@pytest.mark.usefixtures("_fidelity")
def test_a_file_that_would_run_code_is_never_unpickled(tmp_path: Path) -> None:
    torch.save(StandIn.forward, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="without running code"):
        load_inception(tmp_path / "weights.pth")


@pytest.mark.usefixtures("_fidelity")
def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"other": torch.ones(3)}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="holds other weights"):
        load_inception(tmp_path / "weights.pth")


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(UserError, match=r"\[inception\]"):
        load_inception(tmp_path / "weights.pth")
