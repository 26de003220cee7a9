#!/usr/bin/env bash
# Draws the figures of the README and of docs/results.md, and prints the numbers that stand beside them. About ten minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

dcgan-viz sample --count 48 --overwrite --out docs/samples.png
dcgan-viz forget --object window --out "$out/forget"
dcgan-viz blind docs/blind-window --report --out "$out/blind"
dcgan-viz forget --model rooms --object window --rank-by learned --layer 2 --top 104 --out "$out/rooms"
dcgan-viz guided-backprop --layer 5 --sanity --method all --out "$out/guided"
dcgan-viz guided-backprop --layer 3 --object window --out "$out/object"
dcgan-viz walk --rows 4 --closed --film docs/walk.webp --overwrite --out "$out/walk"
dcgan-viz memorization --model rooms-memorized --out "$out/memorized"
dcgan-viz arithmetic "smiling woman - neutral woman + neutral man" --model faces --expect man --expect smiling \
  --wanted "smiling man" --out "$out/arithmetic"
dcgan-viz blind docs/blind-smiling-man --report --out "$out/smiling"
dcgan-viz turn --model faces --out "$out/turn"
cp "$out"/forget/forget.png "$out"/blind/blind.png "$out"/walk/walk.png "$out"/guided/guided-backprop.png docs/
cp "$out"/rooms/forget.png docs/forget-rooms.png
cp "$out"/guided/sanity/sanity.png "$out"/guided/methods/methods.png "$out"/object/detection/detection.png docs/
cp "$out"/memorized/nearest.png docs/memorized-nearest.png
cp "$out"/memorized/memorization.png docs/memorized.png
cp "$out"/arithmetic/arithmetic.png "$out"/turn/turn.png docs/
python - <<'PYTHON'
import numpy as np

from dcgan_viz.rooms.drawing import draw_rooms
from dcgan_viz.media.pictures import save_picture, tile

palette = np.array(
    [[30, 30, 30], [90, 200, 255], [220, 60, 60], [255, 220, 0], [180, 80, 220], [140, 90, 40], [60, 180, 90], [200] * 3],
    np.uint8,
)
rooms = draw_rooms(8, size=128, seed=0, first=100)
save_picture(tile(np.concatenate([rooms.pixels, palette[rooms.masks]]), columns=8), "docs/rooms.png", overwrite=True)
PYTHON
