"""The authors' Theano files: kernels turned around, dense weights transposed, statistics measured anew."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.containers import read_weights
from dcgan_viz.foreign.importing import import_pair
from dcgan_viz.foreign.theano import _read


def save(folder: Path, name: str, arrays: list[np.ndarray]) -> Path:
    index = folder / f"{name}.jl"
    index.write_bytes(b"\x80\x02 a pickle that nobody reads")
    for number, array in enumerate(arrays, start=1):
        np.save(folder / f"{name}.jl_{number:02}.npy", array.astype(np.float32))
    return index


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(0, 0.2, shape)


def test_the_authors_layout_is_theirs(tmp_path: Path) -> None:
    """The authors' layers written out: normalisation per unit, then 5x5 of stride 2 with the kernel turned around."""
    w, g, b = normal(6, 4 * 16), normal(64) + 1, normal(64)
    w2, g2, b2, wx = normal(4, 3, 5, 5), normal(3) + 1, normal(3), normal(3, 1, 5, 5)
    v, v2, h2, c2, vy = normal(4, 1, 5, 5), normal(5, 4, 5, 5), normal(5) + 1, normal(5), normal(5 * 16, 1)
    weights = read_weights(save(tmp_path, "gen", [w, g, b, w2, g2, b2, wx]))
    imported = import_pair(weights, read_weights(save(tmp_path, "dis", [v, v2, h2, c2, vy])), source="normal")
    generator, judge = imported.generator, imported.discriminator
    assert judge is not None
    t = {
        n: torch.tensor(a, dtype=torch.float32)
        for n, a in (("w", w), ("w2", w2), ("wx", wx), ("v", v), ("v2", v2), ("vy", vy))
    }
    z = torch.randn(3, 6)
    first, second = (m.get_submodule("norm") for m in generator.layers[:2])
    with torch.no_grad():
        assert torch.allclose(first.weight, torch.tensor(g, dtype=torch.float32))
        maps = torch.relu(first(z @ t["w"])).view(3, 4, 4, 4)
        maps = functional.conv_transpose2d(maps, t["w2"].flip(2, 3), None, 2, 2, 1)
        maps = functional.conv_transpose2d(torch.relu(second(maps)), t["wx"].flip(2, 3), None, 2, 2, 1)
        images = torch.tanh(maps)
        assert torch.allclose(generator(z), images, atol=1e-5)
        maps = functional.leaky_relu(functional.conv2d(images, t["v"].flip(2, 3), None, 2, 2), 0.2)
        maps = judge.layers[1].get_submodule("norm")(functional.conv2d(maps, t["v2"].flip(2, 3), None, 2, 2))
        assert torch.allclose(judge(images), (functional.leaky_relu(maps, 0.2).flatten(1) @ t["vy"])[:, 0], atol=1e-5)
    assert first.eps == 1e-8
    assert first.running_var.std() > 0
    assert "measured anew on 4,096 latents" in imported.told["generator"].statistics
    assert "measured anew on 4,096 pictures of its generator" in imported.told["discriminator"].statistics


def test_of_weights_without_statistics_no_candidates_are_compared(run, tmp_path: Path) -> None:
    index = save(tmp_path, "gen", [normal(6, 64), normal(64) + 1, normal(64), normal(4, 1, 5, 5)])
    outcome = run("import", index, "--prior", "uniform", "--out", tmp_path / "model")
    assert outcome.exit_code == 0, outcome.output
    assert not list((tmp_path / "model").glob("*.png"))


def test_what_is_not_theirs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lonely.jl").write_bytes(b"x")
    with pytest.raises(UserError, match=r"lonely.jl_01.npy, … are not beside it"):
        read_weights(tmp_path / "lonely.jl")
    with pytest.raises(UserError, match="no gain or bias that follows weights"):
        read_weights(save(tmp_path, "order", [normal(5), normal(5), normal(4, 4)]))
    with pytest.raises(UserError, match="holds no finite weights"):
        read_weights(save(tmp_path, "nan", [normal(4, 4) * np.nan, normal(4), normal(4)]))
    index = save(tmp_path, "cut", [normal(4, 4), normal(4), normal(4)])
    (tmp_path / "cut.jl_02.npy").write_bytes(b"\x93NUMPY\x01")
    with pytest.raises(UserError, match="is not an array of numbers"):
        read_weights(index)


@pytest.mark.realdata
def test_the_authors_svhn_pair_draws_digits(realdata: Path) -> None:
    folder = realdata / "authors_svhn"
    weights = [read_weights(folder / f"200_{side}_params.jl") for side in ("gen", "discrim")]
    imported = import_pair(*weights, source="normal")
    assert imported.looks == ""
    assert imported.generator.image_shape == (3, 32, 32)
    assert [c.channels for c in imported.generator.spec.convolutions] == [128, 64, 3]
    with torch.no_grad():
        images = imported.generator(torch.randn(64, 100))
    # Photographs are smooth; with kernels that are not turned around the samples are noise.
    near, far = ((images[..., k:] - images[..., :-k]).abs().mean() for k in (1, 8))
    assert near < 0.35 * far


def test_no_memory_is_asked_for_what_a_header_claims(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**28, 1)})
    (tmp_path / "a.npy").write_bytes(header.getvalue())
    tracemalloc.start()
    with pytest.raises(UserError, match="is not an array of numbers"):
        _read(tmp_path / "a.npy")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
