// Boxes on an enlarged picture: drag to draw one, click inside one to remove it.

const HALF_PIXEL = 2;

// Shows pictures of width × height pixels on a canvas. `changed` is called after every box that is drawn or removed;
// without it the picture is only shown. Boxes are [left, top, width, height] in pixels of the picture, and the list
// that `show` is given is changed in place.
export function pictureBoard(canvas, width, height, changed = null) {
  canvas.height = Math.round(canvas.width * height / width);
  canvas.style.aspectRatio = `${width} / ${height}`;
  const context = canvas.getContext("2d");
  const scale = canvas.width / width;
  const picture = new Image();
  let boxes = [], drag = null;

  const clamp = (value, most) => Math.min(Math.max(value, 0), most);
  const round = value => Math.round(value * HALF_PIXEL) / HALF_PIXEL;

  function place(event) {
    const frame = canvas.getBoundingClientRect();
    return [clamp((event.clientX - frame.left) / frame.width * width, width),
            clamp((event.clientY - frame.top) / frame.height * height, height)];
  }

  function between([x0, y0], [x1, y1]) {
    const left = round(Math.min(x0, x1)), top = round(Math.min(y0, y1));
    return [left, top, round(Math.max(x0, x1)) - left, round(Math.max(y0, y1)) - top];
  }

  function draw() {
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    context.lineWidth = 3;
    for (const [left, top, across, down] of drag ? [...boxes, between(drag.from, drag.to)] : boxes) {
      context.strokeStyle = "#000";
      context.strokeRect(left * scale - 1, top * scale - 1, across * scale + 2, down * scale + 2);
      context.strokeStyle = "#39ff14";
      context.strokeRect(left * scale, top * scale, across * scale, down * scale);
    }
  }

  function finishDrag() {
    if (!drag) return;
    const box = between(drag.from, drag.to), [x, y] = drag.to;
    drag = null;
    if (box[2] >= 1 && box[3] >= 1) {
      boxes.push(box);
    } else {
      const hit = boxes.findLastIndex(([l, t, w, h]) => l <= x && x <= l + w && t <= y && y <= t + h);
      if (hit < 0) { draw(); return; }
      boxes.splice(hit, 1);
    }
    draw();
    changed();
  }

  if (changed) {
    canvas.addEventListener("pointerdown", event => {
      canvas.setPointerCapture(event.pointerId);
      drag = { from: place(event), to: place(event) };
    });
    canvas.addEventListener("pointermove", event => {
      if (drag) { drag.to = place(event); draw(); }
    });
    canvas.addEventListener("pointerup", finishDrag);
  }

  return {
    // Resolves when the picture is on the canvas.
    show(address, shown) {
      drag = null;
      boxes = shown;
      return new Promise((resolve, reject) => {
        picture.onload = () => { draw(); resolve(); };
        picture.onerror = () => reject(new Error(`${address} cannot be read`));
        picture.src = address;
      });
    },
    removeLast() {
      if (boxes.pop()) { draw(); changed(); }
    },
  };
}
