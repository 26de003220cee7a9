"""What files of weights are wrapped in is undone; what is no file of weights is said to be what it is."""

from __future__ import annotations

import json
import pickle
import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

from dcgan_viz.errors import UserError
from dcgan_viz.foreign import torch_files
from dcgan_viz.foreign.containers import folded, read_weights


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.ConvTranspose2d(4, 8, 4, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4)
    )
    return layers.state_dict()


def same(read: dict[str, Tensor], state: dict[str, Tensor]) -> bool:
    return list(read) == list(state) and all(torch.equal(read[n], state[n].float()) for n in state)


@pytest.mark.parametrize("new", [True, False])
def test_files_of_both_formats_are_read_as_torch_reads_them(
    tmp_path: Path, state: dict[str, Tensor], new: bool
) -> None:
    file = tmp_path / "G.pth"
    state["half"] = torch.randn(3, 5, dtype=torch.float16)
    state["double"] = torch.randn(3, 5, dtype=torch.float64)
    state["bfloat"] = torch.randn(3, 5).bfloat16()
    state["view"] = torch.randn(6, 10).T[2:5, ::2]
    state["scalar"] = torch.tensor(3.0)
    state["parameter"] = nn.Parameter(torch.randn(2, 2))
    torch.save(state, file, _use_new_zipfile_serialization=new)
    weights = read_weights(file)
    assert same(weights.tensors, {n: t.detach() for n, t in state.items()})
    assert weights.ordered
    assert weights.source == "G.pth"
    assert len(weights.digest) == 64


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_wrappers_are_left_out(tmp_path: Path, state: dict[str, Tensor], prefix: str) -> None:
    torch.save({f"{prefix}{n}": t for n, t in state.items()}, tmp_path / "G.pth")
    assert same(read_weights(tmp_path / "G.pth").tensors, state)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "generator", "params_ema"])
def test_a_mapping_around_one_network_is_undone(tmp_path: Path, state: dict[str, Tensor], key: str) -> None:
    optimiser = torch.optim.Adam([nn.Parameter(torch.zeros(2, 2))]).state_dict()
    torch.save({"epoch": 3, key: state, "optimizer": optimiser, "loss": [0.5], "arch": "dcgan"}, tmp_path / "G.pth")
    assert same(read_weights(tmp_path / "G.pth").tensors, state)


def test_one_network_of_several_is_named(tmp_path: Path, state: dict[str, Tensor]) -> None:
    other = {n: t + 1 for n, t in state.items()}
    bundle = tmp_path / "both.pth"
    torch.save({"netG": state, "netD": other, "optimizerG": {"state": {0: {"exp_avg": torch.ones(2, 2)}}}}, bundle)
    with pytest.raises(UserError, match=r"holds 2 networks: give one of both.pth:netG, both.pth:netD"):
        read_weights(bundle)
    assert same(read_weights(f"{bundle}:netG").tensors, state)
    assert same(read_weights(f"{bundle}:netD").tensors, other)
    assert read_weights(f"{bundle}:netD").source == "both.pth:netD"
    with pytest.raises(UserError, match="holds no network netX: it has netG, netD"):
        read_weights(f"{bundle}:netX")


def test_lightnings_flat_state_dict_is_divided(tmp_path: Path, state: dict[str, Tensor]) -> None:
    flat = {f"generator.{n}": t for n, t in state.items()} | {f"discriminator.{n}": t + 1 for n, t in state.items()}
    file = tmp_path / "last.ckpt"
    torch.save({"state_dict": flat, "pytorch-lightning_version": "2.1", "hyper_parameters": {"lr": 2e-4}}, file)
    with pytest.raises(UserError, match=r"last.ckpt:state_dict.generator"):
        read_weights(file)
    assert same(read_weights(f"{file}:generator").tensors, state)
    torch.save({f"mine.{n}": t for n, t in state.items()} | {f"yours.{n}": t for n, t in state.items()}, file)
    assert same(read_weights(f"{file}:mine").tensors, state)


def test_safetensors_are_ordered_by_their_names(tmp_path: Path) -> None:
    tensors = {f"main.{k}.weight": torch.full((2, 2), float(k)) for k in (0, 3, 10, 6, 12)}
    save_file(tensors, tmp_path / "G.safetensors")
    weights = read_weights(tmp_path / "G.safetensors")
    assert [n.split(".")[1] for n in weights.tensors] == ["0", "3", "6", "10", "12"]
    assert not weights.ordered


@pytest.mark.parametrize("make", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("widths", [(4, 6), (5, 5), (3, 1)])
@pytest.mark.parametrize(
    "norm", [spectral_norm, parametrizations.spectral_norm, weight_norm, parametrizations.weight_norm]
)
@pytest.mark.filterwarnings("ignore")
def test_spectral_and_weight_norm_are_multiplied_out(make, widths: tuple[int, int], norm) -> None:
    torch.manual_seed(1)
    layer = norm(make(*widths, 3))
    for _ in range(3):
        layer(torch.randn(2, widths[0], 8, 8))
    layer.eval()
    layer(torch.randn(2, widths[0], 8, 8))
    tensors = folded({f"net.0.{n}": t for n, t in layer.state_dict().items()})
    assert set(tensors) == {"net.0.weight", "net.0.bias"}
    assert torch.allclose(tensors["net.0.weight"], layer.weight, atol=1e-6)


class _Bomb:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("exploded"),)


