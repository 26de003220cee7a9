from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.annotations.masks import load_coco
from dcgan_viz.errors import UserError
from dcgan_viz.rooms import rendering
from dcgan_viz.rooms.drawing import OBJECTS, draw_rooms, save_rooms
from dcgan_viz.rooms.rendering import cast_shadows, look, paint_room
from dcgan_viz.rooms.scene import Scene, compose

BACK, LEFT, RIGHT, FLOOR, CEILING = range(5)


def seen(scene: Scene, right: float, up: float) -> str:
    """What one ray meets, by scalar geometry."""
    reach = math.tan(scene.field_of_view / 2)
    right, up = right * reach, up * reach
    forward = math.cos(scene.pitch) - up * math.sin(scene.pitch)
    dy = math.sin(scene.pitch) + up * math.cos(scene.pitch)
    dx = right * math.cos(scene.yaw) + forward * math.sin(scene.yaw)
    dz = forward * math.cos(scene.yaw) - right * math.sin(scene.yaw)
    direction, origin = (dx, dy, dz), scene.camera
    width, height, depth = scene.size
    walls = []
    for axis, at, plane in (
        (0, -width / 2, LEFT),
        (0, width / 2, RIGHT),
        (1, 0.0, FLOOR),
        (1, height, CEILING),
        (2, depth, BACK),
    ):
        if direction[axis] != 0 and (at - origin[axis]) / direction[axis] > 0:
            walls.append(((at - origin[axis]) / direction[axis], plane))
    distance, plane = min(walls)
    place = [o + distance * d for o, d in zip(origin, direction, strict=True)]
    found = ""
    for rectangle in scene.rectangles:
        u = place[2] if plane in (LEFT, RIGHT) else place[0]
        v = place[2] if plane in (FLOOR, CEILING) else place[1]
        inside = rectangle.u[0] <= u < rectangle.u[1] and rectangle.v[0] <= v < rectangle.v[1]
        if rectangle.plane == plane and inside:
            found = rectangle.label
    for cuboid in scene.cuboids:
        for axis in range(3):
            for at in (cuboid.low[axis], cuboid.high[axis]):
                t = (at - origin[axis]) / direction[axis]
                hit = [o + t * d for o, d in zip(origin, direction, strict=True)]
                others = [a for a in range(3) if a != axis]
                if 0.05 < t < distance and all(cuboid.low[a] <= hit[a] <= cuboid.high[a] for a in others):
                    distance, found = t, cuboid.label
    return found


def test_masks_agree_with_rays_traced_one_by_one() -> None:
    rooms = draw_rooms(6, size=32, seed=3)
    different = total = 0
    for number in range(6):
        scene = compose(3, number)
        for row in range(0, 32, 2):
            for column in range(1, 32, 2):
                labels = [
                    seen(scene, ((column + i) + 0.25) / 16 - 1 + 0, 1 - ((row + j) + 0.25) / 16)
                    for j in (0, 0.5)
                    for i in (0, 0.5)
                ]
                total += 1
                if len(set(labels)) == 1:
                    expected = OBJECTS.index(labels[0]) + 1 if labels[0] else 0
                    different += rooms.masks[number, row, column] != expected
    # Rays that graze an edge round differently in float32.
    assert different <= total // 200


def test_nothing_is_seen_outside_the_part_of_the_picture_that_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = draw_rooms(60, size=32, seed=4)
    whole = (slice(None), slice(None))
    monkeypatch.setattr(
        rendering, "parts_seen", lambda scene, size: ([whole] * len(scene.rectangles), [whole] * len(scene.cuboids))
    )
    slow = draw_rooms(60, size=32, seed=4)
    assert np.array_equal(quick.instances, slow.instances)
    assert np.array_equal(quick.masks, slow.masks)
    assert np.abs(quick.pixels.astype(int) - slow.pixels).max() <= 1


def test_the_darkest_shadow_counts() -> None:
    for number in range(12):
        scene = compose(9, number)
        view = look(scene, 48)
        canvas, _ = paint_room(scene, view)
        before = canvas.color.copy()
        cast_shadows(scene, view, canvas)
        x, y, z = (np.broadcast_to(p, (48, 48)).astype(float) for p in view.place)
        dark = np.ones((48, 48))
        for cuboid in scene.cuboids:
            if cuboid.low[1] <= 0.01 or cuboid.label == "bed":
                # The nearest point of it, from the floor up to its top.
                gaps = [
                    np.clip(p, low, high) - p
                    for p, low, high in zip((x, z), cuboid.low[::2], cuboid.high[::2], strict=True)
                ]
                gaps.append(np.minimum(y, cuboid.high[1]) - y)
                dark = np.minimum(dark, 1 - 0.45 * np.exp(-7 * np.sqrt(sum(g**2 for g in gaps))))
        assert dark.min() < 0.9 or not scene.cuboids
        assert np.allclose(canvas.color, before * dark, rtol=1e-5, atol=0)


def test_rooms_stay_the_same_from_version_to_version() -> None:
    # A model's training images are drawn again from their seed.
    rooms = draw_rooms(48, size=64, seed=0)
    assert rooms.pixels.mean((0, 1, 2)) == pytest.approx([142.6768, 139.0494, 133.0557], abs=0.01)
    shares = np.bincount(rooms.masks.ravel(), minlength=8) / rooms.masks.size
    assert shares == pytest.approx(
        [0.611491, 0.055888, 0.242213, 0.013672, 0.023397, 0.011698, 0.006978, 0.034663], abs=1e-4
    )
    assert rooms.pixels[[0, 17, 47], ::16, 31, 1] == pytest.approx(
        np.array([[202, 116, 111, 144], [200, 111, 43, 205], [183, 83, 89, 91]]), abs=1
    )


