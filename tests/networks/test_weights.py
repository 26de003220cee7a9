from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from dcgan_viz.card import CARD_FILE
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, load_segmenter
from dcgan_viz.model import DCGAN, WEIGHTS_FILE, load
from dcgan_viz.networks.weights import network_tensors, open_tensors, save_network, save_tensors
from dcgan_viz.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_every_file_of_weights_is_readable_by_whom_the_umask_says(
    umask: int, tiny_model: DCGAN, tiny_segmenter: Segmenter, tmp_path: Path
) -> None:
    """safetensors closes the files that it writes to everybody but their owner."""
    files = [
        tiny_model.save(tmp_path / "model") / WEIGHTS_FILE,
        tiny_segmenter.save(tmp_path / "segmenter") / WEIGHTS_FILE,
        save_checkpoint(tmp_path / "run", Checkpoint(3, {"weight": torch.ones(2)}, {})),
    ]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o666 & ~umask}


def test_vectors_keep_their_precision_and_kernels_become_fp16(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    variance = torch.tensor([1e6, 1e-9, 1 / 3, 7.0])
    network[1].running_var.copy_(variance)
    stored = load_file(save_network(network, tmp_path / "weights.safetensors"))
    assert {name: t.dtype for name, t in stored.items() if t.ndim > 1} == {"0.weight": torch.float16}
    assert torch.equal(stored["1.running_var"], variance)
    with open_tensors(tmp_path / "weights.safetensors") as file:
        loaded = file.network(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    assert {t.dtype for t in network_tensors(loaded).values()} == {torch.float32}
    assert not loaded.training
    images = torch.rand(2, 3, 8, 8)
    wanted = network.eval()(images)
    assert (loaded(images) - wanted).norm() < 1e-3 * wanted.norm()


@pytest.mark.parametrize("factor", [1e6, 1e-7])
def test_a_kernel_that_fp16_does_not_hold_stays_whole(factor: float, tmp_path: Path) -> None:
    """Too large as a whole, or so small in one map that batch normalisation would blow its rounding up."""
    torch.manual_seed(0)
    network = nn.Conv2d(3, 4, 3)
    with torch.no_grad():
        network.weight[2] *= factor
    stored = load_file(save_network(network, tmp_path / "weights.safetensors"))["weight"]
    assert torch.equal(stored, network.weight)


def test_a_model_whose_variances_pass_65504_draws_what_it_drew(tiny_model: DCGAN, tmp_path: Path) -> None:
    norm = tiny_model.generator.layers[1].norm
    norm.running_var.mul_(1e9)
    norm.weight.mul_(1e9**0.5)
    again = load(tiny_model.save(tmp_path / "model"))
    assert torch.allclose(again.sample(4), tiny_model.sample(4), atol=0.02)


def test_what_is_not_finite_is_neither_written_nor_read_nor_drawn(tiny_model: DCGAN, tmp_path: Path, refused) -> None:
    folder = tiny_model.save(tmp_path / "model")
    before = (folder / WEIGHTS_FILE).read_bytes()
    tensors = load_file(folder / WEIGHTS_FILE)
    name = "generator.layers.1.norm.running_var"
    save_file({**tensors, name: torch.full_like(tensors[name], torch.inf)}, folder / WEIGHTS_FILE)
    sentence = refused("sample", "--model", folder)
    assert f"{name} holds values that are not finite" in sentence
    (folder / WEIGHTS_FILE).write_bytes(before)
    tiny_model.generator.layers[1].norm.running_var.fill_(torch.nan)
    with pytest.raises(UserError, match=f"{name} holds values that are not finite"):
        tiny_model.save(folder, overwrite=True)
    assert (folder / WEIGHTS_FILE).read_bytes() == before
    with pytest.raises(UserError, match="draws pictures with values that are not finite"):
        tiny_model.sample(2)


def test_a_checkpoint_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"generator\.weight holds values that are not finite"):
        save_checkpoint(tmp_path, Checkpoint(1, {"generator.weight": torch.tensor([torch.nan])}, {}))
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="is not a whole checkpoint"):
        load_checkpoint(save_tensors({"weight": torch.ones(2)}, tmp_path / "step-00000001.safetensors"))


def test_a_card_that_asks_for_terabytes_is_refused_before_memory_is(tiny_folder: Path, refused) -> None:
    card = json.loads((tiny_folder / CARD_FILE).read_text())
    card["networks"]["generator"]["base_channels"] = 2**40
    (tiny_folder / CARD_FILE).write_text(json.dumps(card))
    assert "base_channels 1099511627776 is not supported" in refused("sample", "--model", tiny_folder)
    card["networks"]["generator"]["base_channels"] = 2**14
    (tiny_folder / CARD_FILE).write_text(json.dumps(card))
    assert "but the networks on its card need" in refused("sample", "--model", tiny_folder)
    card["networks"]["generator"]["base_channels"] = 2**70
    (tiny_folder / CARD_FILE).write_text(json.dumps(card))
    assert "a number of 22 digits is too large" in refused("sample", "--model", tiny_folder)


def test_tensors_that_no_network_has_are_refused(tiny_folder: Path, refused) -> None:
    tensors = load_file(tiny_folder / WEIGHTS_FILE)
    save_file({**tensors, "generator.extra": torch.zeros(1)}, tiny_folder / WEIGHTS_FILE)
    assert "has a tensor generator.extra" in refused("sample", "--model", tiny_folder)
    whole = {name: t.long() if name == "generator.layers.0.linear.weight" else t for name, t in tensors.items()}
    save_file(whole, tiny_folder / WEIGHTS_FILE)
    assert "weights are of floating point" in refused("sample", "--model", tiny_folder)


def test_a_header_without_end_is_refused(tiny_folder: Path, refused) -> None:
    (tiny_folder / WEIGHTS_FILE).write_bytes((2**40).to_bytes(8, "little") + b"{}")
    assert "its header would have 1099511627776 bytes" in refused("sample", "--model", tiny_folder)


def test_loading_draws_no_random_numbers(tiny_folder: Path, tiny_segmenter: Segmenter, tmp_path: Path) -> None:
    folder = tiny_segmenter.save(tmp_path / "segmenter")
    state = torch.get_rng_state()
    load(tiny_folder)
    load_segmenter(folder)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_damaged_file_is_named_and_nothing_but_tensors_is_read(tmp_path: Path) -> None:
    path = save_tensors({"a": torch.ones(3)}, tmp_path / "a.safetensors", {"step": "7"})
    with open_tensors(path) as file:
        assert file.metadata == {"step": "7"}
        assert torch.equal(file.read()["a"], torch.ones(3))
        with pytest.raises(UserError, match=r"a has shape \(3,\), .* need \(4,\)"):
            file.read({"a": (4,)})
        with pytest.raises(UserError, match="has no tensor b"):
            file.read({"b": (4,)})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="not a whole safetensors file"), open_tensors(path):
        pass
    with pytest.raises(UserError, match="is missing"), open_tensors(tmp_path):
        pass


@pytest.mark.slow
def test_loading_a_model_does_not_import_torchs_compiler(tiny_model: DCGAN, tmp_path: Path) -> None:
    folder = tiny_model.save(tmp_path / "tiny")
    program = f"import sys, dcgan_viz; dcgan_viz.load({str(folder)!r}); sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