def test_what_is_no_file_of_weights_is_said_to_be_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, Tensor]
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = nn.Sequential(nn.ConvTranspose2d(4, 8, 4), nn.ReLU())
    torch.save(state, "G.pth")
    torch.save(whole, "whole.pth")
    torch.save(whole, "whole_old.pth", _use_new_zipfile_serialization=False)
    torch.save({"generator": _Bomb()}, "bomb.pth")
    torch.save({"epoch": 3}, "number.pth")
    torch.save({**state, "0.weight": state["0.weight"] * torch.inf}, "infinite.pth")
    torch.save({**state, "0.weight": state["0.weight"] > 0}, "bool.pth")
    torch.jit.script(whole).save("script.pt")
    bytes_of = Path("G.pth").read_bytes()
    files = {
        "empty.pth": b"",
        "cut.pth": bytes_of[: len(bytes_of) // 2],
        "pickle.pth": pickle.dumps(_Bomb()),
        "page.pth": b"\n<!DOCTYPE html>\n<html><head><title>404</title>",
        "pointer.pth": b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 5\n",
        "text.pth": json.dumps({"a": 1}).encode(),
        "packed.pth": b"\x1f\x8b\x08\x00",
        "noise.pth": bytes(range(256)),
        "G.ckpt.index": b"\x00\x00\x01",
        "G.ckpt.data-00000-of-00001": b"\x00\x00\x01",
        "cut.safetensors": b"\xff\xff\xff\xff\x00\x00\x00\x00{}",
    }
    for name, data in files.items():
        Path(name).write_bytes(data)
    Path("folder").mkdir()
    Path("saved").mkdir()
    Path("saved/saved_model.pb").write_bytes(b"\x08\x01")
    for name, sentence in {
        "nowhere.pth": "does not exist",
        "folder": "is a folder",
        "saved": "is TensorFlow's own format.*model.save",
        "saved/saved_model.pb": "is TensorFlow's own format",
        "G.ckpt.index": "is TensorFlow's own format",
        "G.ckpt.data-00000-of-00001": "is TensorFlow's own format",
        "empty.pth": "is empty",
        "cut.pth": "is cut off",
        "whole.pth": r"is a whole pickled object \(torch.nn.modules.container.Sequential\).*save model.state_dict",
        "whole_old.pth": "is a whole pickled object",
        "bomb.pth": r"is a whole pickled object \(pathlib",
        "pickle.pth": "is a whole pickled object",
        "number.pth": "holds no weights",
        "infinite.pth": "0.weight is not finite",
        "bool.pth": "0.weight holds bool numbers",
        "script.pt": "is a TorchScript program",
        "page.pth": "is a web page",
        "pointer.pth": "is a pointer of Git LFS",
        "text.pth": "is text",
        "packed.pth": "is a compressed archive",
        "noise.pth": "is damaged",
        "cut.safetensors": "describes more than a pair",
    }.items():
        with pytest.raises(UserError, match=sentence):
            read_weights(name)
    assert not Path("exploded").exists()


def test_nothing_is_allocated_on_a_files_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"w": torch.ones(1).expand(1000, 1000, 40, 40)}, tmp_path / "expanded.pth")
    shared = torch.ones(1000, 100)
    torch.save({str(k): shared for k in range(500)}, tmp_path / "shared.pth")
    # A memo place far out, for which an unpickler would make room.
    (tmp_path / "memo.pth").write_bytes(b"\x80\x02N" + b"r\xff\xff\xff\x7f" + b".")
    empty = {str(k): torch.empty(0) for k in range(300)}
    torch.save(empty, tmp_path / "many.pth")
    torch.save(empty, tmp_path / "many_old.pth", _use_new_zipfile_serialization=False)
    monkeypatch.setattr(torch_files, "MAXIMUM_ENTRIES", 200)
    monkeypatch.setattr(torch_files, "MAXIMUM_STEPS", 5000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("expanded", "many", "many_old", "shared", "memo"):
        with pytest.raises(UserError):
            read_weights(tmp_path / f"{name}.pth")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200e3


def test_views_that_share_a_storage_are_read(tmp_path: Path) -> None:
    base = torch.randn(40)
    torch.save({"a": base[:20].view(4, 5), "b": base[20:].view(5, 4), "c": base[:20].view(4, 5)}, tmp_path / "v.pth")
    tensors = read_weights(tmp_path / "v.pth").tensors
    assert torch.equal(tensors["a"], base[:20].view(4, 5))
    assert torch.equal(tensors["b"], base[20:].view(5, 4))


@pytest.mark.parametrize("name", ["README.md", "notes.txt", "netG.pth"])
def test_a_text_is_said_to_be_one(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("# Größe\n\nThe weights are on a server.\n" * 30)
    with pytest.raises(UserError, match="is text, not weights"):
        read_weights(tmp_path / name)
