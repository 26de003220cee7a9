#!/usr/bin/env bash
# Draws every figure of the README and prints the numbers that stand beside them. Two to three minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

dcgan-viz sample --count 48 --out docs/samples.png
dcgan-viz forget --object window --out "$out/forget"
dcgan-viz guided-backprop --layer 5 --sanity --method all --out "$out/guided"
dcgan-viz guided-backprop --layer 3 --object window --out "$out/object"
dcgan-viz walk --closed --film docs/walk.webp --out "$out/walk"
cp "$out"/forget/forget.png "$out"/walk/walk.png "$out"/guided/guided-backprop.png docs/
cp "$out"/guided/sanity/sanity.png "$out"/guided/methods/methods.png "$out"/object/detection/detection.png docs/
python - <<'PYTHON'
import numpy as np

from dcgan_viz.data.rooms import draw_rooms
from dcgan_viz.pictures import save_picture, tile

palette = np.array(
    [[30, 30, 30], [90, 200, 255], [220, 60, 60], [255, 220, 0], [180, 80, 220], [140, 90, 40], [60, 180, 90]], np.uint8
)
rooms = draw_rooms(8, size=128, seed=0, first=100)
save_picture(tile(np.concatenate([rooms.pixels, palette[rooms.masks]]), columns=8), "docs/rooms.png")
PYTHON
