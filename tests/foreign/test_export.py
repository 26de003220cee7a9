"""What is exported computes the same, run by others' code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan_viz.card import bundled_models
from dcgan_viz.errors import UserError
from dcgan_viz.foreign import onnx_files
from dcgan_viz.foreign.containers import read_weights
from dcgan_viz.foreign.importing import import_pair
from dcgan_viz.foreign.onnx_files import export_onnx
from dcgan_viz.foreign.programs import export_programs
from dcgan_viz.foreign.pytorch_files import export_pytorch
from dcgan_viz.model import DCGAN, load
from dcgan_viz.networks import Convolution, DiscriminatorSpec, GeneratorSpec, NetworkSpec, dcgan

ODD = NetworkSpec(
    GeneratorSpec(
        8,
        "normal",
        6,
        (
            Convolution(5, 3, 1, upsample=2, bias=True),
            Convolution(4, 3, 2, padding=0, output_padding=0, activated=False),
            Convolution(1, 4, 2, norm=False, bias=True),
        ),
        base_size=3,
        base_norm=False,
        base_bias=True,
        negative_slope=0.2,
        norm_eps=1e-3,
        norm_first=False,
        output="sigmoid",
    ),
    DiscriminatorSpec(
        1,
        26,
        (Convolution(4, 4, 2, norm=False, bias=True), Convolution(5, 3, 2, padding=0), Convolution(6, 6, 1, padding=0)),
        activation="elu",
        norm_first=False,
        head_bias=True,
        unit_pixels=True,
    ),
)
SPECS = {
    "plain": dcgan(16, width=4, latent_dim=8),
    "odd": ODD,
    **{
        a: replace(ODD, discriminator=replace(ODD.discriminator, activation=a))
        for a in ("selu", "gelu", "silu", "softplus", "tanh")
    },
}


@pytest.fixture
def model(request: pytest.FixtureRequest, make_model: Callable[..., DCGAN]) -> DCGAN:
    return make_model(SPECS[request.param])


@pytest.mark.parametrize("model", SPECS, indirect=True)
def test_onnxruntime_computes_the_same(model: DCGAN, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    differences = export_onnx(model, tmp_path / "onnx")
    assert set(differences) == {"generator.onnx", "discriminator.onnx"}
    assert max(differences.values()) <= 1e-5
    z = model.latents(5, seed=3)
    images = model.generate(z)
    drawing = onnxruntime.InferenceSession(tmp_path / "onnx" / "generator.onnx")
    np.testing.assert_allclose(drawing.run(None, {"z": z.numpy()})[0], images.numpy(), atol=1e-5)
    critic = onnxruntime.InferenceSession(tmp_path / "onnx" / "discriminator.onnx")
    logits = model.discriminator(images).detach().numpy()
    np.testing.assert_allclose(critic.run(["logits"], {"images": images.numpy()})[0], logits, rtol=1e-5, atol=1e-5)


def test_an_edited_generator_is_exported_as_it_draws(tiny_model: DCGAN, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    factors = torch.ones(tiny_model.generator_layers[0].channels)
    factors[:4] = 0
    edited = replace(tiny_model, generator=tiny_model.generator.with_scaled_maps(1, factors))
    export_onnx(edited, tmp_path / "onnx")
    z = tiny_model.latents(3, seed=0)
    drawn = onnxruntime.InferenceSession(tmp_path / "onnx" / "generator.onnx").run(None, {"z": z.numpy()})[0]
    np.testing.assert_allclose(drawn, edited.generate(z).numpy(), atol=1e-5)
    assert np.abs(drawn - tiny_model.generate(z).numpy()).max() > 1e-2


def test_a_graph_that_differs_is_not_written(
    tiny_model: DCGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnx_files, "TOLERANCE", 0.0)
    with pytest.raises(UserError, match="would differ from torch"):
        export_onnx(tiny_model, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


@pytest.mark.parametrize("model", ["plain", "odd"], indirect=True)
def test_plain_pytorch_loads_and_draws_without_this_package(model: DCGAN, tmp_path: Path) -> None:
    assert export_pytorch(model, tmp_path / "out") == ("netG.pth", "netD.pth", "networks.py")
    z = model.latents(3, seed=0)
    images = model.generate(z)
    torch.save({"z": z, "images": images, "logits": model.discriminator(images)}, tmp_path / "expected.pt")
    code = (
        "import sys, torch, networks\n"
        "assert not any(name.startswith('dcgan_viz') for name in sys.modules)\n"
        "expected = torch.load('../expected.pt', weights_only=True)\n"
        "with torch.no_grad():\n"
        "    images = networks.load(networks.Generator(), 'netG.pth')(expected['z'])\n"
        "    logits = networks.load(networks.Discriminator(), 'netD.pth')(images)\n"
        "assert torch.allclose(images, expected['images'], atol=1e-5)\n"
        "assert torch.allclose(logits, expected['logits'], rtol=1e-4, atol=1e-5)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "out", check=True)


def test_the_tutorials_networks_come_out_as_the_tutorials(tmp_path: Path) -> None:
    from tests.foreign.strangers import settled, tutorial_discriminator, tutorial_generator

    torch.manual_seed(0)
    generator = settled(tutorial_generator(), [torch.randn(100, 12) for _ in range(3)])
    critic = settled(tutorial_discriminator(), [generator(torch.randn(50, 12)).detach() for _ in range(3)])
    for name, network in (("G", generator), ("D", critic)):
        torch.save(network.state_dict(), tmp_path / f"{name}.pth")
    imported = import_pair(read_weights(tmp_path / "G.pth"), read_weights(tmp_path / "D.pth"))
    export_pytorch(imported.model("tutorial"), tmp_path / "out")
    exported = torch.load(tmp_path / "out" / "netG.pth", weights_only=True)
    original = [t for n, t in generator.state_dict().items() if not n.endswith("tracked")]
    found = [t for n, t in exported.items() if not n.endswith("tracked")]
    assert all(torch.equal(a, b) for a, b in zip(found, original, strict=True))
    assert next(iter(exported)) == "main.0.weight"
    again = import_pair(
        read_weights(tmp_path / "out" / "netG.pth"), read_weights(tmp_path / "out" / "netD.pth"), source="normal"
    )
    z = torch.randn(3, 12)
    with torch.no_grad():
        assert torch.allclose(again.generator(z), generator(z), atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("name", bundled_models())
def test_a_bundled_pair_comes_back_with_nothing_told(name: str, tmp_path: Path) -> None:
    """Maps of paper width are so large that few examples are kept, and must suffice; 256 latents are not 246 and a label."""
    model = load(name)
    export_pytorch(model, tmp_path)
    found = import_pair(read_weights(tmp_path / "netG.pth"), read_weights(tmp_path / "netD.pth"))
    z = model.latents(4, seed=0)
    with torch.no_grad():
        torch.testing.assert_close(found.generator(z), model.generate(z), atol=1e-4, rtol=0)


def test_programs_run_by_torch_alone(tiny_model: DCGAN, tmp_path: Path) -> None:
    assert export_programs(tiny_model, tmp_path / "out") == ("generator.pt2", "discriminator.pt2")
    z = tiny_model.latents(5, seed=1)
    images = torch.export.load(tmp_path / "out" / "generator.pt2").module()(z)
    assert torch.allclose(images, tiny_model.generate(z), atol=1e-6)
    logits = torch.export.load(tmp_path / "out" / "discriminator.pt2").module()(images)
    assert torch.allclose(logits, tiny_model.discriminator(images), atol=1e-6)


def test_the_command_writes_and_leaves_what_is_not_its_own(run, refused, tiny_folder: Path) -> None:
    assert "say in which form" in refused("export", tiny_folder)
    assert "two files are written, so give a folder" in refused("export", tiny_folder, "--onnx", "model.onnx")
    outcome = run("export", tiny_folder, "--pytorch", "out")
    assert outcome.exit_code == 0, outcome.output
    assert "--overwrite" in refused("export", tiny_folder, "--pytorch", "out")
    again = run("export", tiny_folder, "--pytorch", "out", "--json", "--overwrite")
    assert all(Path(file).is_file() for file in json.loads(again.stdout)["pytorch"])
    Path("mine").mkdir()
    Path("mine/netG.pth").write_bytes(b"mine")
    assert "netG.pth" in refused("export", tiny_folder, "--pytorch", "mine")
    assert Path("mine/netG.pth").read_bytes() == b"mine"


def test_what_is_added_to_a_folder_of_others_is_said(run, tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("mine")
    done = run("export", tiny_folder, "--pytorch", folder)
    assert done.exit_code == 0, done.output
    added = "held other files, which stay; added: netG.pth, netD.pth, networks.py, manifest.json"
    assert added in " ".join(done.stderr.split())
    assert "held other files" not in run("export", tiny_folder, "--pytorch", folder, "--overwrite").stderr
