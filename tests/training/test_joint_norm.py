from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from dcgan_viz.training.joint_norm import JointBatchNorm, join_batch_norm


@pytest.fixture(autouse=True)
def _group(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 5, 5)])
def test_alone_it_is_torchs_own(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.BatchNorm1d(4) if len(shape) == 2 else nn.BatchNorm2d(4))
    nn.init.normal_(plain[0].weight)
    joint = nn.Sequential(type(plain[0])(4))
    joint.load_state_dict(plain.state_dict())
    join_batch_norm(joint)
    assert isinstance(joint[0], JointBatchNorm)
    weight = torch.randn(shape)
    for _ in range(2):
        found = []
        for network in (plain, joint):
            x = (torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3 + 1).requires_grad_()
            out = network(x)
            (gradient,) = torch.autograd.grad((out**2 * weight).sum(), x, create_graph=True)
            (second,) = torch.autograd.grad(gradient.square().sum(), x)
            found.append((out, gradient, second))
        for ours, theirs in zip(*found, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-4)
    for name, value in plain.state_dict().items():
        assert torch.allclose(joint.state_dict()[name], value, atol=1e-6), name
    assert torch.allclose(joint.eval()(x), plain.eval()(x), atol=1e-6)
