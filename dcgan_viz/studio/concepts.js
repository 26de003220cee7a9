// A wall of samples, which are clicked into named concepts.

import { history, undoKey } from "./history.js";
import { readState, saver, say } from "./saving.js";
import { keepOneStop, oneStop } from "./tiles.js";

const $ = id => document.getElementById(id);
const state = await readState();

const saving = saver(state, {
  address: () => "concepts",
  what: () => "The list of concepts",
  shown(_, theirs, mine) {
    if (mine) past.change(mine);
    past.change(theirs);
    choose(active);
  },
  kept(_, theirs) { past.slipUnder(theirs); },
  refused: (_, reply) => takeBack(reply.name),
  done: drawList,
});
const past = history(saving.content(0));
// What each name of this visit took the place of: another name, or the concept that was chosen until then.
const replaced = new Map();
let active = past.now.length ? 0 : -1;

// Pairs of a name and the numbers of its samples.
const concepts = () => past.now;
const name = () => concepts()[active]?.[0] ?? null;
const picked = () => concepts()[active]?.[1] ?? [];

function drawList() {
  const all = concepts(), focused = [...$("list").children].indexOf(document.activeElement);
  $("list").replaceChildren(...all.map(([label, numbers], index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", index === active);
    button.textContent = `${index < 9 ? `${index + 1} ` : ""}${label} (${numbers.length})`;
    button.addEventListener("click", () => choose(index));
    return button;
  }));
  $("list").children[focused]?.focus();
  if (!all.length) $("list").textContent = "No concept yet: name one below.";
  $("chosen").textContent = name() ?? "… (name a concept first)";
  $("rename").disabled = $("remove").disabled = active < 0;
  $("undo").disabled = !past.canUndo;
  $("redo").disabled = !past.canRedo;
}

function drawSamples() {
  const names = new Map(), chosen = new Set(picked());
  for (const [label, numbers] of concepts())
    for (const number of numbers) names.set(number, [...(names.get(number) ?? []), label]);
  for (const button of $("grid").children) {
    const number = Number(button.dataset.number);
    const pressed = chosen.has(number);
    button.setAttribute("aria-pressed", pressed);
    button.querySelector(".names").textContent = (names.get(number) ?? []).join(", ");
    button.hidden = $("only").checked && !pressed;
  }
  oneStop($("grid"));
}

function choose(index) {
  const last = concepts().length - 1;
  active = Math.min(Math.max(index, Math.min(0, last)), last);
  drawList();
  drawSamples();
}

function save() {
  choose(active);
  saving.save(0, past.now);
}

function change(edit) {
  const next = concepts();
  edit(next);
  past.change(next);
  save();
}

// Whether a name is free; that it may be a name at all is for the server to say.
function isFree(label) {
  const free = !concepts().some(([known]) => known === label);
  if (!free) say(`there is a concept ${label} already`, true);
  return free;
}

// Without a name that is refused, what else was changed meanwhile is saved.
function takeBack(label) {
  if (!replaced.has(label)) return false;
  const before = replaced.get(label), index = concepts().findIndex(([known]) => known === label);
  if (index >= 0 && typeof before === "number") {
    if (active >= index) active = active > index ? active - 1 : before;
    // To be corrected, unless the next one is being typed.
    if (!$("name").value) $("name").value = label;
  }
  change(all => {
    if (index >= 0) all.splice(index, 1, ...(typeof before === "string" ? [[before, all[index][1]]] : []));
  });
  return true;
}

function travel(step) {
  if (step < 0 ? !past.canUndo : !past.canRedo) { say(`nothing to ${step < 0 ? "undo" : "redo"}`); return; }
  if (step < 0) past.undo(); else past.redo();
  save();
}

function toggle(number) {
  if (active < 0) { $("name").focus(); return; }
  change(all => {
    const numbers = all[active][1], place = numbers.indexOf(number);
    if (place < 0) numbers.push(number); else numbers.splice(place, 1);
  });
}

const plain = text => text.trim().replace(/\s+/g, " ");

$("add").addEventListener("submit", event => {
  event.preventDefault();
  const label = plain($("name").value);
  if (!label || !isFree(label)) return;
  // At once, whenever it is saved: by then the next may be typed and clicked.
  $("name").value = "";
  $("name").blur();
  replaced.set(label, active);
  active = concepts().length;
  change(all => all.push([label, []]));
});
$("rename").addEventListener("click", () => {
  const old = name(), label = plain(prompt("The new name", old) ?? "");
  if (!label || label === old || !isFree(label)) return;
  replaced.set(label, old);
  change(all => { all[active][0] = label; });
});
$("remove").addEventListener("click", () => change(all => all.splice(active, 1)));
$("undo").addEventListener("click", () => travel(-1));
$("redo").addEventListener("click", () => travel(1));
$("size").addEventListener("change", event =>
  document.documentElement.style.setProperty("--size", `${event.target.value}px`));
$("only").addEventListener("change", drawSamples);

document.addEventListener("keydown", event => {
  if (event.target.matches("#name, select")) return;
  const travels = undoKey(event);
  if (travels) { event.preventDefault(); travel(travels === "undo" ? -1 : 1); return; }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key >= "1" && event.key <= "9") {
    if (Number(event.key) <= concepts().length) choose(Number(event.key) - 1);
  } else if (event.key === "n") { event.preventDefault(); $("name").focus(); }
  else if (event.key.startsWith("Arrow") || (event.key === "Home" && $("grid").contains(document.activeElement))) {
    const shown = [...$("grid").children].filter(button => !button.hidden);
    const place = shown.indexOf(document.activeElement);
    const top = shown[0]?.offsetTop;
    const columns = shown.filter(button => button.offsetTop === top).length || 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const target = shown[place < 0 || event.key === "Home" ? 0 : place + step];
    if (target) { event.preventDefault(); target.focus(); target.scrollIntoView({ block: "center" }); }
  }
});

$("model").textContent = state.model;
for (let number = 0; number < state.count; number++) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.number = number;
  const picture = document.createElement("img");
  picture.src = `sample/${number}.png`;
  picture.loading = "lazy";
  picture.alt = "";
  const names = document.createElement("span");
  names.className = "names";
  button.append(picture, `sample ${number}`, names);
  button.addEventListener("click", () => toggle(number));
  $("grid").append(button);
}
choose(active);
keepOneStop($("grid"));
