// Samples: a wall without an end. One is held and moved along directions, or two are the ends of a walk.

import { askFile, askPictures, askText, download, guarded, latest } from "./server.js";
import { canvas, make, paint, sampleName, slider, wall } from "./tiles.js";

const read = text => {
  const [seed, number] = (text ?? "").split(":").map(Number);
  return Number.isInteger(seed) && Number.isInteger(number) ? { seed, number } : null;
};

export function show(view, about, address) {
  const values = address.values;
  const state = {
    hold: read(values.get("hold")) ?? { seed: 0, number: 0 },
    from: read(values.get("from")), to: read(values.get("to")),
    t: Number(values.get("t") ?? 0.5),
    along: (values.get("along") ?? "").split(",").map(Number),
  };
  state.along = Array.from({ length: about.directions }, (_, k) => state.along[k] || 0);
  let playing = 0, ending = false;

  const picture = canvas("the sample that is held");
  const title = make("h2", { className: "hint" });
  const way = slider("along the walk", { min: 0, max: 1, step: 0.01, value: state.t, format: v => v.toFixed(2) }, t => { state.t = t; update(); });
  const play = make("button", { type: "button", onclick: () => (playing ? stop() : start()) }, "play");
  const walkRow = make("div", {}, way, make("div", { className: "row" }, play,
    make("button", { type: "button", onclick: () => { state.from = state.to = null; stop(); update(); mark(); } }, "end the walk")));
  // As shift-click does: a finger has no shift.
  const begin = make("button", { type: "button", onclick: () => { Object.assign(state, { from: state.hold, to: null }); ending = true; mark(); update(); } }, "walk to…");
  const sliders = state.along.map((amount, k) => slider(`direction ${k + 1}`,
    { min: -4, max: 4, step: 0.1, value: amount, format: v => v.toFixed(1) }, to => { state.along[k] = to; update(); }));
  const panel = make("section", { className: "panel", "aria-label": "the sample that is held" }, title, picture, walkRow, ...sliders,
    make("div", { className: "row" },
      begin, make("button", { type: "button", onclick: reset }, "reset"),
      make("button", { type: "button", onclick: film }, "film"),
      make("button", { type: "button", onclick: script }, "script")),
    make("p", { className: "hint" }, "Click a sample to hold it, shift-click two to walk between them (with keys: Tab to the wall, arrows, enter and ",
      "shift enter). The directions are the principal ones of the generator's first layer, in standard deviations of z."));

  const base = t => (state.from && state.to ? { from: state.from, to: state.to, t } : state.hold);
  function point(t = state.t) {
    const along = state.along.map((amount, k) => [k, amount]).filter(([, amount]) => amount);
    return along.length ? { start: base(t), along } : base(t);
  }
  const draw = latest(async what => paint(picture, await askPictures("draw", { points: [what] }), 0));

  function update() {
    const walking = Boolean(state.from && state.to);
    walkRow.hidden = !walking;
    begin.hidden = walking;
    title.textContent = walking ? `from ${sampleName(state.from)} to ${sampleName(state.to)}`
      : state.from ? `from ${sampleName(state.from)} to … ${ending ? "click" : "shift-click"} another sample`
        : `sample ${sampleName(state.hold)} (seed:number)`;
    address.say({
      hold: sampleName(state.hold),
      from: state.from && sampleName(state.from), to: state.to && sampleName(state.to), t: walking ? state.t : null,
      along: state.along.some(Boolean) ? state.along.join(",") : null,
    });
    draw(point());
  }
  function mark() {
    for (const button of samples.grid.children) {
      const name = sampleName(button.sample);
      button.setAttribute("aria-pressed", String(!state.from && name === sampleName(state.hold)));
      if (state.from && name === sampleName(state.from)) button.dataset.end = "from";
      else if (state.to && name === sampleName(state.to)) button.dataset.end = "to";
      else delete button.dataset.end;
    }
  }
  function press(sample, shift) {
    stop();
    if (ending) state.to = sample;
    else if (!shift) Object.assign(state, { hold: sample, from: null, to: null });
    else if (!state.from || state.to) Object.assign(state, { from: sample, to: null });
    else state.to = sample;
    ending = false;
    mark();
    update();
  }
  function reset() {
    state.along.fill(0);
    sliders.forEach(row => row.set(0));
    update();
  }
  function start() {
    play.textContent = "stop";
    const begun = performance.now(), offset = state.t;
    playing = setInterval(() => {
      const phase = ((performance.now() - begun) / 2000 + offset) % 2;
      state.t = phase > 1 ? 2 - phase : phase;
      way.set(state.t);
      update();
    }, 40);
  }
  function stop() { clearInterval(playing); playing = 0; play.textContent = "play"; }
  const frames = () => (state.from && state.to ? Array.from({ length: 48 }, (_, k) => point(k / 47)) : [point()]);
  async function film() {
    // A film of one sample goes along the directions, from where they are 0.
    const points = frames().length > 1 ? frames() : Array.from({ length: 48 }, (_, k) => {
      const along = state.along.map((amount, d) => [d, (amount * k) / 47]).filter(([, amount]) => amount);
      return along.length ? { start: state.hold, along } : state.hold;
    });
    const blob = await guarded(() => askFile("film", { points }));
    if (blob) download(blob, "walk.webp");
  }
  async function script() {
    const text = await guarded(() => askText("script", { points: [point()] }));
    if (text) download(new Blob([text], { type: "text/x-python" }), "drawn_again.py");
  }

  const samples = wall(points => guarded(() => askPictures("draw", { points })), press);
  const watcher = new MutationObserver(mark);
  watcher.observe(samples.grid, { childList: true });
  view.replaceChildren(make("div", { className: "two" }, panel, samples.element));
  update();
  return () => { stop(); samples.stop(); watcher.disconnect(); };
}
