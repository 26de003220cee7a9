// A generator in the browser: samples, walks, sums, and an object's maps zeroed.

const $ = id => document.getElementById(id);
const begun = performance.now();

function fail(error) {
  $("state").className = "failed";
  $("state").textContent = location.protocol === "file:"
    ? "Browsers do not run this from a file: serve the folder, for example with python -m http.server, and open its address."
    : `The generator cannot be run here: ${error.message ?? error}`;
}

// Files are sent as they are, so the program comes compressed and is unpacked here.
async function unpacked(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name} is missing`);
  const plain = response.body.pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain).arrayBuffer();
}

async function start() {
  const [about, ort, program, graph] = await Promise.all([
    fetch("model.json").then(response => response.json()), import("./ort.wasm.min.mjs"),
    unpacked("ort-wasm-simd-threaded.wasm.gz"), fetch("generator.onnx").then(response => response.arrayBuffer()),
  ]);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = program;
  ort.env.wasm.wasmPaths = new URL("./", location.href).href;
  const session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
  return { about, ort, session };
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

function page({ about, ort, session }) {
  const { latent, channels } = about;
  const whole = new Float32Array(channels).fill(1);
  let queue = Promise.resolve();

  // The runtime does one thing at a time.
  function draw(latents, factors = whole) {
    queue = queue.catch(() => {}).then(async () => {
      const z = new ort.Tensor("float32", Float32Array.from(latents.flat()), [latents.length, latent]);
      const { images } = await session.run({ z, factors: new ort.Tensor("float32", factors, [channels]) });
      const [count, planes, height, width] = images.dims;
      return Array.from({ length: count }, (_, k) => {
        const pixels = new ImageData(width, height), size = width * height;
        for (let i = 0; i < size; i++) {
          for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = Math.round(127.5 * (images.data[(k * planes + (planes === 3 ? c : 0)) * size + i] + 1));
          pixels.data[4 * i + 3] = 255;
        }
        return pixels;
      });
    });
    return queue;
  }
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
  const buttons = Array.from({ length: 32 }, (_, k) => {
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
    paint($("picture"), (await draw([between(samples[held], samples[aim], t)]))[0]);
  });
  async function wall() {
    // The first one at once, so that there is something to see.
    for (const [start, end] of [[0, 1], [1, 8], [8, 32]]) {
      const drawn = await draw(samples.slice(start, end));
      drawn.forEach((pixels, k) => paint(buttons[start + k].canvas, pixels));
      if (start === 0 && !window.firstPicture) window.firstPicture = performance.now() - begun;
    }
  }
  const fresh = next => { samples = next; mark(); wall().then(() => { walk(); forget(); }, fail); };
  $("new").addEventListener("click", () => fresh(Array.from({ length: 32 }, random)));
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
    paint($("sum"), (await draw([a.map((value, k) => value - b[k] + c[k])]))[0]);
  });

  // Forgetting.
  const objects = Object.keys(about.objects), FEW = 8;
  const few = id => Array.from({ length: FEW }, () => $(id).appendChild(document.createElement("canvas")));
  const before = few("before"), after = few("after");
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
    (await draw(shown)).forEach((pixels, k) => paint(before[k], pixels));
    (await draw(shown, factors)).forEach((pixels, k) => paint(after[k], pixels));
  });
  $("maps").addEventListener("input", forget);
  $("object").addEventListener("change", () => { $("maps").value = about.objects[$("object").value].positive; forget(); });

  document.title = `${about.name} in your browser`;
  $("name").textContent = about.name;
  $("summary").textContent = about.summary;
  $("terms-of-use").textContent = `Trained on: ${about.data} Terms: ${about.terms}`;
  $("weaknesses").append(...about.weaknesses.map(text => Object.assign(document.createElement("li"), { textContent: text })));
  document.querySelector("main").hidden = false;
  if (objects.length) $("maps").value = about.objects[$("object").value].positive;
  mark();
  wall().then(() => { $("state").textContent = ""; walk(); sum(); forget(); }, fail);
}

start().then(page).catch(fail);
