from __future__ import annotations

import builtins
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

import dcgan_viz.media.film
from dcgan_viz.errors import UserError
from dcgan_viz.media.film import save_film


def frames(count: int, height: int = 16, width: int = 16, channels: int = 3) -> list[np.ndarray]:
    """Flat pictures, each of another grey."""
    return [np.full((height, width, channels), 20 + 200 * i // count, np.uint8) for i in range(count)]


@pytest.mark.parametrize("ending", ["webp", "gif", "GIF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_frame_arrives_enlarged_and_repeats_forever(ending: str, channels: int, tmp_path: Path) -> None:
    path = save_film(iter(frames(5, channels=channels)), tmp_path / f"film.{ending}", frames_per_second=10, scale=3)
    with Image.open(path) as film:
        assert film.n_frames == 5
        assert film.size == (48, 48)
        assert film.info["loop"] == 0
        assert film.info.get("duration", 100) == 100
        shown = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(film)]
    for picture, frame in zip(shown, frames(5), strict=True):
        assert np.abs(picture.astype(int) - frame[0, 0, 0]).max() <= 6


@pytest.mark.parametrize("size", [(16, 16), (15, 17)])
def test_an_mp4_holds_every_frame_at_an_even_size(size: tuple[int, int], tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = save_film(iter(frames(7, *size)), tmp_path / "film.mp4", frames_per_second=12, scale=1)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 12
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(shown) == 7
    assert shown[0].shape == (size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    for picture, frame in zip(shown, frames(7), strict=True):
        assert np.abs(picture.astype(int) - frame[0, 0, 0]).max() <= 6


@pytest.mark.parametrize("ending", ["webp", "gif", "mp4"])
def test_a_film_of_any_length_is_written_in_bounded_memory(ending: str, tmp_path: Path) -> None:
    if ending == "mp4":
        pytest.importorskip("av")
    alive, most = 0, 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def counted() -> Iterator[np.ndarray]:
        nonlocal alive, most
        for frame in frames(50):
            alive += 1
            most = max(most, alive)
            yield frame.copy().view(Counted)

    save_film(counted(), tmp_path / f"film.{ending}", scale=1)
    assert most < 10


@pytest.mark.parametrize("ending", ["webp", "gif"])
def test_what_is_encoded_is_not_held(ending: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 48, 3), dtype=np.uint8)
    held = []

    def measured() -> Iterator[np.ndarray]:
        for frame in noise:
            held.append(tracemalloc.get_traced_memory()[0])
            yield frame

    tracemalloc.start()
    path = save_film(measured(), tmp_path / f"film.{ending}", scale=1)
    tracemalloc.stop()
    assert path.stat().st_size > 50_000
    assert held[-1] - held[10] < 10_000


def test_a_webp_longer_than_its_format_allows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dcgan_viz.media.film, "LARGEST_WEBP", 5000)
    with pytest.raises(UserError, match=r"write an \.mp4"):
        save_film(frames(40), tmp_path / "film.webp")
    assert not list(tmp_path.iterdir())


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a film: expected a WebP, GIF or MP4 file"):
        save_film(frames(2), tmp_path / "film.avi")


@pytest.mark.parametrize("ending", ["webp", "gif", "mp4"])
def test_no_frames_leave_no_file(ending: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one frame"):
        save_film([], tmp_path / f"film.{ending}")
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_av(name: str, *rest: object) -> object:
        if name == "av":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_av)
    with pytest.raises(UserError, match=r"dcgan-viz\[film\]"):
        save_film(frames(2), tmp_path / "film.mp4")
