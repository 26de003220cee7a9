// Forget: an object's maps zeroed everywhere, or removed and inserted where somebody paints.

import { ask, askPictures, guarded, latest, made } from "./server.js";
import { history, undoKey } from "./history.js";
import { canvas, make, paint, slider } from "./tiles.js";

// Okabe and Ito's colours, told apart by the colour-blind too.
const COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"];
const percent = value => (value === null || value === undefined ? "–" : `${Math.round(100 * value).toString().replace("-", "−")} %`);
const PATIENCE = 200;
const TOOLS = { everywhere: "zero everywhere", remove: "remove where I paint", insert: "insert where I paint" };

export function show(view, about, address) {
  if (!about.objects.length) {
    view.replaceChildren(make("p", {}, `${about.model} has no boxes around objects and no segmenter, so nobody knows which maps draw what. `,
      "Draw boxes under Annotate, then: ", make("code", {}, `dcgan-viz forget --model ${about.model} --object ${about.annotated} --annotations ${about.annotated}-boxes.json`)));
    return null;
  }
  const values = address.values, { shown } = about;
  const state = {
    object: about.objects.includes(values.get("object")) ? values.get("object") : about.objects.includes("window") ? "window" : about.objects[0],
    layer: (about.generator.find(l => l.number === Number(values.get("layer"))) ?? about.layer).number,
    ranking: about.rankings.includes(values.get("ranking")) ? values.get("ranking") : about.rankings[0],
    page: Number(values.get("page") ?? 0), tool: "everywhere", brush: { remove: 0, insert: 0 }, masks: true, before: false,
  };
  let layer = about.generator.find(l => l.number === state.layer);
  let ranked = null, pictures = null, seen = null, present = true, cursor = { sample: 0, row: 0, column: 0 }, painting = null;
  // What can be undone: how many maps are zeroed everywhere, and the strokes.
  const wish = Math.floor(Number(values.get("maps") ?? 0));
  let past = history({ zeroed: wish > 0 ? Math.min(wish, layer.channels) : 0, strokes: [] });

  const choose = (label, name, options) => make("label", {}, label, make("select", {
    onchange(event) { state[name] = event.target.value; past = history({ zeroed: 0, strokes: [] }); rank(); },
  }, ...options.map(option => make("option", { selected: option === state[name] }, option))));
  const layers = make("label", {}, "in", make("select", { "aria-label": "layer", onchange(event) {
    layer = about.generator[event.target.selectedIndex];
    state.layer = layer.number;
    count.input.max = layer.channels;
    cursor = { sample: 0, row: 0, column: 0 };
    past = history({ zeroed: 0, strokes: [] });
    rank();
  } }, ...about.generator.map(l => make("option", { selected: l.number === state.layer }, `layer ${l.number}${l.number === about.layer.number ? ", the paper's" : ""}`))));
  const tools = Object.entries(TOOLS).map(([tool, text]) => make("button", {
    type: "button", "aria-pressed": String(tool === state.tool),
    onclick() {
      state.tool = tool;
      for (const button of tools) button.setAttribute("aria-pressed", String(button.textContent === text));
      view.classList.toggle("painting", tool !== "everywhere");
      showCount();
    },
  }, text));
  const count = slider("maps", { min: 0, max: layer.channels, step: 1, value: 0 }, value => {
    if (state.tool === "everywhere") update({ ...past.now, zeroed: value }); else state.brush[state.tool] = value;
  });
  // Only where the slider comes to rest is a state that can be undone.
  count.input.addEventListener("change", () => { if (state.tool === "everywhere") commit({ ...past.now, zeroed: Number(count.input.value) }); });
  const undo = make("button", { type: "button", onclick: () => { past.undo(); settled(); } }, "undo");
  const redo = make("button", { type: "button", onclick: () => { past.redo(); settled(); } }, "redo");
  const waiting = make("p", { className: "hint", role: "status" });
  const command = make("code", { className: "command" });
  const table = make("table");
  const measured = make("div", { className: "scroll" });
  const saved = make("p", { className: "hint", role: "status" });
  const cells = Array.from({ length: shown }, (_, k) => {
    const picture = canvas(`sample ${k + 1}`), over = make("canvas", { className: "over", tabIndex: 0, role: "img", "aria-label": `sample ${k + 1}: arrows move, space paints` });
    over.addEventListener("pointerdown", event => { if (state.tool !== "everywhere") { over.setPointerCapture(event.pointerId); begin(k); dab(k, event); } });
    over.addEventListener("pointermove", event => { if (painting?.sample === k) dab(k, event); });
    over.addEventListener("pointerup", finish);
    over.addEventListener("pointercancel", finish);
    over.addEventListener("focus", () => { cursor = { ...cursor, sample: k }; overlay(); });
    over.addEventListener("keydown", event => keyPaint(k, event));
    return { picture, over, figure: make("figure", {}, picture, over) };
  });

  const maps = number => ranked.maps.slice(0, number);
  const body = ({ zeroed, strokes }) => ({
    maps: maps(zeroed), layer: state.layer, page: state.page, count: shown,
    strokes: [...strokes, ...(painting ? [painting] : [])].map(s => ({ ...s, maps: maps(s.maps), object: state.object, places: [...s.places] })),
  });
  // The pictures at once; what the judge sees in them takes longer, and follows a few times a second.
  const draw = latest(async what => {
    const found = await askPictures("forget/draw", { ...body(what), seen: false });
    if (!present) return false;
    pictures = found;
    show();
    follow();
    return true;
  });
  const judge = latest(async what => {
    const found = await askPictures("forget/draw", { ...body(what), seen: true });
    if (!present) return false;
    seen = found;
    overlay();
    tabulate();
    return false;
  });
  let wanted = past.now, timer = 0;
  function update(what) {
    wanted = what;
    if (ranked) draw(what);
  }
  function follow() {
    if (about.seen.length) timer ||= setTimeout(() => { timer = 0; if (present) judge(wanted); }, PATIENCE);
  }
  function show() {
    cells.forEach(({ picture }, k) => paint(picture, pictures, state.before ? k : shown + k));
  }
  function tabulate() {
    const row = o => make("tr", {},
      make("td", { className: o.object === state.object ? "subject" : "" }, key(o.object), o.object),
      make("td", {}, percent(o.removed)), make("td", {}, `${o.before} → ${o.after}`));
    const head = (...words) => make("tr", {}, ...words.map(word => make("th", {}, word)));
    const [own, others] = [true, false].map(is => seen.objects.filter(o => (o.object === state.object) === is).map(row));
    table.replaceChildren(make("tbody", {}, ...(own.length ? [head("removed", "pixels gone", `seen in, of ${shown}`), ...own] : []), head("collateral", own.length ? "" : "pixels gone", ""), ...others));
    table.hidden = !seen.objects.length;
  }
  const colour = name => COLOURS[about.seen.indexOf(name) % COLOURS.length];
  function key(name) {
    const square = make("span", { className: "key" });
    square.style.background = colour(name);
    return square;
  }
  // The judge's masks as outlines, what is being painted, and the cursor of the keyboard.
  function overlay() {
    if (!pictures) return;
    const { width, height } = pictures, bytes = seen?.bytes, scale = 4;
    cells.forEach(({ over }, k) => {
      if (over.width !== width * scale || over.height !== height * scale) Object.assign(over, { width: width * scale, height: height * scale });
      const context = over.getContext("2d");
      context.clearRect(0, 0, over.width, over.height);
      if (state.masks && seen) {
        const first = 4 * width * height * ((state.before ? 2 : 3) * shown + k);
        const label = (row, column) => (row < 0 || column < 0 || row >= height || column >= width ? 0 : bytes[first + 4 * (row * width + column)]);
        for (let row = 0; row < height; row++) for (let column = 0; column < width; column++) {
          const own = label(row, column);
          if (!own) continue;
          context.fillStyle = COLOURS[(own - 1) % COLOURS.length];
          const x = column * scale, y = row * scale;
          if (label(row - 1, column) !== own) context.fillRect(x, y, scale, 1.5);
          if (label(row + 1, column) !== own) context.fillRect(x, y + scale - 1.5, scale, 1.5);
          if (label(row, column - 1) !== own) context.fillRect(x, y, 1.5, scale);
          if (label(row, column + 1) !== own) context.fillRect(x + scale - 1.5, y, 1.5, scale);
        }
      }
      const cell = (width * scale) / layer.size;
      if (painting?.sample === k) {
        context.fillStyle = "rgba(255, 255, 255, .35)";
        for (const place of painting.places) context.fillRect((place % layer.size) * cell, Math.floor(place / layer.size) * cell, cell, cell);
      }
      if (state.tool !== "everywhere" && document.activeElement === over) {
        context.strokeStyle = "#fff";
        context.lineWidth = 2;
        context.strokeRect(cursor.column * cell + 1, cursor.row * cell + 1, cell - 2, cell - 2);
      }
    });
  }

  function begin(sample) { painting = { sample, kind: state.tool, maps: state.brush[state.tool], places: new Set() }; }
  function dab(sample, event) {
    const box = cells[sample].over.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * layer.size);
    const row = Math.floor(((event.clientY - box.top) / box.height) * layer.size);
    touch(row, column);
  }
  function touch(row, column) {
    for (const [r, c] of [[row, column], [row + 1, column], [row, column + 1], [row + 1, column + 1]]) {
      if (r >= 0 && c >= 0 && r < layer.size && c < layer.size) painting.places.add(r * layer.size + c);
    }
    update(past.now);
    overlay();
  }
  function finish() {
    if (!painting) return;
    const stroke = { ...painting, places: [...painting.places] };
    painting = null;
    if (stroke.places.length) commit({ ...past.now, strokes: [...past.now.strokes, stroke] });
  }
  function keyPaint(sample, event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (state.tool === "everywhere" || !(step || event.key === " ")) return;
    event.preventDefault();
    if (step) {
      cursor.row = Math.min(layer.size - 1, Math.max(0, cursor.row + step[0]));
      cursor.column = Math.min(layer.size - 1, Math.max(0, cursor.column + step[1]));
      overlay();
    } else { begin(sample); touch(cursor.row, cursor.column); finish(); }
  }

  function commit(next) { past.change(next); settled(); }
  function showCount() { count.set(state.tool === "everywhere" ? past.now.zeroed : state.brush[state.tool]); }
  function settled() {
    const { zeroed, strokes } = past.now;
    undo.disabled = !past.canUndo;
    redo.disabled = !past.canRedo;
    showCount();
    measured.replaceChildren();
    command.textContent = `dcgan-viz forget --model ${about.model} --object ${state.object} --rank-by ${state.ranking}${
      state.layer === about.layer.number ? "" : ` --layer ${state.layer}`}${zeroed ? ` --top ${zeroed}` : ""}`;
    save.disabled = measure.disabled = !(ranked && zeroed);
    save.title = strokes.length ? "what is painted belongs to one sample and is not saved" : "";
    address.say({ object: state.object, ranking: state.ranking, layer: state.layer === about.layer.number ? null : state.layer, maps: zeroed || null, page: state.page || null });
    update(past.now);
  }
  async function rank() {
    ranked = null;
    settled();
    waiting.textContent = `ranking the maps by ${state.ranking}: the first time this takes some seconds, causal and learned minutes…`;
    const question = () => ({ object: state.object, ranking: state.ranking, layer: state.layer });
    const asked = JSON.stringify(question()), current = () => present && asked === JSON.stringify(question());
    const found = await guarded(() => made("forget/rank", question(), () => {}, current));
    if (!current()) return;
    waiting.textContent = "";
    if (!found) return;
    ranked = found;
    // Few maps draw an object where there is none; to be rid of it takes many.
    state.brush = { remove: ranked.positive, insert: Math.ceil(layer.channels / 4) };
    waiting.textContent = `The paper zeroes all maps with a positive weight in the regression: ${ranked.positive} of ${layer.channels}.${
      about.seen.length ? "" : ` ${about.model} has no segmenter that would count what goes; the command below compares what changes inside and outside of boxes.`}`;
    settled();
  }
  const interval = ([value, low, high]) => [percent(value), " ", make("span", { className: "interval" }, `[${percent(low)}, ${percent(high)}]`)];
  const measure = make("button", { type: "button", async onclick() {
    const { zeroed } = past.now;
    measured.replaceChildren(make("p", { className: "hint" }, "measuring…"));
    const found = await guarded(() => made("forget/measure", { object: state.object, ranking: state.ranking, layer: state.layer, maps: maps(zeroed) },
      () => {}, () => present && past.now.zeroed === zeroed));
    if (!found?.effects) { measured.replaceChildren(); return; }
    const [own, random] = found.effects;
    measured.replaceChildren(make("table", {},
      make("caption", { className: "hint" }, `Pixels gone on ${found.samples} new samples, by the segmenter; 95 % intervals; negative: more than before`),
      make("thead", {}, make("tr", {}, make("th", {}, "object"), make("th", {}, own.choice), make("th", {}, random.choice))),
      make("tbody", {}, ...Object.keys(own.removed).map(name => make("tr", {},
        make("td", { className: name === state.object ? "subject" : "" }, name), make("td", {}, ...interval(own.removed[name])), make("td", {}, ...interval(random.removed[name])))),
      make("tr", {}, make("td", {}, "SSIM elsewhere"), make("td", {}, own.similarity[0]?.toFixed(2) ?? "–"), make("td", {}, random.similarity[0]?.toFixed(2) ?? "–")))));
  } }, "measure on new samples");
  const save = make("button", { type: "button", async onclick() {
    const found = await guarded(() => ask("forget/save", { object: state.object, ranking: state.ranking, layer: state.layer, maps: maps(past.now.zeroed) }));
    if (found) saved.textContent = `saved: dcgan-viz sample --model ${found.folder}`;
  } }, "save as a model");

  function keys(event) {
    const what = undoKey(event);
    if (!what) return;
    event.preventDefault();
    past[what]();
    settled();
  }
  addEventListener("keydown", keys);
  const toggle = (text, name) => make("label", {}, make("input", { type: "checkbox", checked: state[name], onchange: event => { state[name] = event.target.checked; if (pictures) { show(); overlay(); } } }), text);
  view.replaceChildren(make("div", { className: "two" },
    make("section", { className: "panel" },
      make("div", { className: "row" }, choose("forget", "object", about.objects), choose("by", "ranking", about.rankings), layers),
      make("div", { className: "row", role: "group", "aria-label": "where" }, ...tools), count,
      make("div", { className: "row" }, undo, redo, ...(about.seen.length ? [toggle("masks", "masks")] : []), toggle("before", "before"),
        make("button", { type: "button", onclick: () => { state.page += 1; seen = null; overlay(); past = history({ ...past.now, strokes: [] }); settled(); } }, "other samples")),
      waiting, table,
      make("div", { className: "row" }, ...(about.seen.length ? [measure] : []), save), saved, measured, command),
    make("div", { className: "shown" }, ...cells.map(cell => cell.figure))));
  rank();
  return () => { present = false; view.classList.remove("painting"); removeEventListener("keydown", keys); };
}
