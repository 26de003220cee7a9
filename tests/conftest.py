from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from dcgan_viz.card import Card
from dcgan_viz.cli.main import main
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.judges.segmenter_training import train_segmenter
from dcgan_viz.model import DCGAN, draw_latents
from dcgan_viz.networks import NetworkSpec, dcgan
from dcgan_viz.networks.modules import Discriminator, Generator
from dcgan_viz.networks.statistics import recalibrate


@cache
def _built(spec: NetworkSpec, name: str) -> DCGAN:
    torch.manual_seed(0)
    generator, discriminator = Generator(spec.generator), Discriminator(spec.discriminator)
    with torch.no_grad():
        for network in (generator, discriminator):
            for parameter in network.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(5)
    z = draw_latents(256, spec.generator.latent_dim, spec.generator.prior, np.random.default_rng(0))
    recalibrate(generator, z.split(64))
    with torch.no_grad():
        images = generator(z)
    recalibrate(discriminator, images.split(64))
    generator.requires_grad_(False)
    discriminator.requires_grad_(False)
    return DCGAN(generator, discriminator, Card(name, "an untrained model for tests", spec))


def build_model(spec: NetworkSpec, name: str = "tiny") -> DCGAN:
    """An untrained model in evaluation mode whose maps have useful spread; the same every time."""
    # Built once; what a test does to its copy is its own business.
    model = deepcopy(_built(spec, name))
    torch.manual_seed(0)
    return model


@pytest.fixture
def tiny_model() -> DCGAN:
    """16x16 colour, widths 4 and 8, two strided layers and a top layer."""
    return build_model(dcgan(16, width=4, latent_dim=8, top_layer=True))


@pytest.fixture(scope="session")
def make_model() -> Callable[..., DCGAN]:
    """Builds an untrained model of a specification."""
    return build_model


@pytest.fixture
def tiny_folder(tiny_model: DCGAN, tmp_path: Path) -> Path:
    """The tiny model saved as a folder."""
    return tiny_model.save(tmp_path / "tiny")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of 40 small pictures of several sizes and modes."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(40):
        height, width = random.integers(18, 40, 2)
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        mode = ("RGB", "L", "RGBA", "P")[index % 4]
        Image.fromarray(pixels).convert(mode).save(folder / f"{index:02}.png")
    return folder


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """What analyses measure on, unless told otherwise, is as little as they take, and figures are small."""
    from dcgan_viz.analysis.forgetting.dose_response import dose_response
    from dcgan_viz.analysis.forgetting.forgetting import forget
    from dcgan_viz.analysis.forgetting.insertion import insert
    from dcgan_viz.analysis.forgetting.rankings import learn_ablation
    from dcgan_viz.analysis.latent.arithmetic import arithmetic
    from dcgan_viz.analysis.latent.directions import directions
    from dcgan_viz.analysis.latent.turn import turn
    from dcgan_viz.data.duplicates.duplicates import find_duplicates

    for function, parameter, value in (
        (forget, "measured_samples", 70),
        (dose_response, "samples", 70),
        (insert, "samples", 70),
        (learn_ablation, "steps", 3),
        (arithmetic, "resamples", 10),
        (directions, "measured_samples", 2),
        (turn, "resamples", 39),
        (find_duplicates, "steps", 20),
    ):
        defaults = inspect.unwrap(function).__kwdefaults__  # type: ignore[arg-type]
        assert parameter in defaults
        monkeypatch.setitem(defaults, parameter, value)
    for name, value in {
        "figures.style.DPI": 60,
        "data.duplicates.duplicates.CONTROLS": 40,
        "analysis.memorization.memorization.PLANTED": 40,
        "analysis.memorization.memorization.WALKS": 2,
        "analysis.memorization.memorization.WALK_STEPS": 8,
        "analysis.memorization.data_copying.RESAMPLES": 100,
        "analysis.memorization.two_sample.PERMUTATIONS": 100,
    }.items():
        monkeypatch.setattr(f"dcgan_viz.{name}", value)


@pytest.fixture
def run(little: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Runs the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(a) for a in arguments])

    return invoke


@pytest.fixture
def refused(run: Callable[..., Result]) -> Callable[..., str]:
    """Runs the command line, expects one sentence and exit status 2, returns the sentence."""

    def invoke(*arguments: object) -> str:
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert "Traceback" not in result.output
        assert isinstance(result.exception, SystemExit)
        return result.stderr

    return invoke


@pytest.fixture
def realdata() -> Path:
    """The folder of real photographs; the test is skipped where there is none."""
    folder = os.environ.get("DCGAN_VIZ_REALDATA")
    if not folder:
        pytest.skip("DCGAN_VIZ_REALDATA is not set")
    return Path(folder)


@pytest.fixture
def scenes() -> tuple[torch.Tensor, np.ndarray]:
    """Forty noisy 16x16 images; every second one holds a bright square."""
    random = np.random.default_rng(0)
    images = random.normal(0, 0.1, (40, 3, 16, 16)).astype(np.float32)
    masks = np.zeros((40, 16, 16), bool)
    for index in range(0, 40, 2):
        row, column = random.integers(0, 11, 2)
        masks[index, row : row + 5, column : column + 5] = True
    images += 0.8 * masks[:, None]
    return torch.from_numpy(images.clip(-1, 1)), masks


@pytest.fixture(scope="session")
def tiny_segmenter() -> Segmenter:
    """Calls what is bright a window and what is dark a bed, in 16x16 colour pictures."""
    random = np.random.default_rng(0)
    pixels = np.empty((96, 16, 16, 3), np.uint8)
    for picture in pixels:
        grey = np.kron(random.integers(0, 256, (4, 4)), np.ones((4, 4)))
        picture[:] = grey[..., None]
    level = pixels.mean(-1)
    masks = np.where(level > 170, 1, np.where(level < 85, 2, 0)).astype(np.uint8)
    trained = train_segmenter(pixels, masks, ("window", "bed"), held_out=16, steps=80, batch_size=16)
    assert min(trained.card.held_out_iou.values()) > 0.6
    return trained


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Chromium, started once; tests that ask for it are skipped where there is none."""
    if shutil.which("chromium") is None:
        pytest.skip("needs Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        new_page = browser.new_page

        def patient_page(**options: Any) -> Any:
            """A page that waits for a busy machine."""
            page = new_page(**options)
            page.set_default_timeout(90_000)
            return page

        browser.new_page = patient_page  # type: ignore[method-assign]
        yield browser
        browser.close()


@pytest.fixture
def browser(chromium: Any) -> Iterator[Any]:
    """Chromium; the pages that a test has opened are closed after it."""
    yield chromium
    for context in chromium.contexts:
        context.close()
