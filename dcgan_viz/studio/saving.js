// Brings what a page has into the file that the server keeps, and loses none of it on the way.
//
// A document has parts, such as the boxes on each picture. The page holds what it wants saved until the server has it:
// one change after the other, the newest of each part. Where the server does not answer it tries again; where somebody
// else has changed the part meanwhile it asks which of the two holds. What is not saved survives a reload of the page.

const PATIENCE = 1500;
const element = id => document.getElementById(id);
const wait = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

// What the server says about the document. If it cannot, the page says why and goes no further.
export async function readState() {
  const response = await fetch("state").catch(() => null);
  if (response?.ok) return response.json();
  const why = response ? (await response.json()).problem : "the command does not answer";
  say(`${why}; then reload this page`, true);
  throw new Error(why);
}

export function say(text, failed = false) {
  element("saved").className = failed ? "failed" : "";
  element("saved").textContent = text;
}

// state: from `readState`, whose parts are [{ content, version }, …].
// address(part): where a part is saved.
// what(part): what a part is called in a sentence, such as "the boxes on sample 3".
// shown(part, content, mine): the saved content is to be shown instead of what the page had; null mine: there was none.
// kept(part, theirs): what the page has is saved in place of what somebody else had saved.
// refused(part, reply): takes back what the server refuses alone, and saves the rest; says whether it could.
// trivial(part, content): nobody would miss this content of the page, so that what somebody else has saved may hold.
// done(): something was saved or taken over.
// report(): how the page says that all is saved.
export function saver(state, { address, what, shown, kept = () => {}, refused = () => false, trivial = () => false, done,
                               report = () => "saved" }) {
  const place = `unsaved ${state.document}`;
  const saved = state.parts.map(({ content, version }) => ({ content: JSON.stringify(content), version }));
  const unsaved = new Map();    // part → what it is to be, as text
  const sent = new Map();       // part → texts of which it is not known whether they have arrived
  const stale = new Map();      // part → what somebody else has saved
  let working = false, waiting = [], refusal = null;

  function remember() {
    const entries = [...unsaved].map(([part, text]) => [part, text, saved[part]]);
    try {
      if (entries.length) sessionStorage.setItem(place, JSON.stringify(entries));
      else sessionStorage.removeItem(place);
    } catch { /* Full or forbidden: then it is in the page alone. */ }
    waiting = waiting.filter(({ part, text, resolve }) => {
      if (unsaved.has(part) && !stale.has(part)) return true;
      resolve(!unsaved.has(part) && saved[part].content === text);
      return false;
    });
  }

  async function put(part, text) {
    const { version } = saved[part];
    const body = `{"document":${JSON.stringify(state.document)},"version":${JSON.stringify(version)},"content":${text}}`;
    try {
      const headers = { "content-type": "application/json" };
      const response = await fetch(address(part), { method: "PUT", body, headers });
      return { status: response.status, ...(await response.json()) };
    } catch {
      return { status: 0, problem: "the command does not answer" };
    }
  }

  // One attempt; says whether it is worth going on at once.
  async function attempt(part) {
    const text = unsaved.get(part);
    const reply = await put(part, text), { status, problem, content, version } = reply;
    const held = JSON.stringify(content);
    if (status === 200) {
      sent.delete(part);
      saved[part] = { content: held, version };
      if (unsaved.get(part) === text) unsaved.delete(part);
      if (!unsaved.size) say(refusal ? `not saved: ${refusal}. All else is saved` : report(), refusal !== null);
    } else if (status === 409 && version) {
      // If the server has what this page knew, or has sent without hearing of it, nobody else was at it.
      const own = held === saved[part].content || sent.get(part)?.includes(held);
      if (own) saved[part] = { content: held, version };
      else stale.set(part, { content: held, version });
      if (!own && trivial(part, JSON.parse(text))) takeTheirs(part);
    } else if ([400, 403, 404, 405, 413].includes(status)) {
      unsaved.delete(part);
      if (!refused(part, reply)) shown(part, JSON.parse(saved[part].content), null);
      refusal = problem;
      say(`not saved: ${problem}`, true);
    } else {
      sent.set(part, [...(sent.get(part) ?? []), text]);
      say(`not saved yet: ${problem}. It is kept here, and saved as soon as possible: leave this page open`, true);
      return false;
    }
    return true;
  }

  async function work() {
    if (working) return;
    working = true;
    let part, failed = false;
    while ((part = [...unsaved.keys()].find(key => !stale.has(key))) !== undefined) {
      if (!failed) say("saving…");
      failed = !await attempt(part);
      remember();
      if (failed) await wait(PATIENCE);
      else done();
    }
    working = false;
    ask();
  }

  function ask() {
    const [part] = stale.keys();
    element("stale").hidden = part === undefined;
    if (part === undefined) return;
    say("not saved", true);
    element("stale-text").textContent = `${what(part)} was changed in another tab or by another program after this page `
      + "had read it. Nothing is lost: choose which of the two is to be saved; undo brings the other back.";
  }

  function takeTheirs(part) {
    const mine = JSON.parse(unsaved.get(part));
    saved[part] = stale.get(part);
    stale.delete(part);
    unsaved.delete(part);
    shown(part, JSON.parse(saved[part].content), mine);
    say("now as it was saved elsewhere; undo brings back yours");
  }

  function keepMine(part) {
    saved[part] = stale.get(part);
    stale.delete(part);
    kept(part, JSON.parse(saved[part].content));
  }

  function decide(choose) {
    choose([...stale.keys()][0]);
    remember();
    done();
    ask();
    work();
  }

  element("take-theirs").addEventListener("click", () => decide(takeTheirs));
  element("keep-mine").addEventListener("click", () => decide(keepMine));
  addEventListener("beforeunload", event => { if (unsaved.size) event.preventDefault(); });
  for (const [part, text, base] of JSON.parse(sessionStorage.getItem(place) ?? "[]")) {
    unsaved.set(part, text);
    saved[part] = base;
  }
  if (unsaved.size) work();

  return {
    // What a part is for this page.
    content: part => JSON.parse(unsaved.get(part) ?? saved[part].content),
    // Whether the server has it too.
    isSaved: part => !unsaved.has(part),
    // The first part that the server does not have yet, from an earlier visit; otherwise the first without content.
    get first() {
      const missing = state.parts.findIndex((_, part) => this.content(part) === null);
      return Math.max(0, unsaved.size ? Math.min(...unsaved.keys()) : missing);
    },
    // Saves a part; resolves to whether it was, once that is decided.
    save(part, content) {
      const text = JSON.stringify(content);
      refusal = null;
      if (text === saved[part].content && !unsaved.has(part)) return Promise.resolve(true);
      unsaved.set(part, text);
      const decided = new Promise(resolve => waiting.push({ part, text, resolve }));
      remember();
      work();
      return decided;
    },
  };
}
