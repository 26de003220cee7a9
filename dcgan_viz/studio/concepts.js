// A wall of samples, which are clicked into named concepts.

import { history, undoKey } from "./history.js";
import { readState, saver, say } from "./saving.js";

const $ = id => document.getElementById(id);
const state = await readState();

const saving = saver(state, {
  address: () => "concepts",
  what: () => "The list of concepts",
  shown(_, theirs, mine) {
    if (mine) past.change(mine);
    if (mine || !unproven) { past.change(theirs); choose(active); return; }
    // A name is refused: without it, what else was changed meanwhile is saved.
    change(unproven);
    unproven = null;
  },
  kept(_, theirs) { past.slipUnder(theirs); },
  done: drawList,
});
const past = history(saving.content(0));
// Takes back the latest name, as long as it is not known whether it may be one.
let unproven = null;
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
}

function choose(index) {
  const last = concepts().length - 1;
  active = Math.min(Math.max(index, Math.min(0, last)), last);
  drawList();
  drawSamples();
}

// Resolves to whether it was saved.
function save() {
  choose(active);
  return saving.save(0, past.now);
}

function change(edit) {
  const next = concepts();
  edit(next);
  past.change(next);
  return save();
}

// Adds or changes a name; `back` takes it back.
async function callIt(edit, back) {
  unproven = back;
  const accepted = await change(edit);
  if (unproven === back) unproven = null;
  return accepted;
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

$("add").addEventListener("submit", async event => {
  event.preventDefault();
  const label = plain($("name").value), before = active;
  if (!label) return;
  active = concepts().length;
  // A name that is refused stays in the field, to be corrected.
  const back = all => all.splice(all.findLastIndex(([known]) => known === label), 1);
  if (await callIt(all => all.push([label, []]), back)) { $("name").value = ""; $("name").blur(); } else choose(before);
});
$("rename").addEventListener("click", () => {
  const old = name(), index = active, label = plain(prompt("The new name", old) ?? "");
  const call = to => all => { if (all[index]) all[index][0] = to; };
  if (label) callIt(call(label), call(old));
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
  else if (event.key.startsWith("Arrow")) {
    const shown = [...$("grid").children].filter(button => !button.hidden);
    const place = shown.indexOf(document.activeElement);
    const top = shown[0]?.offsetTop;
    const columns = shown.filter(button => button.offsetTop === top).length || 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const target = shown[place < 0 ? 0 : place + step];
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
