// Asking the server: JSON, pictures for canvases, and at most one question of a kind at a time.

const problem = document.getElementById("problem");

const problems = new Map();

// Shows what is wrong, or takes it back. Of each source its own: what goes well elsewhere does not hide it.
export function complain(sentence, source = "page") {
  problems.delete(source);
  if (sentence) problems.set(source, sentence);
  problem.textContent = [...problems.values()].at(-1) ?? "";
  problem.hidden = !problems.size;
}

// What a view complained of is no concern of the next one.
export function forgetProblems() {
  problems.clear();
  complain(null);
}

async function reply(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(path, options).catch(() => null);
  if (!response) throw new Error("the command does not answer: is it still running?");
  if (!response.ok) throw new Error((await response.json().catch(() => ({}))).problem ?? `status ${response.status}`);
  return response;
}

export const ask = async (path, body) => (await reply(path, body)).json();
export const askText = async (path, body) => (await reply(path, body)).text();
export const askFile = async (path, body) => (await reply(path, body)).blob();

// Pictures: what is said of them, and their RGBA bytes one after the other.
export async function askPictures(path, body) {
  const buffer = await (await reply(path, body)).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const said = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { ...said, bytes: new Uint8ClampedArray(buffer.slice(4 + length)) };
}

// A function that does one thing at a time: while it is busy, of all further calls only the last is carried out.
// How long a picture took, from the call to the pixels, is shown.
export function latest(work) {
  let busy = false, next = null;
  return async function call(...values) {
    if (busy) { next = values; return; }
    busy = true;
    const begun = performance.now();
    try {
      if (await work(...values) !== false) { complain(null, call); clock(performance.now() - begun); }
    } catch (error) { complain(error.message, call); }
    busy = false;
    if (next) { const again = next; next = null; call(...again); }
  };
}

function clock(milliseconds) {
  const speed = document.getElementById("speed");
  speed.textContent = `${Math.round(milliseconds)} ms`;
  speed.title = "from the last change to the picture";
  (window.frameTimes ??= []).push(milliseconds);
  if (window.frameTimes.length > 200) window.frameTimes.shift();
}

// Asks until it is made; says meanwhile how far it is.
export async function made(path, body, waiting, wanted = () => true) {
  for (;;) {
    const found = await ask(path, body);
    if (!found.waiting || !wanted()) return found;
    waiting(found);
    await new Promise(resolve => setTimeout(resolve, 500));
  }
}

export async function guarded(work) {
  try { complain(null); return await work(); } catch (error) { complain(error.message); return undefined; }
}

export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
