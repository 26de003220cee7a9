// Pictures one by one, each judged before the next is seen.

import { boxKey, pictureBoard } from "./boxes.js";
import { history, undoKey } from "./history.js";
import { readState, saver, say } from "./saving.js";

const element = id => document.getElementById(id);
const state = await readState();
const count = state.parts.length;
const drawing = state.kind === "boxes";
const histories = new Map();
let current = 0, moving = true;

const saving = saver(state, {
  address: part => `answer/${part}`,
  what: part => `The answer to picture ${part + 1}`,
  shown(part, theirs, mine) {
    if (mine !== null) of(part).change(mine);
    of(part).change(theirs);
    if (part === current) { board.set(boxes()); describe(); }
  },
  kept(part, theirs) { of(part).slipUnder(theirs); },
  done: describe,
});
const board = pictureBoard(element("canvas"), { changed: drawing ? changed : null, chose: describe });

// The answer to a picture, with what can be undone of it since the page was opened.
function of(part) {
  if (!histories.has(part)) histories.set(part, history(saving.content(part)));
  return histories.get(part);
}

function boxes() {
  const answer = of(current).now;
  return Array.isArray(answer) ? answer : [];
}

const judged = part => saving.content(part) !== null;
const firstMissing = () => state.parts.findIndex((_, part) => !judged(part));

function describe() {
  const past = of(current), answer = past.now, done = state.parts.filter((_, part) => saving.isSaved(part) && judged(part));
  element("progress").max = count;
  element("progress").value = done.length;
  element("place").textContent = `picture ${current + 1} of ${count}, ${done.length} judged`;
  element("done").hidden = done.length < count;
  element("yes").ariaPressed = answer === "yes";
  element("no").ariaPressed = answer === "no" || (Array.isArray(answer) && answer.length === 0);
  element("unclear").ariaPressed = answer === "unclear";
  element("next").className = drawing && boxes().length ? "main" : "";
  element("remove").disabled = board.chosen < 0;
  element("undo").disabled = !past.canUndo;
  element("redo").disabled = !past.canRedo;
}

// While an answer is on its way or a picture is loading, nothing more can be answered or drawn.
function move(active) {
  moving = active;
  element("canvas").style.pointerEvents = active ? "none" : "";
}

async function show(index) {
  move(true);
  current = Math.min(Math.max(index, 0), count - 1);
  try {
    await board.show(`picture/${current}.png`, [state.width, state.height], boxes);
  } catch {
    // What is not seen is not to be judged: the page stays locked.
    say("the picture cannot be read: is the command still running? Then reload this page", true);
    return;
  }
  describe();
  move(false);
}

function save() {
  describe();
  return saving.save(current, of(current).now);
}

function changed(drawn) {
  // Without boxes the picture is not judged until somebody says that there are none.
  of(current).change(drawn.length ? drawn : null);
  save();
}

function travel(step) {
  const past = of(current);
  if (moving || (step < 0 ? !past.canUndo : !past.canRedo)) return;
  if (step < 0) past.undo(); else past.redo();
  board.set(boxes());
  save();
}

async function goOn() {
  move(true);
  if (!await save()) { move(false); return; }
  const missing = firstMissing();
  await show(current + 1 < count ? current + 1 : missing < 0 ? current : missing);
}

function choose(word) {
  if (moving) return;
  if (boxes().length) { say("delete the boxes first", true); return; }
  of(current).change(drawing && word === "no" ? [] : word);
  goOn();
}

function next() {
  if (moving) return;
  if (boxes().length) goOn();
  else if (judged(current)) show(current + 1);
  else say(drawing ? "draw a box, or press N if there is none" : "answer with Y, N or U", true);
}

function back() {
  if (!moving) show(current - 1);
}

const keys = { ArrowRight: next, " ": next, ArrowLeft: back, n: () => choose("no"), u: () => choose("unclear") };
if (!drawing) keys.y = () => choose("yes");
document.addEventListener("keydown", event => {
  if (event.target.closest?.("button") && [" ", "Enter"].includes(event.key)) return;
  const travels = undoKey(event);
  const act = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey && event.key.startsWith("Arrow")
    ? null : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (travels) travel(travels === "undo" ? -1 : 1);
  // A key held down must not judge what was hardly seen.
  else if (act) { if (!event.repeat) act(); }
  else if (!drawing || moving || !boxKey(event, board, 1)) return;
  event.preventDefault();
});
for (const [id, act] of Object.entries({ back, next, remove: () => { if (!moving) board.remove(); }, yes: () => choose("yes"),
                                         no: () => choose("no"), unclear: () => choose("unclear"),
                                         undo: () => travel(-1), redo: () => travel(1) })) {
  element(id).addEventListener("click", event => {
    // A mouse leaves no focus behind, so that the space bar goes on to the next picture.
    if (event.detail) event.currentTarget.blur();
    act();
  });
}

for (const part of document.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== state.kind;
if (drawing) element("no").textContent = "none";
else element("canvas").style.cursor = "default";
element("question").textContent = state.question;
show(saving.first);
