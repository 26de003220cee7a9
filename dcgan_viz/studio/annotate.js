// Pictures one by one, and boxes around an object on each.

import { boxKey, pictureBoard } from "./boxes.js";
import { history, undoKey } from "./history.js";
import { readState, saver, say } from "./saving.js";

const element = id => document.getElementById(id);
const state = await readState();
const count = state.parts.length;
const histories = new Map();
const photographs = state.noun === "photograph";
let current = 0, moving = false;

const saving = saver(state, {
  address: part => `boxes/${part}`,
  what: part => `What is on ${state.noun} ${part + 1}`,
  shown(part, theirs, mine) {
    const past = of(part);
    if (mine) past.change(mine);
    past.change(theirs ?? []);
    if (part === current) { board.set(past.now); describe(); }
  },
  kept(part, theirs) { of(part).slipUnder(theirs ?? []); },
  // That somebody went past says nothing against the boxes of somebody else.
  trivial: (part, mine) => mine.length === 0 && !of(part).canUndo,
  done: describe,
  report,
});
const board = pictureBoard(element("canvas"), { most: photographs ? 1200 : 640, changed, chose: describe });

// The boxes on a picture, with what can be undone of them since the page was opened.
function of(part) {
  if (!histories.has(part)) histories.set(part, history(saving.content(part) ?? []));
  return histories.get(part);
}

function changed(boxes) {
  of(current).change(boxes);
  saving.save(current, boxes);
}

function report() {
  const total = state.parts.reduce((sum, _, part) => sum + (saving.content(part) ?? []).length, 0);
  return `saved, ${total} ${total === 1 ? "box" : "boxes"} in all`;
}

function travel(step) {
  const past = of(current);
  if (step < 0 ? !past.canUndo : !past.canRedo) { say(`nothing to ${step < 0 ? "undo" : "redo"} on this ${state.noun}`); return; }
  if (step < 0) past.undo(); else past.redo();
  board.set(past.now);
  saving.save(current, past.now);
}

function describe() {
  const past = of(current), boxes = past.now, chosen = board.chosen;
  const looked = state.parts.filter((_, part) => saving.content(part) !== null).length;
  element("progress").max = count;
  element("progress").value = looked;
  element("place").textContent = `${state.noun} ${current + 1} of ${count}, ${looked} looked at`;
  element("undo").disabled = !past.canUndo;
  element("redo").disabled = !past.canRedo;
  element("remove").disabled = chosen < 0;
  const number = `${boxes.length} ${boxes.length === 1 ? "box" : "boxes"}`;
  const [left, top, across, down] = boxes[chosen] ?? [];
  const which = chosen < 0 ? "" : `; box ${chosen + 1} is chosen: ${across} by ${down} pixels, ${left} from the left, ${top} from the top`;
  element("canvas").ariaLabel = `${state.noun} ${current + 1} with ${number}${which}`;
}

async function show(index) {
  const next = Math.min(Math.max(index, 0), count - 1);
  const arrived = () => { current = next; return of(next).now; };
  try {
    await board.show(`${state.noun}/${next}.${photographs ? "jpeg" : "png"}`, state.sizes[next], arrived);
  } catch {
    say("the picture cannot be read: is the command still running? Then reload this page", true);
  }
  describe();
}

async function go(step) {
  if (moving) return;
  moving = true;
  // Moving on says that the picture was looked at, with or without a box.
  if (await saving.save(current, of(current).now)) await show(current + step);
  moving = false;
}

element("next").addEventListener("click", () => go(1));
element("previous").addEventListener("click", () => go(-1));
element("remove").addEventListener("click", () => board.remove());
element("undo").addEventListener("click", () => travel(-1));
element("redo").addEventListener("click", () => travel(1));
for (const button of document.querySelectorAll("button"))
  // A mouse leaves no focus behind, so that the space bar goes on to the next picture.
  button.addEventListener("click", event => { if (event.detail) button.blur(); });

document.addEventListener("keydown", event => {
  if (event.target.closest("button") && [" ", "Enter"].includes(event.key)) return;
  const travels = undoKey(event);
  if (travels) travel(travels === "undo" ? -1 : 1);
  else if (boxKey(event, board, Math.max(1, Math.round(Math.max(...state.sizes[current]) / 256)))) { /* Done. */ }
  else if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  // A key that is held down must not go past what was hardly seen.
  else if (event.key === "ArrowRight" || event.key === " ") { if (!event.repeat) go(1); }
  else if (event.key === "ArrowLeft") { if (!event.repeat) go(-1); }
  else return;
  event.preventDefault();
});

element("label").textContent = state.label;
document.body.className = photographs ? "wide" : "narrow";
show(saving.first);