@pytest.mark.slow
def test_processes_share_the_work_without_a_guarded_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np\n"
        "from dcgan_viz.rooms import drawing as rooms\n"
        "alone = rooms.draw_rooms(130, size=32, seed=2)\n"
        "rooms.cpu_count, rooms.WORTH_PROCESSES = lambda: 2, 0\n"
        "shared = rooms.draw_rooms(130, size=32, seed=2)\n"
        "print(all(np.array_equal(getattr(alone, n), getattr(shared, n)) for n in ('pixels', 'masks', 'instances')))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=100)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_room_follows_its_seed_and_number_alone() -> None:
    rooms = draw_rooms(40, size=32, seed=1)
    again = draw_rooms(5, size=32, seed=1, first=20)
    for name in ("pixels", "masks", "instances"):
        assert np.array_equal(getattr(rooms, name)[20:25], getattr(again, name))
    assert not np.array_equal(rooms.pixels, draw_rooms(40, size=32, seed=2).pixels)
    flat = rooms.pixels.reshape(40, -1).astype(int)
    nearest = min(np.abs(a - b).mean() for i, a in enumerate(flat) for b in flat[:i])
    assert nearest > 5, "two rooms are alike"


@pytest.mark.parametrize("size", [32, 64, 100, 256])
def test_any_size_shows_the_same_scene(size: int) -> None:
    rooms = draw_rooms(2, size=size, seed=5)
    assert rooms.pixels.shape == (2, size, size, 3)
    assert rooms.masks.shape == rooms.instances.shape == (2, size, size)
    small = draw_rooms(2, size=32, seed=5)
    for label in range(1, len(OBJECTS) + 1):
        assert (rooms.masks == label).mean() == pytest.approx((small.masks == label).mean(), abs=0.02)


def test_every_object_appears_and_each_instance_is_of_one_kind() -> None:
    rooms = draw_rooms(150, size=64, seed=0)
    shares = [(rooms.masks == label).any((1, 2)).mean() for label in range(1, len(OBJECTS) + 1)]
    assert min(shares) > 0.15
    assert shares[0] > 0.7
    assert shares[1] > 0.85
    assert np.array_equal(rooms.masks > 0, rooms.instances > 0)
    for mask, instances in zip(rooms.masks, rooms.instances, strict=True):
        for instance in np.unique(instances):
            assert len(np.unique(mask[instances == instance])) == 1
    assert 60 < rooms.pixels.mean() < 190
    # Occlusion: somewhere a bed hides part of a window.
    windows = [np.flatnonzero((m == 1).any(1)) for m in rooms.masks]
    assert any(len(w) and (m[w[-1]] == 2).any() for w, m in zip(windows, rooms.masks, strict=True))


def test_a_folder_holds_pictures_masks_and_tight_boxes(tmp_path: Path) -> None:
    folder = save_rooms(30, tmp_path / "rooms", 48, seed=2)
    rooms = draw_rooms(30, 48, seed=2)
    data = json.loads((folder / "annotations.json").read_text())
    assert [c["name"] for c in data["categories"]] == list(OBJECTS)
    assert len({a["id"] for a in data["annotations"]}) == len(data["annotations"]) > 30
    for number in range(30):
        name = f"room-{number:06}.png"
        assert np.array_equal(np.asarray(Image.open(folder / "images" / name)), rooms.pixels[number])
        assert np.array_equal(np.asarray(Image.open(folder / "masks" / name)), rooms.masks[number])
    for box in data["annotations"]:
        left, top, width, height = box["bbox"]
        part = rooms.masks[box["image_id"], top : top + height, left : left + width] == box["category_id"]
        assert part.sum() >= box["area"]
        for edge in (part[0], part[-1], part[:, 0], part[:, -1]):
            assert edge.any()


def test_the_masks_are_read_as_any_coco_file(tmp_path: Path) -> None:
    folder = save_rooms(10, tmp_path / "rooms", 32)
    rooms = draw_rooms(10, 32)
    for label, name in ((1, "window"), (2, "bed")):
        images, masks = load_coco(folder / "annotations.json", folder / "images", name, 32)
        assert len(images) == 10
        # What is too small for a box is not annotated.
        assert not (masks & (rooms.masks != label)).any()
        assert (masks == (rooms.masks == label)).mean() > 0.999


def test_the_command_writes_them(run, refused) -> None:
    outcome = run("rooms", 5, "--size", 32, "--out", "rooms", "--json")
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["rooms"] == 5
    assert len(list(Path("rooms/images").iterdir())) == 5
    assert "32 to 256 pixels wide, not 16" in refused("rooms", 5, "--size", 16, "--out", "more")
    Path("mine").mkdir()
    Path("mine/annotations.json").touch()
    assert "annotations.json was not written by this command" in refused("rooms", 5, "--out", "mine")
    assert "cannot write /proc/rooms" in refused("rooms", 5, "--out", "/proc/rooms")
    with pytest.raises(UserError, match="at least 1"):
        draw_rooms(0)
