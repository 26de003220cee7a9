from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.forgetting.ablation import Ablation, choose_layer, draw_with
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.foreign.onnx_files import editable_graph
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN, load
from dcgan_viz.networks import dcgan
from dcgan_viz.web import page as module
from dcgan_viz.web import runtime
from dcgan_viz.web.page import export_web

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(("weights", "tolerance"), [("full", 1e-5), ("half", 0.01), ("bytes", 0.15)])
def test_the_graph_draws_as_torch_does_with_and_without_maps(tiny_model: DCGAN, weights: Any, tolerance: float) -> None:
    layer, latents = choose_layer(tiny_model, None), tiny_model.latents(5, 3)
    session = onnxruntime.InferenceSession(editable_graph(tiny_model, layer, weights))
    ways = [Ablation(layer, ()), Ablation(layer, (0, 2, 3), strength=0.5)]
    for way, expected in zip(ways, draw_with(tiny_model, ways, latents), strict=True):
        (drawn,) = session.run(None, {"z": latents.numpy(), "factors": way.factors.numpy()})
        assert np.abs(drawn - expected.numpy()).max() < tolerance


def test_what_is_no_package_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCGAN_VIZ_HOME", str(tmp_path))
    monkeypatch.setattr(runtime, "packed_by_npm", lambda: b"something else")
    monkeypatch.setattr(runtime, "fetched", lambda: b"something else")
    with pytest.raises(UserError, match="its SHA-512 is wrong"):
        runtime.runtime_files()
    assert not list(tmp_path.rglob("*.tgz"))


@pytest.fixture
def fake_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "runtime_files", lambda: {"ort.wasm.min.mjs": b"x" * 1000})


@pytest.mark.usefixtures("fake_runtime")
def test_large_models_are_kept_in_fewer_bits_or_refused(
    tiny_model: DCGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = choose_layer(tiny_model, None)
    sizes = {weights: len(editable_graph(tiny_model, layer, weights)) for weights in ("half", "bytes")}
    written = export_web(tiny_model, tmp_path / "half")
    assert (written.weights, written.objects) == ("half", ())
    assert written.size == sum(f.stat().st_size for f in written.folder.iterdir() if f.name != "manifest.json")
    assert written.difference < 1
    rest = sum(f.stat().st_size for f in written.folder.iterdir() if f.name in module.OWN_FILES) + 1000 + 2**18
    monkeypatch.setattr(module, "MAXIMUM_BYTES", rest + (sizes["half"] + sizes["bytes"]) // 2)
    assert export_web(tiny_model, tmp_path / "bytes").weights == "bytes"
    monkeypatch.setattr(module, "MAXIMUM_BYTES", rest)
    with pytest.raises(UserError, match="its generator is too large"):
        export_web(tiny_model, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The folder of the page from a plain file server."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "page"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_the_page_draws_and_forgets_in_a_browser(
    make_model, tiny_segmenter: Segmenter, tmp_path: Path, served: str, browser: Any
) -> None:
    try:
        runtime.runtime_files()
    except UserError as error:
        pytest.skip(str(error))
    folder = make_model(dcgan(16, width=4, latent_dim=8, top_layer=True)).save(tmp_path / "model", exact=True)
    tiny_segmenter.save(folder / "segmenter")
    model = load(folder)
    written = export_web(model, tmp_path / "page")
    assert set(written.objects) <= {"window", "bed"}
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.set_default_timeout(60_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda r: problems.append(r.url) if not r.url.startswith((served, "data:", "blob:")) else None)
    page.goto(served)
    page.get_by_text("loading the generator").wait_for(state="hidden")
    page.locator("#picture").wait_for()

    def pixels(selector: str) -> np.ndarray:
        for _ in range(100):
            found = page.evaluate(
                """s => { const c = document.querySelector(s);
                return [c.width, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; }""",
                selector,
            )
            if found[0] == 16:
                return np.array(found[1:]).reshape(16, 16, 4)[..., :3]
            page.wait_for_timeout(100)
        raise AssertionError(f"{selector} is not drawn; {page.locator('#state').text_content()}")

    z = model.latents(64, 0)
    expected = to_pixels(model.generate(z)).astype(int)
    assert np.abs(pixels("#wall button:nth-child(3) canvas") - expected[2]).max() <= 3
    page.locator("#wall button").nth(4).click(modifiers=["Shift"])
    page.locator("#way").fill("0.5")
    page.wait_for_timeout(500)
    middle = to_pixels(model.generate(((z[0] + z[4]) / 2)[None])).astype(int)[0]
    assert np.abs(pixels("#picture") - middle).max() <= 3
    total = to_pixels(model.generate((z[0] - z[1] + z[2])[None])).astype(int)[0]
    assert np.abs(pixels("#sum") - total).max() <= 3
    if written.objects:
        about = json.loads((tmp_path / "page" / "model.json").read_text())
        name = page.locator("#object").input_value()
        page.locator("#maps").fill("3")
        page.wait_for_timeout(800)
        layer = choose_layer(model, None)
        without = draw_with(model, [Ablation(layer, tuple(about["objects"][name]["maps"][:3]))], z[:8])[0]
        assert np.abs(pixels("#after canvas") - to_pixels(without).astype(int)[0]).max() <= 3
        assert torch.isfinite(without).all()
    assert problems == []
    shutil.rmtree(tmp_path / "page")
