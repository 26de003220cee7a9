// A generator in the browser: samples, walks, sums, and an object's maps zeroed.

const WALL = 36;
const $ = id => document.getElementById(id);

function fail(error) {
  $("state").className = "failed";
  $("state").textContent = `The generator cannot be run here: ${error.message ?? error}`;
}

// What the generator draws, in the order in which it is asked for.
const generator = new Worker("drawing.js", { type: "module" });
const asked = new Map();
let last = 0;
function draw(latents, factors) {
  return new Promise((resolve, reject) => {
    asked.set(++last, { resolve, reject });
    generator.postMessage({ number: last, latents: Float32Array.from(latents.flat()), count: latents.length, factors });
  });
}
generator.addEventListener("message", ({ data: { number, drawn, error } }) => {
  const { resolve, reject } = asked.get(number);
  asked.delete(number);
  if (error) reject(new Error(error)); else resolve(drawn);
});
generator.addEventListener("error", () => fail(new Error("drawing.js is missing or cannot be run")));

async function described() {
  const response = await fetch("model.json");
  if (!response.ok) throw new Error("model.json is missing");
  return response.json();
}

// Of many calls while one is carried out, only the last comes next.
function latest(work) {
  let busy = false, next = null;
  return async function call(...values) {
    if (busy) { next = values; return; }
    busy = true;
    try { await work(...values); } catch (error) { fail(error); }
    busy = false;
    if (next) { const again = next; next = null; call(...again); }
  };
}

function page(about) {
  const { latent, channels } = about;
  const whole = new Float32Array(channels).fill(1);

  function paint(canvas, pixels) {
    Object.assign(canvas, { width: pixels.width, height: pixels.height });
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }
  function gaussian() { return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()); }
  const random = () => Array.from({ length: latent }, about.prior === "uniform" ? () => 2 * Math.random() - 1 : gaussian);
  // A line in the cube of a uniform prior, an arc on the shell of a Gaussian.
  function between(from, to, t) {
    let first = 1 - t, second = t;
    if (about.prior !== "uniform") {
      const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
      const angle = Math.acos(Math.min(1, Math.max(-1, dot(from, to) / Math.sqrt(dot(from, from) * dot(to, to)))));
      if (Math.sin(angle) > 1e-4) { first = Math.sin((1 - t) * angle) / Math.sin(angle); second = Math.sin(t * angle) / Math.sin(angle); }
    }
    return from.map((value, k) => first * value + second * to[k]);
  }

  let samples = about.latents, held = 0, aim = 1;
  const buttons = Array.from({ length: WALL }, (_, k) => {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    button.type = "button";
    button.setAttribute("aria-label", `sample ${k + 1}`);
    button.append(canvas);
    button.addEventListener("click", event => { if (event.shiftKey) aim = k; else { held = k; $("way").value = 0; } mark(); walk(); forget(); });
    $("wall").append(button);
    return { button, canvas };
  });
  function mark() {
    buttons.forEach(({ button }, k) => {
      button.setAttribute("aria-pressed", String(k === held));
      if (k === aim) button.dataset.end = "to"; else delete button.dataset.end;
    });
  }
  const walk = latest(async () => {
    const t = Number($("way").value);
    $("way-shown").textContent = t.toFixed(2);
    paint($("picture"), (await draw([between(samples[held], samples[aim], t)], whole))[0]);
  });
  async function wall() {
    const drawing = samples;
    // A few at a time, so that there is something to see soon, and what is clicked meanwhile comes in between.
    for (let start = 0, end = 1; start < WALL; start = end, end += 4 - end % 4) {
      const drawn = await draw(drawing.slice(start, end), whole);
      if (samples !== drawing) return;
      drawn.forEach((pixels, k) => paint(buttons[start + k].canvas, pixels));
      if (start > 0) continue;
      $("state").textContent = "";
      // When it is seen: counted from when the page was asked for.
      requestAnimationFrame(() => setTimeout(() => { window.firstPicture ??= performance.now(); }));
      walk();
      sum();
    }
    forget();
  }
  const fresh = next => { samples = next; mark(); wall().catch(fail); };
  $("new").addEventListener("click", () => fresh(Array.from({ length: WALL }, random)));
  $("first").addEventListener("click", () => fresh(about.latents));
  $("way").addEventListener("input", walk);

  // Sums: of concepts where the model has some, of samples otherwise.
  const names = Object.keys(about.concepts);
  const options = names.length ? names : buttons.slice(0, 16).map((_, k) => `sample ${k + 1}`);
  const vector = name => about.concepts[name] ?? samples[Number(name.split(" ")[1]) - 1];
  const wanted = ["smiling woman", "neutral woman", "neutral man"];
  const chosen = wanted.every(name => names.includes(name)) ? wanted : options;
  const terms = ["", "−", "+"].map((sign, k) => {
    const select = document.createElement("select");
    select.setAttribute("aria-label", ["first", "taken away", "added"][k]);
    select.append(...options.map(name => new Option(name, name, false, name === chosen[k])));
    select.addEventListener("change", () => sum());
    $("terms").append(sign, select);
    return select;
  });
  $("sum-hint").textContent = names.length ? "Each is the mean of three samples, as in the paper." : "Single samples are unstable: the paper averages three of each.";
  const sum = latest(async () => {
    const [a, b, c] = terms.map(select => vector(select.value));
    paint($("sum"), (await draw([a.map((value, k) => value - b[k] + c[k])], whole))[0]);
  });

  // Forgetting.
  const objects = Object.keys(about.objects), FEW = 8;
  const few = id => Array.from({ length: FEW }, () => $(id).appendChild(document.createElement("canvas")));
  const before = few("before"), after = few("after");
  let unchanged = [];
  $("forget").hidden = !objects.length;
  $("object").append(...objects.map(name => new Option(name, name, false, name === "window")));
  $("maps").max = channels;
  const forget = latest(async () => {
    if (!objects.length) return;
    const name = $("object").value, { maps, positive } = about.objects[name], count = Number($("maps").value);
    const factors = whole.slice();
    for (const map of maps.slice(0, count)) factors[map] = 0;
    $("maps-shown").textContent = count;
    $("after-caption").textContent = `${count} of ${channels} maps of layer ${about.layer} zeroed, those that tell ${name} best first`;
    $("forget-hint").textContent = `The paper zeroes all maps with a positive weight in its regression: ${positive} for ${name}.`;
    const shown = [...samples.slice(held), ...samples].slice(0, FEW);
    if (shown.some((sample, k) => sample !== unchanged[k])) {
      (await draw(shown, whole)).forEach((pixels, k) => paint(before[k], pixels));
      unchanged = shown;
    }
    (await draw(shown, factors)).forEach((pixels, k) => paint(after[k], pixels));
  });
  const zero = count => { $("maps").value = count; forget(); };
  const asPaper = () => zero(about.objects[$("object").value].positive);
  $("maps").addEventListener("input", forget);
  $("object").addEventListener("change", asPaper);
  $("paper").addEventListener("click", asPaper);
  $("none").addEventListener("click", () => zero(0));

  document.title = `${about.name} in your browser`;
  $("name").textContent = about.name;
  $("summary").textContent = about.summary;
  $("terms-of-use").textContent = `Trained on: ${about.data} Terms: ${about.terms}`;
  $("weaknesses").append(...about.weaknesses.map(text => Object.assign(document.createElement("li"), { textContent: text })));
  document.querySelector("main").hidden = false;
  if (objects.length) $("maps").value = about.objects[$("object").value].positive;
  fresh(samples);
}

described().then(page).catch(fail);
