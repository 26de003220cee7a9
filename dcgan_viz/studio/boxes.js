// Boxes on an enlarged picture, drawn, chosen, moved and resized with a pointer or with keys.
//
// A drag draws a box, unless it begins in the chosen one, which it moves, or on one of its handles, which resize it.
// A click chooses the smallest box under it.

const HALF_PIXEL = 2;
const LEAST = 1;                      // pixels of the picture
const HANDLE = 7, REACH = 12;         // pixels of the screen
const CURSORS = { "-1-1": "nwse-resize", "11": "nwse-resize", "-11": "nesw-resize", "1-1": "nesw-resize",
  "-10": "ew-resize", "10": "ew-resize", "0-1": "ns-resize", "01": "ns-resize" };
const SIDES = [[-1, -1], [1, -1], [-1, 1], [1, 1], [0, -1], [0, 1], [-1, 0], [1, 0]];

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
const round = value => Math.round(value * HALF_PIXEL) / HALF_PIXEL;

// Shows pictures on a canvas. `changed(boxes)` is called after every change and `chose()` when another box or none is
// chosen; without them the picture is only shown. Boxes are [left, top, width, height] in pixels of the picture.
export function pictureBoard(canvas, { most = 640, changed = null, chose = () => {} } = {}) {
  const context = canvas.getContext("2d");
  const picture = new Image();
  let width = 1, height = 1, scale = 1, boxes = [], chosen = -1, drag = null;

  function choose(index) {
    if (index === chosen) return;
    chosen = index;
    draw();
    chose();
  }

  function change(next, index) {
    boxes = next;
    chosen = index;
    draw();
    changed(structuredClone(boxes));
    chose();
  }

  function place(event) {
    const frame = canvas.getBoundingClientRect();
    return [clamp((event.clientX - frame.left) / frame.width * width, 0, width),
            clamp((event.clientY - frame.top) / frame.height * height, 0, height)];
  }

  // Pixels of the picture in so many of the screen.
  const onScreen = pixels => pixels * width / canvas.getBoundingClientRect().width;

  function between([x0, y0], [x1, y1]) {
    const left = round(Math.min(x0, x1)), top = round(Math.min(y0, y1));
    return [left, top, round(Math.max(x0, x1)) - left, round(Math.max(y0, y1)) - top];
  }

  function moved([left, top, across, down], dx, dy) {
    return [clamp(round(left + dx), 0, width - across), clamp(round(top + dy), 0, height - down), across, down];
  }

  function resized([left, top, across, down], [sx, sy], dx, dy) {
    let x0 = left, x1 = left + across, y0 = top, y1 = top + down;
    if (sx < 0) x0 = clamp(round(x0 + dx), 0, x1 - LEAST);
    if (sx > 0) x1 = clamp(round(x1 + dx), x0 + LEAST, width);
    if (sy < 0) y0 = clamp(round(y0 + dy), 0, y1 - LEAST);
    if (sy > 0) y1 = clamp(round(y1 + dy), y0 + LEAST, height);
    return [x0, y0, x1 - x0, y1 - y0];
  }

  const inside = ([l, t, w, h], [x, y]) => l <= x && x <= l + w && t <= y && y <= t + h;
  const handles = ([l, t, w, h]) => SIDES.map(([sx, sy]) => [l + w * (1 + sx) / 2, t + h * (1 + sy) / 2]);

  // What a drag from here would do.
  function grasp(at) {
    if (chosen < 0) return null;
    const reach = onScreen(REACH), box = boxes[chosen];
    // Of two handles in reach the nearer, so that a small box can be taken at every one.
    const far = handles(box).map(([x, y]) => Math.hypot(x - at[0], y - at[1]));
    const nearest = far.indexOf(Math.min(...far));
    // The middle of a box that is smaller than its handles moves it.
    const middle = Math.hypot(box[0] + box[2] / 2 - at[0], box[1] + box[3] / 2 - at[1]);
    if (far[nearest] <= reach && far[nearest] <= middle) return SIDES[nearest];
    return inside(box, at) ? [0, 0] : null;
  }

  function dragged() {
    const { from, to, box, side } = drag;
    if (!box) return between(from, to);
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    return side[0] || side[1] ? resized(box, side, dx, dy) : moved(box, dx, dy);
  }

  function outline([left, top, across, down], colour) {
    const line = canvas.width / canvas.getBoundingClientRect().width || 1;
    context.lineWidth = 5 * line;
    context.strokeStyle = "#000";
    context.strokeRect(left * scale, top * scale, across * scale, down * scale);
    context.lineWidth = 3 * line;
    context.strokeStyle = colour;
    context.strokeRect(left * scale, top * scale, across * scale, down * scale);
    return line;
  }

  function draw() {
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const shown = boxes.map((box, index) => drag?.box && index === chosen ? dragged() : box);
    if (drag && !drag.box) outline(dragged(), "#39ff14");
    shown.forEach((box, index) => { if (index !== chosen) outline(box, "#39ff14"); });
    if (chosen < 0) return;
    const line = outline(shown[chosen], "#ffd60a"), side = HANDLE * line;
    for (const [x, y] of handles(shown[chosen])) {
      context.fillStyle = "#000";
      context.fillRect(x * scale - side / 2 - line, y * scale - side / 2 - line, side + 2 * line, side + 2 * line);
      context.fillStyle = "#ffd60a";
      context.fillRect(x * scale - side / 2, y * scale - side / 2, side, side);
    }
  }

  function under(at) {
    const hits = boxes.map((box, index) => ({ index, area: box[2] * box[3] })).filter(({ index }) => inside(boxes[index], at));
    return hits.sort((a, b) => a.area - b.area)[0]?.index ?? -1;
  }

  function finish() {
    if (!drag) return;
    const { from, to, box } = drag, next = dragged();
    const still = Math.hypot(to[0] - from[0], to[1] - from[1]) < onScreen(4);
    drag = null;
    if (still) choose(under(to));
    else if (box) change(boxes.with(chosen, next), chosen);
    else if (next[2] >= LEAST && next[3] >= LEAST) change([...boxes, next], boxes.length);
    draw();
  }

  if (changed) {
    canvas.addEventListener("pointerdown", event => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      const from = place(event), side = event.shiftKey ? null : grasp(from);
      drag = { from, to: from, side, box: side ? boxes[chosen] : null };
    });
    canvas.addEventListener("pointermove", event => {
      if (drag) { drag.to = place(event); draw(); return; }
      const side = event.shiftKey ? null : grasp(place(event));
      canvas.style.cursor = !side ? "crosshair" : CURSORS[side.join("")] ?? "move";
    });
    canvas.addEventListener("pointerup", finish);
    canvas.addEventListener("pointercancel", () => { drag = null; draw(); });
  }

  return {
    get chosen() { return chosen; },
    // Resolves when the picture is on the canvas; `arrived()` is called at that moment and returns its boxes. Until then
    // what is drawn is drawn on the picture before.
    show(address, size, arrived) {
      return new Promise((resolve, reject) => {
        picture.onload = () => {
          [width, height] = size;
          scale = most / Math.max(width, height);
          [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
          canvas.style.width = `min(100%, ${canvas.width}px, max(20rem, (100vh - 17rem) * ${width / height}))`;
          canvas.style.aspectRatio = `${width} / ${height}`;
          this.set(arrived());
          resolve();
        };
        picture.onerror = () => reject(new Error(`${address} cannot be read`));
        picture.src = address;
      });
    },
    set(shown) {
      drag = null;
      boxes = structuredClone(shown);
      chosen = -1;
      draw();
      chose();
    },
    // A box in the middle, for those who draw without a pointer.
    add() {
      const across = round(width / 4), down = round(height / 4);
      change([...boxes, [round((width - across) / 2), round((height - down) / 2), across, down]], boxes.length);
    },
    chooseNext() { choose(boxes.length ? (chosen + 1) % boxes.length : -1); },
    chooseNone() { choose(-1); },
    remove() { if (chosen >= 0) change(boxes.toSpliced(chosen, 1), -1); },
    move(dx, dy) { if (chosen >= 0) change(boxes.with(chosen, moved(boxes[chosen], dx, dy)), chosen); },
    resize(dx, dy) { if (chosen >= 0) change(boxes.with(chosen, resized(boxes[chosen], [1, 1], dx, dy)), chosen); },
  };
}

// Keys that draw and change boxes; says whether the event was one of them.
export function boxKey(event, board, step) {
  if (event.altKey) return false;
  const arrow = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
  if (arrow && event.shiftKey && board.chosen >= 0) {
    if (event.ctrlKey || event.metaKey) board.resize(...arrow); else board.move(...arrow);
    return true;
  }
  if (event.ctrlKey || event.metaKey) return false;
  const act = { b: () => board.add(), s: () => board.chooseNext(), Escape: () => board.chooseNone(),
    Delete: () => board.remove(), Backspace: () => board.remove() }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return false;
  act();
  return true;
}
