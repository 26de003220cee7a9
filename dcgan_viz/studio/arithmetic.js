// Arithmetic and turn: samples are put into A, B and C; A − B + C is drawn, and the way to it from C.

import { askFile, askPictures, askText, download, guarded, latest } from "./server.js";
import { canvas, make, paint, sampleName, slider, wall } from "./tiles.js";

const STEPS = 7, NAMES = ["A", "B", "C"], MOST = 12;

export function show(view, about, address) {
  const bins = Object.fromEntries(NAMES.map(name => [name, parse(address.values.get(name))]));
  let t = Number(address.values.get("t") ?? 1), chosen = null;

  function parse(text) {
    return (text ?? "").split(",").filter(Boolean).map(part => {
      const [seed, number] = part.split(":").map(Number);
      return { seed, number };
    }).filter(({ seed, number }) => Number.isInteger(seed) && Number.isInteger(number));
  }
  const ready = () => bins.C.length && (bins.A.length > 0) === (bins.B.length > 0);
  function point(weight) {
    const terms = [[1, bins.C]];
    if (bins.A.length && bins.B.length && weight) terms.push([weight, bins.A], [-weight, bins.B]);
    return { sum: terms };
  }

  const result = canvas("the result");
  result.classList.add("big");
  const steps = Array.from({ length: STEPS }, (_, k) => canvas(`${Math.round((100 * k) / (STEPS - 1))} % of the way`));
  const formula = make("p", { "aria-live": "polite" });
  const scrub = slider("A − B, times", { min: 0, max: 1.5, step: 0.01, value: t, format: v => v.toFixed(2) }, to => { t = to; drawResult(point(t)); say(); });
  const drawResult = latest(async what => paint(result, await askPictures("draw", { points: [what] }), 0));
  const drawSteps = latest(async points => {
    const pictures = await askPictures("draw", { points });
    steps.forEach((step, k) => paint(step, pictures, k));
    return false;
  });
  // What is put into a term has been drawn on the wall, unless the address or a concept names it.
  const drawn = new Map();
  const keep = (samples, pictures) => samples.forEach((sample, number) => drawn.set(sampleName(sample), { pictures, number }));
  const drawBin = (place, samples, name) => guarded(async () => {
    const missing = samples.filter(sample => !drawn.has(sampleName(sample)));
    if (missing.length) keep(missing, await askPictures("draw", { points: missing }));
    place.replaceChildren(...samples.map((sample, k) => {
      const picture = canvas(), { pictures, number } = drawn.get(sampleName(sample));
      paint(picture, pictures, number);
      return make("button", {
        type: "button", title: "take it out", "aria-label": `take sample ${sampleName(sample)} out of ${name}`,
        onclick: () => { bins[name].splice(k, 1); update(); },
      }, picture);
    }));
  });

  const places = {};
  const concept = name => Object.keys(about.concepts).length ? [make("select", {
    "aria-label": `a concept for ${name}`,
    onchange: event => {
      const [seed, numbers] = about.concepts[event.target.value] ?? [0, []];
      bins[name] = numbers.slice(0, 3).map(number => ({ seed, number }));
      update();
    },
  }, make("option", { value: "" }, "a concept…"), ...Object.keys(about.concepts).map(key => make("option", {}, key)))] : [];
  const boxes = NAMES.map(name => {
    places[name] = make("div", {});
    const box = make("section", { className: "bin", "aria-label": name,
      ondragover: event => { event.preventDefault(); box.classList.add("over"); },
      ondragleave: () => box.classList.remove("over"),
      ondrop: event => {
        event.preventDefault();
        box.classList.remove("over");
        try { put(name, JSON.parse(event.dataTransfer.getData("text/plain"))); } catch { /* Not one of our samples. */ }
      },
    }, make("h2", {}, { A: "A", B: "− B", C: "+ C" }[name]), places[name], ...concept(name),
    // Neither a finger nor every keyboard can drag.
    make("button", { type: "button", className: "put", "aria-label": `put the sample that is chosen into ${name}`,
      disabled: true, onclick: () => put(name, chosen.sample) }, "put here"));
    return box;
  });

  function put(name, { seed, number }) {
    if (!Number.isInteger(seed) || !Number.isInteger(number) || bins[name].length >= MOST) return;
    bins[name].push({ seed, number });
    update();
  }
  function say() {
    const text = name => bins[name].map(sampleName).join(",");
    address.say({ A: text("A"), B: text("B"), C: text("C"), t: t === 1 ? null : t });
  }
  function update() {
    for (const name of NAMES) drawBin(places[name], bins[name], name);
    for (const button of taking) button.disabled = !ready();
    scrub.input.disabled = !ready();
    const words = name => (bins[name].length ? `mean of ${bins[name].length}` : "nothing");
    formula.textContent = ready()
      ? `${words("A")} − ${words("B")} + ${words("C")}. The slider goes from C alone at 0 to A − B + C at 1 and beyond: a turn by A − B.`
      : "Put samples into C, and into A and B what is to be added and taken away.";
    if (ready()) {
      drawResult(point(t));
      drawSteps(steps.map((_, k) => point(k / (STEPS - 1))));
    }
    say();
  }
  async function film() {
    const points = Array.from({ length: 48 }, (_, k) => point(k / 47));
    const blob = await guarded(() => askFile("film", { points }));
    if (blob) download(blob, "turn.webp");
  }
  async function script() {
    const text = await guarded(() => askText("script", { points: [point(t)] }));
    if (text) download(new Blob([text], { type: "text/x-python" }), "drawn_again.py");
  }

  const taking = [["film", film], ["script", script]].map(([text, onclick]) => make("button", { type: "button", onclick }, text));

  const draw = points => guarded(async () => {
    const pictures = await askPictures("draw", { points });
    keep(points, pictures);
    return pictures;
  });
  const samples = wall(draw, (sample, _, button) => {
    chosen = button;
    for (const box of boxes) box.querySelector(".put").disabled = false;
    for (const other of samples.grid.children) other.setAttribute("aria-pressed", String(other === button));
  });
  function key(event) {
    const name = event.key.toUpperCase();
    const sample = document.activeElement?.sample ?? chosen?.sample;
    if (!NAMES.includes(name) || !sample || event.ctrlKey || event.altKey || event.target.matches("select, input")) return;
    put(name, sample);
  }
  addEventListener("keydown", key);
  view.replaceChildren(make("div", { className: "two" },
    make("section", { className: "panel" }, make("div", { className: "bins" }, ...boxes), formula, result, scrub,
      make("div", { className: "steps", "aria-label": "from C to A − B + C" }, ...steps),
      make("div", { className: "row" },
        make("button", { type: "button", onclick: () => { for (const name of NAMES) bins[name] = []; update(); } }, "empty"), ...taking),
      make("p", { className: "hint" }, "Drag samples into A, B and C; or click one, and press a, b or c or ", make("i", {}, "put here"), ". The paper averages three of each: single ones ",
        "are unstable. The sum is drawn where it lies, also outside the cube that z is drawn from.")),
    samples.element));
  update();
  return () => { samples.stop(); removeEventListener("keydown", key); };
}
